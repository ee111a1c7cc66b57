"""What an OCT B-scan can show."""

from hf_medreport.phantom.picture.modality import GRADES, Finding, Modality

__all__ = ["OCT"]

OCT = Modality(
    "oct",
    words={
        "train": ("OCT", "optical coherence tomography", "OCT scan of the macula"),
        "held_out": ("OCT scan", "optical coherence tomography of the macula"),
    },
    findings={
        "drusen": Finding(grades=GRADES),
        "cystoid edema": Finding(grades=GRADES),
        "subretinal fluid": Finding(grades=GRADES),
        "epiretinal membrane": Finding(),
        "macular hole": Finding(),
    },
    of_an_eye=True,
)
