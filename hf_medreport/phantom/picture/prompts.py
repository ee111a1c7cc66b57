"""Prompts that ask for a drawn picture, in two sets of wordings that share their words but no phrase.

A generator whose text encoder is trained from nothing cannot know a word that it never saw; it can be asked to
understand known words in a new order.

    >>> fact = PictureFact("ct", "nodule", "left", "anterior", "mild")
    >>> write_prompt(fact, np.random.default_rng(3))
    'thoracic CT: mild left anterior nodule'
"""

import numpy as np

from hf_medreport.phantom.picture.facts import MODALITIES, NO_FINDING, PictureFact
from hf_medreport.processing.input_error import InputError

__all__ = ["WORDINGS", "write_prompt"]

# {name}: the modality; {grade}: its word, or none; {finding}; {at}: side and zone as adjectives; {where}: as a place.
PLACED = {
    "train": (
        "{name}: {grade} {at} {finding}",
        "{name} showing {grade} {finding} in the {where}",
        "{grade} {finding} in the {where}, {name}",
    ),
    "held_out": ("{name} of {grade} {at} {finding}", "{name}, {where}: {grade} {finding}"),
}
OF_AN_EYE = {
    "train": (
        "{name}: {grade} {finding} in the {where}",
        "{name} of the {side} eye showing {grade} {at} {finding}",
        "{grade} {at} {finding}, {side} eye, {name}",
    ),
    "held_out": ("{name}, {side} eye: {grade} {at} {finding}", "{name} showing {grade} {finding} of the {where}"),
}
ANYWHERE = {
    "train": ("{name}: {grade} {finding}", "{name} showing {grade} {finding}", "{grade} {finding}, {name}"),
    "held_out": ("{name} of {grade} {finding}", "{name}, {grade} {finding}"),
}
WORDINGS = tuple(PLACED)
# How a grade may be said beside its own word: of what has a size, and of what is counted.
LARGE = dict.fromkeys(("nodule", "mass", "pleural effusion", "pneumothorax"), {"mild": "small", "severe": "large"})
MANY = dict.fromkeys(("white matter lesions", "hemorrhages", "hard exudates"), {"mild": "few", "severe": "many"})
NORMAL = ("no finding", "normal", "nothing abnormal")
ORGANS = {"cxr": "zone", "ct": "lung", "mri": "lobe", "fundus": "retina"}


def write_prompt(fact: PictureFact, rng: np.random.Generator, wordings: str = "train") -> str:
    """Word a fact as one phrase: modality, grade, finding, side and zone, each named once.

    Args:
        fact: what the picture shows.
        rng: chooses among the wordings.
        wordings: "train" or "held_out".

    Raises:
        InputError: unknown wordings.
    """
    if wordings not in WORDINGS:
        raise InputError("wordings", repr(wordings), " or ".join(WORDINGS), "name one of the two")

    def one_of(choices: tuple[str, ...]) -> str:
        return choices[rng.integers(len(choices))]

    modality = MODALITIES[fact.modality]
    templates = OF_AN_EYE if modality.of_an_eye else PLACED if fact.side else ANYWHERE
    other = (LARGE | MANY).get(fact.finding, {}).get(fact.grade, fact.grade)
    phrase = one_of(templates[wordings]).format(
        name=one_of(modality.words[wordings]),
        grade=one_of((fact.grade, other)) if fact.grade else "",
        finding=one_of(NORMAL) if fact.finding == NO_FINDING else fact.finding,
        side=fact.side,
        at=(fact.zone or "") if modality.of_an_eye else f"{fact.side} {fact.zone or ''}",
        where=_place(fact, modality.of_an_eye),
    )
    return " ".join(phrase.split()).replace(" ,", ",").removeprefix(", ")


def _place(fact: PictureFact, of_an_eye: bool) -> str:
    """Side and zone as a place: "left anterior lung", "superior retina of the right eye", "left side"."""
    if of_an_eye:
        return f"{fact.zone} retina of the {fact.side} eye" if fact.zone else f"{fact.side} eye"
    return f"{fact.side} {fact.zone} {ORGANS[fact.modality]}" if fact.zone else f"{fact.side} side"
