"""What a chest CT slice can show."""

from hf_medreport.phantom.picture.modality import GRADES, SIDES, Finding, Modality

__all__ = ["CT"]

ZONES = ("anterior", "posterior")

CT = Modality(
    "ct",
    words={
        "train": ("chest CT", "axial CT slice of the chest", "thoracic CT"),
        "held_out": ("axial chest CT", "thoracic CT slice"),
    },
    findings={
        "nodule": Finding(SIDES, ZONES, GRADES),
        "consolidation": Finding(SIDES, ZONES),
        "pleural effusion": Finding(SIDES, grades=GRADES),
        "pneumothorax": Finding(SIDES, grades=GRADES),
        "emphysema": Finding(grades=GRADES),
    },
)
