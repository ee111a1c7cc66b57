"""What is measured of a judge that stands for a rater: that it sees damage, and how far it is like another judge."""

import numpy as np

from hf_medreport.data.drawn.picture_folder import DrawnPictures
from hf_medreport.evaluation.pictures.faithfulness import wilson_interval
from hf_medreport.evaluation.pictures.judging import ARTEFACT, ARTEFACTS, QUESTIONS, Judge
from hf_medreport.systems.picture_judge.damage import DAMAGES, damaged

__all__ = ["compared", "score_artefacts"]


def score_artefacts(judge: Judge, images: np.ndarray) -> dict[str, dict[str, float]]:
    """How often it gives each answer to pictures without damage, and with each damage.

    Args:
        judge: one that is asked for artefacts.
        images: uint8 (n, size, size, 3), as they were drawn.

    Returns:
        {"no damage" or "slight blur" and so on: {answer: its share}}.
    """
    shares = {"no damage": _shares(judge, images)}
    for level in ARTEFACTS[1:]:
        for damage in DAMAGES:
            shares[f"{level} {damage}"] = _shares(judge, _all_damaged(images, [damage], level))
    return shares


def compared(judge: Judge, other: Judge, drawn: DrawnPictures) -> dict:
    """How often two judges say the same of the same pictures, where the question was one.

    Two good judges agree on what both see rightly; whether one may check the other shows where the other is wrong.

    Returns:
        {"other": its name, "pictures": {"no damage", "slight damage", "strong damage": {question: {"n", "same",
        "interval", "wrong": of the other, "same_wrong": how often this one then says the same}}}}.
    """
    sets = {"no damage": drawn.images}
    sets |= {f"{level} damage": _all_damaged(drawn.images, DAMAGES, level) for level in ARTEFACTS[1:]}
    return {"other": other.name, "pictures": {name: _agreement(judge, other, drawn, sets[name]) for name in sets}}


def _agreement(judge: Judge, other: Judge, drawn: DrawnPictures, images: np.ndarray) -> dict[str, dict]:
    ours, theirs = judge.look(images).answers, other.look(images).answers
    agreement = {}
    for question in QUESTIONS:
        said = [
            (getattr(fact, question), one[question], another[question])
            for fact, one, another in zip(drawn.facts, ours, theirs, strict=True)
            if getattr(fact, question) is not None
        ]
        same, wrong = sum(one == another for _, one, another in said), [row for row in said if row[2] != row[0]]
        agreement[question] = {
            "n": len(said),
            "same": same / len(said) if said else None,
            "interval": wilson_interval(same, len(said)),
            "wrong": len(wrong),
            "same_wrong": sum(one == another for _, one, another in wrong),
        }
    return agreement


def _all_damaged(images: np.ndarray, damages: tuple[str, ...] | list[str], level: str) -> np.ndarray:
    """All pictures, the damages taking turns."""
    rng = np.random.default_rng(0)
    return np.stack([damaged(image, damages[k % len(damages)], level, rng) for k, image in enumerate(images)])


def _shares(judge: Judge, images: np.ndarray) -> dict[str, float]:
    answers = [answer[ARTEFACT] for answer in judge.look(images).answers]
    return {name: answers.count(name) / len(answers) for name in ARTEFACTS}
