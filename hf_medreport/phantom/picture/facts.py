"""What one picture shows: a modality and one finding of it, or none."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hf_medreport.phantom.ct.findings import CT
from hf_medreport.phantom.fundus.findings import FUNDUS
from hf_medreport.phantom.mri.findings import MRI
from hf_medreport.phantom.oct.findings import OCT
from hf_medreport.phantom.picture.film import CXR
from hf_medreport.phantom.picture.modality import SIDES, Finding, Modality
from hf_medreport.processing.input_error import InputError

__all__ = ["MODALITIES", "NO_FINDING", "PictureFact", "draw_fact"]

MODALITIES: Mapping[str, Modality] = {one.name: one for one in (CXR, CT, MRI, OCT, FUNDUS)}
NO_FINDING = "no finding"
NORMAL_SHARE = 0.12  # of the pictures that show none


@dataclass(frozen=True)
class PictureFact:
    """What one picture shows.

    Side, zone and grade are given if and only if the finding takes them; of an eye the side is always given.

    Raises:
        InputError: an unknown modality or finding, or an attribute that is missing, forbidden or unknown.
    """

    modality: str
    finding: str = NO_FINDING
    side: str | None = None
    zone: str | None = None
    grade: str | None = None

    def __post_init__(self):
        if self.modality not in MODALITIES:
            known = ", ".join(MODALITIES)
            raise InputError("modality", repr(self.modality), f"one of {known}", "name a known modality")
        modality = MODALITIES[self.modality]
        if self.finding not in (NO_FINDING, *modality.findings):
            expected = f"{NO_FINDING}, {', '.join(modality.findings)}"
            raise InputError(f"finding of {self.modality}", repr(self.finding), expected, "name one of these")
        finding = self.row
        sides = SIDES if modality.of_an_eye else finding.sides
        for name, allowed in (("side", sides), ("zone", finding.zones), ("grade", finding.grades)):
            if getattr(self, name) not in (allowed or (None,)):
                expected = f"one of {', '.join(allowed)}" if allowed else f"no {name}"
                where = f"{self.modality}, {self.finding}"
                raise InputError(where, f"{name} {getattr(self, name)!r}", expected, f"correct the {name}")

    @property
    def row(self) -> Finding:
        """What this finding can be."""
        return MODALITIES[self.modality].findings.get(self.finding, Finding())


def draw_fact(rng: np.random.Generator, modality: str) -> PictureFact:
    """What a picture of this modality shows by chance: every finding equally often, 12 % without one."""
    findings = MODALITIES[modality].findings
    name = NO_FINDING if rng.random() < NORMAL_SHARE else list(findings)[rng.integers(len(findings))]
    row = findings.get(name, Finding())

    def one_of(values: tuple[str, ...]) -> str | None:
        return values[rng.integers(len(values))] if values else None

    sides = SIDES if MODALITIES[modality].of_an_eye else row.sides
    return PictureFact(modality, name, one_of(sides), one_of(row.zones), one_of(row.grades))
