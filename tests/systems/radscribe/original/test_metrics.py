"""The figures that RadScribe logs, by its own names."""

import pytest

from hf_medreport.evaluation.registry import metric
from hf_medreport.systems.radscribe.original.metrics import CLINICAL, TEXT, TOKENS, OriginalFigures

SAID, TRUE = ["clear lungs and effusion", "edema"], ["clear lungs", "no edema"]


class Words:
    def tokenize(self, text):
        return text.split()


def test_figures_of_words_and_of_tokens():
    scores = OriginalFigures(Words())(SAID, TRUE)
    assert set(scores) == {*TEXT, *TOKENS.values()}
    for name, ours in TEXT.items():
        assert scores[name] == metric(ours)(SAID, TRUE).value
    # three tokens are shared, of five that were said and four that are true
    assert scores["TOKEN_PRECISION"] == pytest.approx(0.6) and scores["TOKEN_RECALL"] == pytest.approx(0.75)


def test_figures_of_concepts_where_there_is_a_linker(tmp_path):
    (tmp_path / "terms.tsv").write_text("C1\teffusion\nC2\tedema\nC3\tlungs\n")
    scores = OriginalFigures(Words(), linker=tmp_path / "terms.tsv")(SAID, TRUE)
    assert set(scores) == {*TEXT, *TOKENS.values(), *(f"CLINICAL_{name}" for name in CLINICAL.values())}
    scaled = metric("umls_f1")(SAID, TRUE, linker=tmp_path / "terms.tsv").details["legacy_scaled"]
    assert {f"CLINICAL_{name}": scaled[ours] for ours, name in CLINICAL.items()}.items() <= scores.items()
