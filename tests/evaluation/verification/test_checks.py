"""Each check: what it says of a right and of a wrong picture, and when it says nothing."""

import numpy as np
import pytest
from PIL import Image

from hf_medreport.evaluation.verification.asked import Asked, read_asked
from hf_medreport.evaluation.verification.checks import Checks
from tests.evaluation.verification.made import MadeJudge, film, made_segmenter


def wrong(asked: Asked, picture: Image.Image | None = None, **answer) -> list[tuple]:
    """(issue, measured, expected) of a picture that the judge answers so about."""
    looked = Checks(MadeJudge(answer), made_segmenter()).look(picture or film(30), asked)
    return [(issue.issue, issue.measured, issue.expected) for issue in looked.issues]


def test_what_the_judge_sees():
    asked = read_asked("CXR: severe left pneumothorax")
    right = {"finding": "pneumothorax", "side": "left", "grade": "severe"}
    assert wrong(asked, **right) == []
    assert wrong(asked, **right | {"side": "right", "grade": "mild"}) == [
        ("side", "right", "left"),
        ("grade", "mild", "severe"),
    ]
    assert wrong(asked, **right | {"modality": "ct", "finding": "nodule"}) == [
        ("modality", "ct", "cxr"),
        ("finding", "nodule", "pneumothorax"),
    ]


@pytest.mark.parametrize(
    ("prompt", "finding", "expected"),
    [
        ("normal CXR", "nodule", "no finding"),
        ("CXR without effusion", "pleural effusion", "anything but pleural effusion"),
        ("CXR: left nodule and right effusion", "pneumothorax", "nodule or pleural effusion"),
    ],
)
def test_none_several_and_denied_findings(prompt, finding, expected):
    assert wrong(read_asked(prompt), finding=finding) == [("finding", finding, expected)]
    assert wrong(read_asked(prompt), finding={"nodule": "no finding"}.get(finding, "nodule")) == []


def test_the_heart():
    normal, enlarged = read_asked("CXR: normal heart"), read_asked("CXR: cardiomegaly")
    assert wrong(normal, film(30)) == wrong(enlarged, film(56), finding="cardiomegaly") == []
    assert wrong(normal, film(56)) == [("heart", 0.7, "a cardiothoracic ratio of at most 0.5")]
    assert wrong(enlarged, film(30), finding="cardiomegaly") == [("heart", 0.375, "a cardiothoracic ratio above 0.5")]


@pytest.mark.parametrize(
    ("prompt", "picture", "why"),
    [
        ("CXR: left nodule", film(30), "the description asks for none"),
        ("CT: normal heart", film(30), "no chest film is asked for"),
        ("CXR: normal heart", film(0), "no heart was found"),
    ],
)
def test_a_heart_that_is_not_measured(prompt, picture, why):
    looked = Checks(MadeJudge(), made_segmenter()).look(picture, read_asked(prompt))
    assert looked.not_checked["heart"] == why and "heart" not in looked.checked


def test_without_segmenter_and_training_pictures():
    looked = Checks(MadeJudge()).look(film(30), read_asked("CXR: normal heart"))
    assert looked.not_checked["heart"] == "no segmenter"
    assert looked.not_checked["copy"] == "no training pictures were given"


def test_flat_noise_and_color():
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).convert("RGB")
    assert [issue for issue, *_ in wrong(Asked(), noise)] == ["noise"]
    assert wrong(Asked(), Image.new("RGB", (64, 64), (90, 90, 90))) == [("contrast", 0.0, "at least 0.1")]
    color = np.array(film(30))
    color[..., 0] = color[..., 0] // 2
    assert [issue for issue, *_ in wrong(Asked("cxr"), Image.fromarray(color))] == ["gray"]
    assert wrong(Asked("fundus"), Image.fromarray(color), modality="fundus") == []


def test_artefacts_where_the_judge_knows_them():
    assert wrong(Asked(), artefact="strong") == [("artefact", "strong", "none, or a slight one")]
    assert wrong(Asked(), artefact="slight") == []
    looked = Checks(MadeJudge()).look(film(30), Asked())
    assert looked.not_checked["artefact"] == "the judge does not know artefacts"


def test_a_copy():
    class Known:
        def __init__(self, found):
            self.found = found

        def nearest(self, pixels, modality):
            assert pixels.shape == (100, 100, 3) and modality == "cxr"
            return self.found

    def look(found):
        return Checks(MadeJudge(), None, Known(found)).look(film(30), Asked("cxr"))

    (issue,) = look((0.95, 0.9)).issues
    assert issue.to_json() == {
        "issue": "copy",
        "measured": 0.95,
        "expected": "a similarity to training pictures of at most 0.9",
        "action": {},
    }
    assert not look((0.8, 0.9)).issues and "copy" in look((0.8, 0.9)).checked
    assert look(None).not_checked["copy"] == "too few training pictures of the modality"
