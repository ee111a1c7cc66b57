"""Which findings a slide has.

What goes together in patients goes together here: a higher grade brings more mitoses and more necrosis, a larger tumor
more positive nodes and margins. The shares are set by hand to be plausible, not counted in an archive.
"""

import numpy as np

from hf_medreport.phantom.chest.patients import PREVALENCES
from hf_medreport.phantom.slide.findings import (
    BENIGN,
    DIAGNOSES,
    GRADES,
    INFLAMMATIONS,
    MARGINS,
    MOST_MITOSES,
    MOST_NODES,
    NECROSES,
    SITES,
    SIZES_CM,
    SlideFacts,
)
from hf_medreport.processing.input_error import InputError

__all__ = ["PREVALENCES", "draw_slide_facts"]

BENIGN_SHARE = {"balanced": 0.15, "natural": 0.3}
# Under natural prevalence, how the values share the slides, in the order of their tables.
SITE_SHARES = (0.4, 0.2, 0.25, 0.15)
DIAGNOSIS_SHARES = {"breast": (0.85, 0.15), "colon": (1.0,), "lung": (0.6, 0.4), "kidney": (1.0,)}
GRADE_SHARES = (0.25, 0.45, 0.3)
INFLAMMATION_SHARES = (0.5, 0.35, 0.15)
# By grade.
NECROSIS_SHARES = {1: (0.85, 0.13, 0.02), 2: (0.6, 0.3, 0.1), 3: (0.3, 0.4, 0.3)}
MEAN_MITOSES = {1: 3, 2: 10, 3: 22}


def draw_slide_facts(rng: np.random.Generator, prevalence: str = "balanced") -> SlideFacts:
    """Draw the findings of one slide.

    Args:
        rng: the source of chance.
        prevalence: "balanced" for training (15 % benign; sites, the diagnoses of a site, grades, inflammation, margins
            and sizes equally frequent, the couplings halved) or "natural" for testing (30 % benign, common things
            common, most tumors small and grade 2).

    Raises:
        InputError: unknown prevalence.
    """
    if prevalence not in PREVALENCES:
        raise InputError("prevalence", repr(prevalence), " or ".join(PREVALENCES), "name one of the two")
    natural = prevalence == "natural"
    site = _one_of(rng, SITES, SITE_SHARES if natural else None)
    inflammation = _one_of(rng, INFLAMMATIONS, INFLAMMATION_SHARES if natural else None)
    examined = int(rng.integers(MOST_NODES + 1))
    if rng.random() < BENIGN_SHARE[prevalence]:
        return SlideFacts(site, BENIGN, inflammation=inflammation, nodes_examined=examined)

    malignant = tuple(diagnosis for diagnosis in DIAGNOSES[site] if diagnosis != BENIGN)
    diagnosis = _one_of(rng, malignant, DIAGNOSIS_SHARES[site] if natural else None)
    grade = _one_of(rng, GRADES, GRADE_SHARES if natural else None)
    necrosis_shares = np.array(NECROSIS_SHARES[grade])
    smallest, largest = SIZES_CM
    size = smallest + (largest - smallest) * (rng.beta(2, 4) if natural else rng.random())
    positive_margin = 0.05 + 0.05 * size if natural else 0.5
    return SlideFacts(
        site,
        diagnosis,
        grade,
        necrosis=_one_of(rng, NECROSES, necrosis_shares if natural else (necrosis_shares + 1 / len(NECROSES)) / 2),
        inflammation=inflammation,
        mitoses=min(int(rng.poisson(MEAN_MITOSES[grade])), MOST_MITOSES),
        margin=_one_of(rng, MARGINS, (1 - positive_margin, positive_margin)),
        size_cm=round(float(size), 1),
        nodes_positive=int(rng.binomial(examined, 0.1 * size if natural else 0.25 + 0.05 * size)),
        nodes_examined=examined,
    )


def _one_of(rng: np.random.Generator, values: tuple, shares=None):
    """One of the values by these shares; without shares they are equally frequent."""
    return values[rng.choice(len(values), p=shares)]
