"""The simulated rater: its rule held to values worked by hand, its errors to their odds, its order to sense."""

from types import SimpleNamespace

import numpy as np
import pytest

from hf_medreport.data.drawn.picture_folder import as_color
from hf_medreport.data.ratings.agreement import agreement
from hf_medreport.data.ratings.table import Rating
from hf_medreport.evaluation.pictures import simulated_rater
from hf_medreport.evaluation.pictures.judging import judge_folder, load_judge, questions
from hf_medreport.evaluation.pictures.simulated_rater import ERRORS, SimulatedRater, steps_off
from hf_medreport.phantom.picture.corpus import draw_picture
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.picture_judge.damage import damaged

NODULE = PictureFact("ct", "nodule", "left", "anterior", "moderate")


class Stub:
    """A judge whose probabilities are given."""

    name, size = "stub", 64
    model = SimpleNamespace(config=SimpleNamespace(answers=questions() | {"artefact": ["none", "slight", "strong"]}))

    def __init__(self, **shares):
        self.shares = shares

    def look(self, images):
        logits = {}
        for question, answers in self.model.config.answers.items():
            given = self.shares.get(question, {})
            rest = (1 - sum(given.values())) / max(1, len(answers) - len(given))
            logits[question] = np.log([[given.get(answer, rest) + 1e-12 for answer in answers]] * len(images))
        return SimpleNamespace(logits=logits)


@pytest.fixture
def rater(monkeypatch):
    def made(**shares):
        monkeypatch.setattr(simulated_rater, "load_judge", lambda folder, device: Stub(**shares))
        return SimulatedRater("stub")

    return made


def pictures(count=1):
    return np.zeros((count, 64, 64, 3), np.uint8)


def test_the_rule_by_hand(rater):
    shares = {"modality": {"ct": 1.0}, "finding": {"nodule": 0.8}, "grade": {"moderate": 0.9}}
    shares |= {"side": {"left": 0.25}, "zone": {"anterior": 1.0}, "artefact": {"none": 0.5, "slight": 0.4}}
    alignment, quality = rater(**shares).truth(pictures(), [NODULE])
    assert alignment == pytest.approx(0.8 * (1 + 0.25) / 2) and quality == pytest.approx(0.5 + 0.4 / 2)
    # Of a picture without details, modality and finding alone; the answers to the rest mean nothing.
    alignment, _ = rater(**shares | {"finding": {"pacemaker": 0.6}}).truth(
        pictures(), [PictureFact("ct", "emphysema", grade="mild")]
    )
    assert alignment == pytest.approx(0.4 / 23 * (1 + 0.05) / 2)


@pytest.mark.parametrize(
    ("left", "none", "rating"),
    [(1.0, 1.0, 3), (0.0, 1.0, 2), (1.0, 0.0, 2), (0.0, 0.0, 1)],  # 1, 0.5, 0.5, 0.25
)
def test_what_a_picture_is_worth(rater, left, none, rating, monkeypatch):
    monkeypatch.setattr(simulated_rater, "ERRORS", {3: 0})
    shares = {
        "modality": {"ct": 1.0},
        "finding": {"nodule": 1.0},
        "zone": {"anterior": 1.0},
        "grade": {"moderate": 1.0},
    }
    made = rater(**shares, side={"left": left}, artefact={"none": none, "slight": 1 - none})
    assert made.rate(pictures(), [NODULE], level=3, seed=0) == [rating]


def test_errors_have_their_probabilities():
    right = np.repeat((1, 2, 3), 4000)
    for level, share in ERRORS.items():
        said = np.array(steps_off(right, level, seed=1))
        assert np.mean(said != right) == pytest.approx(share, abs=0.02) and np.abs(said - right).max() == 1
        assert np.mean(said[right == 2]) == pytest.approx(2, abs=0.03)  # up as often as down
        assert steps_off(right, level, seed=1) == said.tolist() != steps_off(right, level, seed=2)


@pytest.mark.slow
def test_kappa_rises_with_the_level():
    right = np.tile((1, 2, 3), 100).tolist()
    said = {"truth": right} | {f"level {level}": steps_off(right, level, seed=3) for level in ERRORS}
    ratings = [
        Rating(f"{number}.png", value, None, 3, "p", rater)
        for rater, all in said.items()
        for number, value in enumerate(all)
    ]
    figures = agreement(ratings)
    kappas = [figures[f"level {level} and truth"]["kappa"] for level in (1, 2, 3)]
    assert 0.4 < kappas[0] < kappas[1] < kappas[2] < 1


def test_the_order_of_pictures():
    """The shipped rater on drawn pictures: the right one, one of the wrong side, slightly and strongly damaged ones."""
    facts = [PictureFact("mri", "mass", side, "frontal", "severe") for side in ("left", "right")]
    facts += [PictureFact("fundus", "hemorrhages", side, "superior", "severe") for side in ("left", "right")]
    other = [
        PictureFact(fact.modality, fact.finding, "left" if fact.side == "right" else "right", fact.zone, fact.grade)
        for fact in facts
    ]
    drawn = np.stack([as_color(draw_picture(fact, 7 + k, 64).image) for k, fact in enumerate(facts)])
    rng = np.random.default_rng(0)
    rater = SimulatedRater(device="cpu")

    def worth(images, asked):
        alignment, quality = rater.truth(images, asked)
        assert ((alignment >= 0) & (alignment <= 1) & (quality >= 0) & (quality <= 1)).all()
        return alignment * quality

    slight, strong = (
        np.stack([damaged(image, "blur", level, rng) for image in drawn]) for level in ("slight", "strong")
    )
    assert (worth(drawn, facts) > 0.75).all()
    assert (worth(drawn, facts) > worth(drawn, other)).all() and (worth(drawn, other) > worth(strong, facts)).all()
    assert (worth(drawn, facts) > worth(slight, facts)).all() and (worth(slight, facts) > worth(strong, facts)).all()
    assert rater.rate(strong, facts, level=3, seed=1) == [1, 1, 1, 1]
    assert (rater.truth(drawn, facts[::-1])[0] < 0.1).all()  # another modality
    assert rater.judge.name.split()[0] != load_judge(device="cpu").name.split()[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda one: one.rate(pictures(), [NODULE], level=4, seed=0), "level: found 4; expected 1 (a novice), 2 or 3"),
        (lambda one: one.truth(pictures(2), [NODULE]), "facts: found 1; expected 2, one a picture; give both of each"),
    ],
)
def test_what_it_refuses(rater, call, message):
    with pytest.raises(InputError) as caught:
        call(rater())
    assert message in str(caught.value)


def test_a_judge_that_sees_no_artefacts_is_no_rater():
    with pytest.raises(
        InputError, match=r"judge: found .*, not asked for artefacts; expected one that is; train one wit"
    ):
        SimulatedRater(judge_folder(), device="cpu")
