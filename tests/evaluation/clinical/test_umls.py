"""The concept metric: equal to RadScribe's own numbers, by hand, and laws of the penalty."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.evaluation.clinical.umls import FIGURES, concept_counts, concept_figures, legacy_factor, umls
from hf_medreport.evaluation.registry import METRICS, metric
from hf_medreport.processing.input_error import InputError

GOLDEN = json.loads((Path(__file__).parent / "radscribe_concepts.json").read_text())


class Words:
    """Every word is a concept."""

    def link(self, text):
        return frozenset(text.split())


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_equal_to_004(case):
    texts = case["candidates"], case["references"]
    score = umls(*texts, linker=Words(), scaling="legacy_scaled")
    assert list(score.details["counts"].values()) == case["sums"]
    assert score.details["mean_legacy_factor"] == pytest.approx(case["mean_factor"], abs=1e-12)
    for figure in FIGURES:
        legacy = umls(*texts, linker=Words(), scaling="legacy_scaled", figure=figure).value
        assert legacy == pytest.approx(case["legacy"][figure], abs=1e-12)


def test_004s_length_factor():
    apart, factors = zip(*GOLDEN["length_factor"], strict=True)
    counts = np.array([[0, 100, 100 + d, 0] for d in apart])
    assert legacy_factor(counts) == pytest.approx(factors, abs=1e-12)


def test_by_hand():
    # hits 1 + 0, stated 2 + 1, true 2 + 0, union 3 + 1; the second pair differs by 1: exp(-1/50) has no hit to weigh
    said, true = ["a b", "c"], ["a d", ""]
    raw = umls(said, true, linker=Words()).details["raw"]
    assert raw == pytest.approx({"f1": 2 / 5, "precision": 1 / 3, "recall": 1 / 2, "jaccard": 1 / 4})
    score = umls(said, true, linker=Words(), figure="precision")
    assert score.per_sample.tolist() == [0.5, 0.0] and score.name == "umls_precision"


def test_the_penalty_by_hand():
    # one right concept of four: raw precision 1; three too few cost exp(-9 / 50) = 0.835
    score = umls(["a"], ["a b c d"], linker=Words(), figure="precision", scaling="length_penalized")
    assert score.details["raw"]["precision"] == 1.0
    assert score.value == score.per_sample[0] == pytest.approx(0.83527, abs=1e-5)


def test_the_bonus():
    # F1 0.3 with equal counts becomes tanh(7.389 * 0.3) = 0.977, as the specification says
    said = [" ".join(map(str, range(10)))]
    true = [" ".join(map(str, range(7, 17)))]
    score = umls(said, true, linker=Words(), scaling="legacy_scaled")
    assert score.details["raw"]["f1"] == pytest.approx(0.3) and score.value == pytest.approx(0.97653, abs=1e-5)


def test_of_several_references_the_union_counts():
    assert umls(["a b"], [["a", "b"]], linker=Words()).value == 1.0


def test_two_texts_without_concepts():
    per_sample = {
        scaling: umls(["", "a"], ["", "a"], linker=Words(), scaling=scaling).per_sample.tolist()
        for scaling in ("raw", "legacy_scaled", "length_penalized")
    }
    assert per_sample["raw"] == per_sample["length_penalized"] == [1.0, 1.0]
    assert per_sample["legacy_scaled"] == pytest.approx([0.0, np.tanh(np.exp(2))])  # RadScribe returns zeros


concepts = st.lists(st.tuples(*[st.frozensets(st.sampled_from("abcdefghij"))] * 2), min_size=1, max_size=6)


@settings(deadline=None)
@given(concepts)
def test_the_penalty_never_exceeds_raw(pairs):
    counts = concept_counts(*zip(*pairs, strict=True))
    raw, penalized = concept_figures(counts), concept_figures(counts, "length_penalized")
    for figure in FIGURES:
        assert 0 <= penalized[figure] <= raw[figure] + 1e-12 <= 1 + 2e-12
        if (counts[:, 1] == counts[:, 2]).all():
            assert penalized[figure] == pytest.approx(raw[figure])


def test_through_the_registry(tmp_path):
    table = tmp_path / "terms.tsv"
    table.write_text("C1\tpleural effusion\nC2\tedema\n")
    names = [name for name in METRICS if name.startswith("umls_")]
    assert len(names) == 12
    for name in names:
        score = metric(name)(["Effusions of the pleura"], ["No pleural effusions, edema"], linker=table)
        assert score.name == name and score.value == 0.0 and score.convention.startswith("concepts of DictionaryLinker")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"linker": Words(), "figure": "f2"}, "figure: found 'f2'; expected one of f1, precision, recall, jaccard;"),
        (
            {"linker": Words(), "scaling": "log"},
            "scaling: found 'log'; expected one of raw, legacy_scaled, length_pena",
        ),
        ({"linker": 3}, "linker: found a int; expected a table's path or an object with link(text); see clinical.link"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError) as caught:
        umls(["a"], ["a"], **options)
    assert str(caught.value).startswith(message)
