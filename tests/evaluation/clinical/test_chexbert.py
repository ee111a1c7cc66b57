"""CheXbert's labels: from a folder (a tiny model in its layout, made here) and through the package (a stand-in)."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from hf_medreport.evaluation.clinical.chexbert import chexbert, chexbert_labels
from hf_medreport.evaluation.clinical.observations import OBSERVATIONS
from hf_medreport.evaluation.registry import metric
from hf_medreport.processing.input_error import InputError

TEXTS = ["small left effusion", "", "no effusion\nis seen", "the heart is large " * 20]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "small", "left", "effusion"]
VOCABULARY += ["no", "is", "seen", "the", "heart", "large"]


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=24,
        initializer_range=1.0,  # so that texts differ
    )
    config.save_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY))
    bert = BertModel(config)  # with the pooler that the authors' file holds too
    heads = [torch.nn.Linear(16, 4) for _ in range(13)] + [torch.nn.Linear(16, 2)]
    weights = {f"module.bert.{name}": tensor for name, tensor in bert.state_dict().items()}
    for number, head in enumerate(heads):
        weights |= {f"module.linear_heads.{number}.{name}": tensor for name, tensor in head.state_dict().items()}
    torch.save({"model_state_dict": weights, "epoch": 3}, tmp_path / "chexbert.pth")
    return SimpleNamespace(path=tmp_path, bert=bert.eval(), heads=heads)


def test_labels_of_a_folder(folder):
    labels = chexbert_labels(TEXTS, model=folder.path, batch_size=3)
    assert labels.shape == (4, 14) and labels.dtype == np.int8 and set(labels[:, 13]) <= {0, 1}
    for row, text in zip(labels, TEXTS, strict=True):  # one by one, without padding
        words = [VOCABULARY.index(word) for word in text.split()][:22]
        with torch.inference_mode():
            first = folder.bert(torch.tensor([[2, *words, 3]])).last_hidden_state[0, 0]
            assert row.tolist() == [int(head(first).argmax()) for head in folder.heads]
    assert len({tuple(row) for row in labels}) > 1


def test_scores_of_a_folder(folder):
    score = metric("chexbert5_macro_f1")(TEXTS, TEXTS, model=folder.path, uncertain="negative")
    assert score.name == "chexbert5_macro_f1" and score.convention.startswith("CheXbert labels, 5 observations, macro")
    assert (score.per_sample == 1).all()
    assert chexbert_labels([], model=folder.path).shape == (0, 14)


@pytest.mark.parametrize("name", ["chexbert.pth", "config.json", "vocab.txt"])
def test_a_file_is_missing(folder, name):
    (folder.path / name).unlink()
    with pytest.raises(
        InputError, match=f"model: found no {name} in '.*'; expected CheXbert's folder; put chexbert.pth"
    ):
        chexbert_labels(TEXTS, model=folder.path)


def test_weights_of_another_model(folder):
    torch.save({"model_state_dict": {}}, folder.path / "chexbert.pth")
    with pytest.raises(InputError, match="chexbert.pth: found no fitting bert.embeddings.word_embeddings.weight"):
        chexbert_labels(TEXTS, model=folder.path)


def test_through_the_package(monkeypatch):
    order = OBSERVATIONS[::-1]

    class Labeler:
        target_names = list(order)

        def __init__(self, device):
            assert device == "cpu"

        def get_label(self, text, mode):
            assert mode == "classification"
            said = {"Edema": 1, "Fracture": 0, "Pneumonia": -1} if text else {}
            return [said.get(name, "") for name in order]

    monkeypatch.setitem(sys.modules, "f1chexbert", SimpleNamespace(F1CheXbert=Labeler))
    rows = chexbert_labels(["edema", ""])
    expected = dict.fromkeys(OBSERVATIONS, 0) | {"Edema": 1, "Fracture": 2, "Pneumonia": 3}
    assert dict(zip(OBSERVATIONS, rows[0].tolist(), strict=True)) == expected and not rows[1].any()
    assert chexbert(["edema", ""], ["edema", "edema"]).value == pytest.approx(2 / 3)


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "f1chexbert", None)
    with pytest.raises(InputError) as caught:
        chexbert(["a"], ["b"])
    assert str(caught.value) == (
        "chexbert: found neither; expected the package f1chexbert, or CheXbert's folder as the option model; "
        "pip install f1chexbert, or give model=FOLDER with chexbert.pth, config.json, vocab.txt"
    )
