"""What a record becomes for a model that reads films, pairs or slides, and takes masks or labels."""

import numpy as np
import pytest

from hf_medreport.data.collator import NO_MASK
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.training.reinforce.data import CaseCollator, DataArguments, open_records
from hf_medreport.training.reinforce.trainer import REFERENCES
from tests.tiny import film_array, tiny_processor

FILM, OTHER = film_array(), film_array().T.copy()
DRAWN = {"image": FILM, "text": "Clear.", "lateral": OTHER, "mask": None, "labels": ["Edema"]}
DRAWN |= {"lungs": np.eye(64, dtype=bool), "heart": np.eye(64, dtype=bool)[::-1]}


def cases(reads: str, takes: dict, *records: dict) -> list[dict]:
    return CaseCollator(None, reads, takes, 8).cases(list(records))


def test_films_and_pairs():
    assert cases("film", {}, DRAWN) == [{"frontal": FILM}]
    assert cases("pair", {}, DRAWN, {"image": FILM, "text": ""}) == [
        {"frontal": FILM, "lateral": OTHER},
        {"frontal": FILM, "lateral": None},
    ]
    assert cases("slide", {}, {"slides": ["bag"], "text": ""}) == [{"slides": ["bag"]}]


def test_labels_are_told_to_a_model_that_needs_them():
    assert cases("film", {"labels": "required"}, DRAWN) == [{"frontal": FILM, "labels": ["Edema"]}]
    assert cases("film", {"labels": "optional"}, DRAWN) == [{"frontal": FILM}]  # it names its own


def test_masks():
    """A drawn film's true one where a model has no segmenter; a table's where a model takes any."""
    (case,) = cases("film", {"mask": "required"}, DRAWN)
    assert np.array_equal(case["mask"], DRAWN["lungs"] | DRAWN["heart"])
    assert cases("film", {"mask": "optional"}, DRAWN) == [{"frontal": FILM}]
    masked = {"image": OTHER, "text": "", "mask": np.ones((4, 4))}
    one, other = cases("film", {"mask": "optional"}, masked, {"image": FILM, "text": "", "mask": None})
    assert one["mask"] is masked["mask"] and other["mask"] is NO_MASK
    assert "mask" not in cases("film", {}, masked)[0]


def test_a_batch_keeps_its_reports_as_text():
    batch = CaseCollator(tiny_processor(system("anatomical_report")), "film", {}, 4)([DRAWN, DRAWN | {"text": "Ab."}])
    assert batch[REFERENCES] == ["Clear.", "Ab."]
    assert batch["labels"].shape == (2, 4) and batch["labels"][0].min() > 0  # cut: without its end
    assert batch["pixel_values"].shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    ("reads", "takes", "data", "message"),
    [
        ("film", {"labels": "required"}, {"train_data": ["a.csv"]}, "labels_column: found none; expected the labels"),
        (
            "slide",
            {},
            {"phantom_cases": 2},
            "slide: found a slide, and no patch_encoder/ beside the model to encode it; expected the patch encoder",
        ),
    ],
)
def test_data_that_do_not_fit_the_model(reads, takes, data, message, tmp_path):
    processor = tiny_processor(system("histgen" if reads == "slide" else "radscribe"))
    if reads == "slide":
        processor.patch_encoder = None
    with pytest.raises(InputError) as raised:
        open_records(DataArguments(**data), reads, takes, processor, tmp_path)
    assert str(raised.value).startswith(message)
