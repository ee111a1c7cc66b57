"""What a fundus photograph can show."""

from hf_medreport.phantom.picture.modality import GRADES, Finding, Modality

__all__ = ["FUNDUS"]

HALVES = ("superior", "inferior")

FUNDUS = Modality(
    "fundus",
    words={
        "train": ("fundus photograph", "retinal fundus image", "color photograph of the fundus"),
        "held_out": ("color fundus image", "retinal photograph"),
    },
    findings={
        "hemorrhages": Finding(zones=HALVES, grades=GRADES),
        "hard exudates": Finding(zones=HALVES, grades=GRADES),
        "cotton wool spots": Finding(zones=HALVES),
        "optic disc cupping": Finding(grades=GRADES),
        "drusen": Finding(grades=GRADES),
    },
    of_an_eye=True,
)
