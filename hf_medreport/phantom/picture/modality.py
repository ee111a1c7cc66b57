"""What is known of a modality: its name in a prompt, and which findings its pictures can show."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["GRADES", "SIDES", "Finding", "Modality"]

SIDES = ("right", "left")  # the patient's
GRADES = ("mild", "moderate", "severe")


@dataclass(frozen=True)
class Finding:
    """The attributes of a finding; an empty tuple: it does not take this one."""

    sides: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    grades: tuple[str, ...] = ()


@dataclass(frozen=True)
class Modality:
    """One modality.

    Attributes:
        name: its short name, which is also its room's.
        words: how a prompt calls it: in training, and in held-out wordings.
        findings: what a picture can show, by the finding's name.
        of_an_eye: the side is that of the eye, and every picture has one.
    """

    name: str
    words: dict[str, tuple[str, ...]]
    findings: Mapping[str, Finding]
    of_an_eye: bool = False
