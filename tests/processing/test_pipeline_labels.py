"""What a model was told of a film stands in every record, whoever told it."""

from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hf_medreport.modeling.configuration_medvill import FINDINGS
from tests.labeled import labeled, labeled_pipe
from tests.tiny import film_array

FILMS = [Image.fromarray(np.roll(film_array(), 7 * index, axis=0)) for index in range(3)]
NAMES = [["Edema"], [], ["Cardiomegaly", "Fracture"]]
CASES = [{"frontal": film, "labels": names} for film, names in zip(FILMS, NAMES, strict=True)]


@pytest.fixture(scope="module")
def pipes():
    return {mode: labeled_pipe(mode) for mode in ("none", "oracle", "predicted")}


@pytest.mark.parametrize("mode", ["oracle", "predicted"])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_given_labels_are_oracle_labels(pipes, mode, batch_size):
    records = pipes[mode](CASES, batch_size=batch_size)
    assert [record["labels"] for (record,) in records] == NAMES
    assert {record["label_source"] for (record,) in records} == {"oracle"}


def test_labels_of_its_own_are_those_of_its_head(pipes):
    pipe = pipes["predicted"]
    records = pipe(FILMS, batch_size=2)
    pixels = pipe.processor(FILMS)["pixel_values"]
    with torch.no_grad():
        logits = pipe.model.encode(pixels).label_logits
    for (record,), row in zip(records, logits.tolist(), strict=True):
        named = [name for name, logit in zip(FINDINGS, row, strict=True) if logit >= 0]
        assert record["label_source"] == "predicted" and record["labels"] == named[: len(record["labels"])]
        assert record["labels"] or not named


def test_a_model_without_labels_says_nothing_of_them(pipes):
    assert set(pipes["none"](FILMS[0])[0]) == {"generated_text"}


def test_beams_repeat_the_labels_of_their_film(pipes):
    records = pipes["oracle"](CASES, batch_size=3, num_beams=2, num_return_sequences=2)
    assert [[record["labels"] for record in case] for case in records] == [[names] * 2 for names in NAMES]


def test_reports_are_those_of_generate_and_the_film_is_encoded_once(pipes):
    pipe = pipes["oracle"]
    inputs = pipe.processor(CASES)
    expected = pipe.tokenizer.batch_decode(pipe.model.generate(**inputs), skip_special_tokens=True)
    with patch.object(pipe.model.encoder, "forward", wraps=pipe.model.encoder.forward) as encoded:
        records = pipe(CASES, batch_size=3)
    assert [record["generated_text"] for (record,) in records] == [text.strip() for text in expected]
    assert encoded.call_count == 1


def test_evidence_stands_beside_the_labels(pipes):
    (record,) = pipes["oracle"](CASES[0], return_evidence=True)
    assert set(record) == {"generated_text", "labels", "label_source", "sections", "sentences"}


PROCESSOR = labeled("oracle")[1]


@given(st.lists(st.sampled_from(FINDINGS), unique=True, max_size=2))
def test_what_is_written_is_read_again(names):
    ids, _ = PROCESSOR.label_inputs([names])
    assert PROCESSOR.given_labels(ids) == [names]


def test_a_name_that_was_cut_is_not_claimed():
    names = ["Enlarged Cardiomediastinum", "Pleural Effusion", "Atelectasis"]  # 25 + 15 + 11 letters and 8 marks
    ids, _ = PROCESSOR.label_inputs([[*names, "Fracture"]])
    assert PROCESSOR.given_labels(ids) == [names]
