"""The chest film as one of the five modalities: a finding of the chest's own that shows well at 64 px."""

from hf_medreport.phantom.chest.findings import KINDS, Fact
from hf_medreport.phantom.chest.frontal import draw_frontal
from hf_medreport.phantom.picture.canvas import Picture, chance
from hf_medreport.phantom.picture.modality import Finding, Modality

__all__ = ["CXR", "draw_film"]

SHOWN = ("cardiomegaly", "pleural_effusion", "pneumothorax", "consolidation", "nodule", "interstitial_edema")
SHOWN += ("elevated_diaphragm", "pacemaker")
TOO_SMALL = {"pleural_effusion": ("mild",), "pneumothorax": ("mild",)}  # grades of less than a pixel or two at 64 px
LARGE_NODULE = (32, 48)  # mm: a smaller one is a pixel or two at 64 px


def _as_finding(kind: str) -> Finding:
    grades = tuple(grade for grade in KINDS[kind].severities if grade not in TOO_SMALL.get(kind, ()))
    return Finding(KINDS[kind].sides, KINDS[kind].zones, grades)


CXR = Modality(
    "cxr",
    words={
        "train": ("chest x-ray", "chest radiograph", "frontal film of the chest"),
        "held_out": ("frontal chest x-ray", "chest film"),
    },
    findings={kind.replace("_", " "): _as_finding(kind) for kind in SHOWN},
)


def draw_film(fact, patient: int, size: int, style: str = "standard") -> Picture:
    """Draw the patient's frontal film with this `PictureFact`; arguments as of `draw_frontal`."""
    facts, kind = [], fact.finding.replace(" ", "_")
    if kind in KINDS:
        rng = chance(patient, "nodule")
        size_mm = int(rng.integers(LARGE_NODULE[0], LARGE_NODULE[1] + 1)) if KINDS[kind].sizes else None
        facts = [Fact(kind, fact.side, fact.zone, fact.grade, size_mm=size_mm)]
    film = draw_frontal(facts, patient, size, style)
    mask = film.findings[facts[0]] if facts else film.heart & False
    return Picture(film.image, mask)
