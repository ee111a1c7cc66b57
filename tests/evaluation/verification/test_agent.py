"""The agent: it ends, it keeps the best attempt, and it changes what was wrong."""

import pytest

from hf_medreport.evaluation.verification.agent import STRIDE, Verifier, edited, verified_line
from hf_medreport.evaluation.verification.asked import read_asked
from hf_medreport.evaluation.verification.checks import Checks, Issue
from hf_medreport.inference.asked_pictures import AskedPicture
from hf_medreport.processing.input_error import InputError
from tests.evaluation.verification.made import MadeJudge, MadePipe, film, made_segmenter

OPTIONS = {"num_inference_steps": 2, "guidance_scale": 2.0}


def verify(prompt: str, pipe: MadePipe, *answers: dict, rounds: int = 3):
    agent = Verifier(Checks(MadeJudge(*answers), made_segmenter()), rounds)
    (first,) = pipe([prompt], [None], seeds=[5]).images
    return agent.of(pipe, OPTIONS)(AskedPicture("a", prompt, 5), first)


def test_a_wide_heart_for_a_normal_one_is_told_and_the_rounds_end():
    pipe = MadePipe(film(56))  # a ratio of 0.7, whatever is asked
    checked = verify("CXR: normal heart", pipe)
    report = checked.said["verification"]
    heart = {"issue": "heart", "measured": 0.7, "expected": "a cardiothoracic ratio of at most 0.5"}
    assert [one["issues"] for one in report["rounds"]] == [
        [heart | {"action": {"edit": "negative_prompt", "to": "cardiomegaly"}}],
        [heart | {"action": {"edit": "guidance_scale", "to": 3.0}}],
        [heart | {"action": {"edit": "guidance_scale", "to": 4.5}}],
    ]
    assert not report["passed"] and report["kept_round"] == 1 and checked.used.seed == 5
    assert [(seeds, options["guidance_scale"]) for _, _, seeds, options in pipe.asked[1:]] == [
        ([5 + STRIDE], 2.0),
        ([5 + 2 * STRIDE], 3.0),
    ]
    assert pipe.asked[1][3]["negative_prompt"] == ["cardiomegaly"]
    assert verified_line(report) == (
        "not as asked after 3 rounds, round 1 kept: heart 0.7, not a cardiothoracic ratio of at most 0.5"
    )


def test_it_ends_when_nothing_is_wrong():
    pipe = MadePipe(film(56), film(30))
    checked = verify("CXR: normal heart", pipe, rounds=9)
    report = checked.said["verification"]
    assert report["passed"] and report["kept_round"] == len(report["rounds"]) == 2 and len(pipe.asked) == 2
    assert checked.used == AskedPicture("a", "CXR: normal heart", 5 + STRIDE, negative_prompt="cardiomegaly")
    assert report["checked"] == ["modality", "heart", "contrast", "noise", "gray"]
    assert verified_line(report) == "verified: nothing wrong in 5 checks, round 2"


def test_the_attempt_with_the_fewest_issues_is_kept_the_first_of_those():
    right = {"finding": "pneumothorax", "side": "left", "grade": "severe"}
    answers = [right | {"side": "right", "grade": "mild"}, right | {"grade": "mild"}, right | {"side": "right"}]
    checked = verify("CXR: severe left pneumothorax", MadePipe(film(30)), *answers)
    assert checked.said["verification"]["kept_round"] == 2 and checked.used.seed == 5 + STRIDE


def test_an_attempt_that_cannot_be_drawn_ends_the_rounds():
    class Failing(MadePipe):
        def __call__(self, *arguments, **options):
            if self.asked:
                raise RuntimeError("boom")
            return super().__call__(*arguments, **options)

    report = verify("CXR: normal heart", Failing(film(56))).said["verification"]
    assert len(report["rounds"]) == report["kept_round"] == 1 and "boom" in report["rounds"][0]["failure"]


@pytest.mark.parametrize(
    ("prompt", "issue", "measured", "scale", "action"),
    [
        ("CXR: nodule", "modality", "ct", 3.0, {"edit": "guidance_scale", "to": 4.5}),
        ("nodule, CXR", "modality", "ct", 3.0, {"edit": "prompt", "to": "chest x-ray: nodule, CXR"}),
        ("CXR: nodule", "finding", "drusen", 5.0, {"edit": "guidance_scale", "to": 6.0}),
        ("CXR: nodule", "side", "left", 6.0, {"edit": "seed"}),
        ("CXR: normal", "finding", "nodule", 3.0, {"edit": "negative_prompt", "to": "bad, nodule"}),
        ("CXR: nodule", "noise", 2.0, 3.0, {"edit": "guidance_scale", "to": 2.0}),
        ("CXR: nodule", "artefact", "strong", 1.0, {"edit": "seed"}),
        ("CXR: nodule", "copy", 0.9, 3.0, {"edit": "seed"}),
    ],
)
def test_what_is_changed(prompt, issue, measured, scale, action):
    if prompt == "CXR: nodule" and issue == "modality":
        prompt = "chest x-ray: nodule"  # it is said first already
    picture = AskedPicture("a", prompt, 1, negative_prompt="bad")
    following, stronger, (told,) = edited(picture, scale, [Issue(issue, measured, "")], read_asked(prompt))
    assert told.action == action
    assert stronger == (action["to"] if action["edit"] == "guidance_scale" else scale)
    assert following.given == (action["to"] if action["edit"] == "prompt" else prompt)
    assert following.negative_prompt == (action["to"] if action["edit"] == "negative_prompt" else "bad")


def test_no_round():
    with pytest.raises(InputError) as error:
        Verifier(Checks(MadeJudge()), rounds=0)
    assert str(error.value) == "verify_rounds: found 0; expected 1 or more; give the most attempts a picture"
