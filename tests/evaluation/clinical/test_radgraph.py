"""RadGraph F1 of annotations by hand; the package is a stand-in."""

import sys
from types import SimpleNamespace

import pytest

from hf_medreport.evaluation.clinical.radgraph import annotation_f1, radgraph
from hf_medreport.evaluation.registry import metric
from hf_medreport.processing.input_error import InputError


def entity(tokens, label, *relations):
    return {"tokens": tokens, "label": label, "relations": [list(relation) for relation in relations]}


OBSERVED, ANATOMY = "Observation::definitely present", "Anatomy::definitely present"
# "left pleural effusion": left modifies pleural, effusion is located at pleural
LEFT = {
    "entities": {
        "1": entity("left", ANATOMY, ("modify", "2")),
        "2": entity("pleural", ANATOMY),
        "3": entity("effusion", OBSERVED, ("located_at", "2")),
    }
}
# "right pleural effusion": the side alone is wrong
RIGHT = {"entities": LEFT["entities"] | {"1": entity("right", ANATOMY, ("modify", "2"))}}
# "pleural effusion", without the relation
LOOSE = {"entities": {"1": entity("pleural", ANATOMY), "2": entity("effusion", OBSERVED)}}
NOTHING = {"entities": {}}
ANNOTATED = {"left": LEFT, "right": RIGHT, "loose": LOOSE, "": NOTHING}


@pytest.mark.parametrize(
    "said, given, expected",
    [
        (LEFT, LEFT, {"E": 1, "ER": 1, "bar": 1}),
        (LEFT, RIGHT, {"E": 2 / 3, "ER": 2 / 3, "bar": 2 / 3}),
        # E: 2 of 2 and 3. ER: effusion begins a relation in one only. bar: the same, as a relation against an entity.
        (LOOSE, LEFT, {"E": 4 / 5, "ER": 2 / 5, "bar": 2 / 5}),
        (NOTHING, LEFT, {"E": 0, "ER": 0, "bar": 0}),
        (NOTHING, NOTHING, {"E": 0, "ER": 0, "bar": 0}),
    ],
)
def test_by_hand(said, given, expected):
    for variant, value in expected.items():
        assert annotation_f1(said, given, variant) == pytest.approx(value)
        assert annotation_f1(given, said, variant) == pytest.approx(value)


def test_another_object_is_seen_by_bar_alone():
    other = {"entities": LEFT["entities"] | {"3": entity("effusion", OBSERVED, ("located_at", "1"))}}
    assert [annotation_f1(other, LEFT, v) for v in ("E", "ER", "bar")] == pytest.approx([1, 1, 2 / 3])


def test_case_as_in_the_package():
    upper = {"entities": {"1": entity("Effusion", OBSERVED, ("located_at", "2")), "2": entity("pleural", ANATOMY)}}
    lower = {"entities": {"1": entity("effusion", OBSERVED, ("located_at", "2")), "2": entity("pleural", ANATOMY)}}
    assert [annotation_f1(upper, lower, v) for v in ("E", "ER", "bar")] == [0.5, 0.5, 1.0]


def test_the_score():
    def annotator(texts):
        return [ANNOTATED[text] for text in texts]

    score = radgraph(["left", "right", ""], ["left", ["", "left"], "left"], variant="E", annotator=annotator)
    assert score.per_sample.tolist() == pytest.approx([1, 2 / 3, 0]) and score.value == pytest.approx(5 / 9)
    assert score.name == "radgraph_E" and score.details["bar"] == pytest.approx(5 / 9)
    assert score.convention == "RadGraph F1 E, given annotations, mean, 0 to 1"


@pytest.mark.parametrize("module", ["radgraph", "radeval.metrics.radgraph"])
def test_through_a_package(monkeypatch, module):
    class RadGraph:
        def __init__(self, model_type):
            assert model_type == "radgraph"

        def __call__(self, texts):
            return {str(index): ANNOTATED[text] for index, text in enumerate(texts) if text in ANNOTATED}

    for name in ("radgraph", "radeval", "radeval.metrics", "radeval.metrics.radgraph"):
        monkeypatch.setitem(sys.modules, name, None)
    for depth in range(1, module.count(".") + 2):
        name = ".".join(module.split(".")[:depth])
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(RadGraph=RadGraph, __path__=[]))
    score = metric("radgraph_bar")(["loose"], ["left"], model="radgraph")
    assert score.value == pytest.approx(2 / 5) and score.convention == "RadGraph F1 bar, radgraph, mean, 0 to 1"
    with pytest.raises(
        InputError, match="radgraph: found no annotation of 1 texts, first text 1; expected one for each"
    ):
        radgraph(["left"], ["unreadable"], model="radgraph")


def test_without_a_package(monkeypatch):
    for name in ("radgraph", "radeval", "radeval.metrics.radgraph"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError) as caught:
        radgraph(["a"], ["b"])
    assert str(caught.value) == (
        "radgraph: found neither radgraph nor radeval; expected one of the two packages; "
        "pip install radeval (or radgraph, which wants transformers < 5), or give an annotator"
    )


def test_an_unknown_variant():
    with pytest.raises(InputError, match="variant: found 'RE'; expected one of E, ER, bar; name a known variant"):
        radgraph(["a"], ["b"], variant="RE")
