"""`compute_metrics`: generated ids become the texts that the registry's metrics score."""

import numpy as np
import pytest
from transformers import EvalPrediction

from hf_medreport.evaluation.registry import metric
from hf_medreport.evaluation.trainer_metrics import TrainerMetrics
from hf_medreport.processing.input_error import InputError
from tests.tiny import tiny_tokenizer

TEXTS, TRUE = ["Clear lungs here.", "Mass."], ["Clear lungs here.", "Small left effusion."]


def ids(tokenizer, texts):
    rows = [tokenizer(text)["input_ids"] for text in texts]
    return np.array([row + [-100] * (40 - len(row)) for row in rows])


def test_values_are_the_metrics():
    tokenizer = tiny_tokenizer()
    prediction = EvalPrediction(predictions=ids(tokenizer, TEXTS), label_ids=ids(tokenizer, TRUE))
    found = TrainerMetrics(tokenizer, ["rougeL", "bleu1"], {"rougeL": {"stemmer": True}})(prediction)
    assert found == {
        "rougeL": metric("rougeL")(TEXTS, TRUE, stemmer=True).value,
        "bleu1": metric("bleu1")(TEXTS, TRUE).value,
    }


def test_lists_of_rows_of_any_length():
    tokenizer = tiny_tokenizer()
    said, true = ([tokenizer(text)["input_ids"] for text in texts] for texts in (TEXTS, TRUE))
    assert len(said[0]) != len(said[1])
    arrays = EvalPrediction(predictions=ids(tokenizer, TEXTS), label_ids=ids(tokenizer, TRUE))
    expected = TrainerMetrics(tokenizer)(arrays)
    padded = [[*row, -100] for row in true]
    for predictions, labels in ((said, padded), (arrays.predictions.tolist(), arrays.label_ids.tolist())):
        assert TrainerMetrics(tokenizer)(EvalPrediction(predictions=predictions, label_ids=labels)) == expected


def test_logits_are_refused():
    tokenizer = tiny_tokenizer()
    remedy = "expected ids (samples, length); set predict_with_generate=True"
    for predictions, found in ((np.zeros((2, 3, 9)), "rows of shape (3, 9) of float64"), ((1, 2), "2 arrays")):
        with pytest.raises(InputError) as caught:
            TrainerMetrics(tokenizer)(EvalPrediction(predictions=predictions, label_ids=ids(tokenizer, TRUE)))
        assert str(caught.value) == f"predictions: found {found}; {remedy}"


def test_wrong_arguments():
    with pytest.raises(InputError, match="metric: found 'blue'"):
        TrainerMetrics(tiny_tokenizer(), ["blue"])
    with pytest.raises(InputError, match="metric bertscore: found no option 'model'"):
        TrainerMetrics(tiny_tokenizer(), ["bertscore"])
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token = None
    with pytest.raises(InputError, match="tokenizer: found no pad and no eos token"):
        TrainerMetrics(tokenizer)
