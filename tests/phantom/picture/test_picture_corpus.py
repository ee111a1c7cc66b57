"""Case i of a split of pictures is the same for everyone, and splits share no patient."""

import pickle

import numpy as np
import pytest

from hf_medreport.phantom.picture.corpus import SPLITS, PictureCorpus, draw_picture
from hf_medreport.phantom.picture.facts import MODALITIES, PictureFact, draw_fact
from hf_medreport.processing.input_error import InputError

PINNED = [
    (
        PictureFact(modality="cxr", finding="pacemaker", side="left"),
        "pacemaker in the left side, chest radiograph",
    ),
    (
        PictureFact(modality="ct", finding="emphysema", grade="mild"),
        "mild emphysema, thoracic CT",
    ),
    (
        PictureFact(modality="mri", finding="subdural hematoma", side="left", grade="severe"),
        "severe subdural hematoma in the left side, brain MRI",
    ),
    (
        PictureFact(modality="oct", finding="no finding", side="right"),
        "optical coherence tomography: no finding in the right eye",
    ),
    (
        PictureFact(modality="fundus", finding="optic disc cupping", side="right", grade="moderate"),
        "color photograph of the fundus: moderate optic disc cupping in the right eye",
    ),
]


def content(case):
    return case.case_id, case.prompt, case.fact, case.image.tobytes(), case.mask.tobytes()


def test_a_case_does_not_depend_on_access_or_length():
    corpus = PictureCorpus(6, seed=5, size=32)
    forwards = [content(corpus[i]) for i in range(6)]
    backwards = [content(corpus[i]) for i in reversed(range(6))][::-1]
    longer, elsewhere = PictureCorpus(100, 5, size=32), pickle.loads(pickle.dumps(corpus))
    assert forwards == backwards == [content(longer[i]) for i in range(6)] == [content(elsewhere[i]) for i in range(6)]
    assert content(corpus[-1]) == forwards[-1] and len(corpus) == 6 == len(list(corpus))
    with pytest.raises(IndexError):
        corpus[6]


def test_modalities_take_turns_and_wordings_leave_the_picture_as_it_is():
    trained, held_out = (PictureCorpus(5, 1, 32, wordings=wordings) for wordings in ("train", "held_out"))
    assert [case.fact.modality for case in trained] == list(MODALITIES)
    for one, other in zip(trained, held_out, strict=True):
        assert one.fact == other.fact and one.prompt != other.prompt and (one.image == other.image).all()
    large = PictureCorpus(5, 1, 64, style="held_back")
    assert [(case.fact, case.prompt) for case in large] == [(case.fact, case.prompt) for case in trained]


def test_splits_and_seeds_share_no_picture():
    cases = [PictureCorpus(5, seed, 32, split=split)[i] for split in SPLITS for seed in (0, 1) for i in range(5)]
    assert len({case.case_id for case in cases}) == len({case.image.tobytes() for case in cases}) == len(cases)


def test_the_first_cases_are_pinned():
    assert [(case.fact, case.prompt) for case in PictureCorpus(5, 0, 32)] == PINNED


def test_every_finding_is_drawn_equally_often():
    rng = np.random.default_rng(0)
    facts = [draw_fact(rng, "mri") for _ in range(2000)]
    counts = {name: sum(fact.finding == name for fact in facts) for name in MODALITIES["mri"].findings}
    assert all(0.88 / 5 * 0.8 < count / 2000 < 0.88 / 5 * 1.2 for count in counts.values())
    assert sum(fact.side == "left" for fact in facts) / sum(fact.side is not None for fact in facts) == pytest.approx(
        0.5, abs=0.05
    )


def test_a_chosen_fact_is_what_every_picture_shows():
    fact = PictureFact("ct", "pneumothorax", "left", grade="severe")
    corpus = PictureCorpus(3, 0, 32, fact=fact)
    assert [case.fact for case in corpus] == [fact] * 3
    assert len({case.image.tobytes() for case in corpus}) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n": 0}, "n: found 0; expected at least 1 case; ask for one or more cases"),
        ({"size": 31}, "size: found 31 px; expected 32 to 1024 px; choose a side in that range"),
        (
            {"split": "all"},
            "split: found 'all'; expected one of train, validation, test, held_back_style;",
        ),
        ({"style": "odd"}, "style: found 'odd'; expected standard or held_back; name one of the two"),
        ({"wordings": "odd"}, "wordings: found 'odd'; expected train or held_out; name one of the two"),
        (
            {"modalities": ("us",)},
            "modalities: found 'us'; expected some of cxr, ct, mri, oct, fundus;",
        ),
        ({"modalities": ()}, "modalities: found none; expected some of cxr, ct, mri, oct, fundus; name one or more"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_wrong_is_said_at_once(arguments, message):
    with pytest.raises(InputError) as error:
        PictureCorpus(**{"n": 1, "seed": 0} | arguments)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("us",), "modality: found 'us'; expected one of cxr, ct, mri, oct, fundus; name a known modality"),
        (
            ("oct", "mass", "left"),
            "finding of oct: found 'mass'; expected no finding, drusen, cystoid edema, subretinal fluid, epiretinal "
            "membrane, macular hole; name one of these",
        ),
        (("ct", "nodule", "left", "anterior"), "ct, nodule: found grade None; expected one of mild, moderate, severe;"),
        (("ct", "emphysema", "left", None, "mild"), "ct, emphysema: found side 'left'; expected no side; correct the"),
        (("oct",), "oct, no finding: found side None; expected one of right, left; correct the side"),
        (("mri", "mass", "left", "upper", "mild"), "mri, mass: found zone 'upper'; expected one of frontal, parietal,"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_fact_that_cannot_be(arguments, message):
    with pytest.raises(InputError) as error:
        PictureFact(*arguments)
    assert str(error.value).startswith(message)


def test_a_film_is_the_chests():
    fact = PictureFact("cxr", "pleural effusion", "left", grade="severe")
    drawn, plain = (draw_picture(one, 3, 64) for one in (fact, PictureFact("cxr")))
    assert drawn.image.shape == (64, 64) and drawn.mask[:, 32:].sum() == drawn.mask.sum() > 20
    assert not plain.mask.any() and (drawn.image != plain.image)[drawn.mask].mean() > 0.9
