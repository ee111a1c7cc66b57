"""What a brain MRI slice can show."""

from hf_medreport.phantom.picture.modality import GRADES, SIDES, Finding, Modality

__all__ = ["MRI"]

LOBES = ("frontal", "parietal", "occipital")

MRI = Modality(
    "mri",
    words={
        "train": ("brain MRI", "MRI slice of the brain", "axial cranial MRI"),
        "held_out": ("cranial MRI", "axial brain MRI slice"),
    },
    findings={
        "mass": Finding(SIDES, LOBES, GRADES),
        "infarct": Finding(SIDES),
        "white matter lesions": Finding(grades=GRADES),
        "hydrocephalus": Finding(grades=GRADES),
        "subdural hematoma": Finding(SIDES, grades=GRADES),
    },
)
