"""What a slide can show: the site, the diagnosis and what goes with it, as one `SlideFacts`.

A slide has one specimen, so its findings are one record and not a list. The grammar, the parser, the drawing and the
score read the tables of this module; their order is the order in which a summary speaks of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hf_medreport.processing.input_error import InputError

__all__ = ["BENIGN", "DIAGNOSES", "FIELDS", "GRADES", "INFLAMMATIONS", "MARGINS", "MOST_MITOSES", "MOST_NODES"]
__all__ += ["NECROSES", "SITES", "SIZES_CM", "SlideFacts"]

BENIGN = "no malignancy"
DIAGNOSES: Mapping[str, tuple[str, ...]] = {
    "breast": ("invasive ductal carcinoma", "invasive lobular carcinoma", BENIGN),
    "colon": ("adenocarcinoma", BENIGN),
    "lung": ("adenocarcinoma", "squamous cell carcinoma", BENIGN),
    "kidney": ("clear cell renal cell carcinoma", BENIGN),
}
SITES = tuple(DIAGNOSES)
GRADES = (1, 2, 3)
NECROSES = ("absent", "focal", "extensive")
INFLAMMATIONS = ("absent", "mild", "marked")
MARGINS = ("negative", "positive")
MOST_MITOSES = 40  # per 10 high-power fields
SIZES_CM = (0.5, 5.0)
MOST_NODES = 6

# What a report can state; the value of `nodes` is (positive, examined).
FIELDS = ("site", "diagnosis", "grade", "necrosis", "inflammation", "mitoses", "margin", "size_cm", "nodes")
# What only a tumor has.
OF_A_TUMOR = ("grade", "mitoses", "margin", "size_cm")


@dataclass(frozen=True)
class SlideFacts:
    """What one slide shows.

    Attributes:
        site: the organ, one of `SITES`.
        diagnosis: one of `DIAGNOSES[site]`; with "no malignancy" the grade, mitoses, margin and size are None, necrosis
            is absent and no node is positive.
        grade: 1 (well differentiated) to 3 (poorly differentiated).
        necrosis: one of `NECROSES`.
        inflammation: one of `INFLAMMATIONS`.
        mitoses: mitotic figures per 10 high-power fields, 0 to 40.
        margin: whether the tumor reaches the cut edge ("positive") or not ("negative").
        size_cm: greatest diameter of the tumor in the specimen, 0.5 to 5.0 cm, one decimal.
        nodes_positive, nodes_examined: lymph nodes with tumor, of those examined, at most 6.

    Raises:
        InputError: a value that is not allowed, or not beside the diagnosis.
    """

    site: str
    diagnosis: str
    grade: int | None = None
    necrosis: str = "absent"
    inflammation: str = "absent"
    mitoses: int | None = None
    margin: str | None = None
    size_cm: float | None = None
    nodes_positive: int = 0
    nodes_examined: int = 0

    def __post_init__(self):
        self._check("site", self.site in SITES, "one of " + ", ".join(SITES))
        diagnoses = DIAGNOSES[self.site]
        self._check("diagnosis", self.diagnosis in diagnoses, f"a diagnosis of {self.site}: " + ", ".join(diagnoses))
        self._check("inflammation", self.inflammation in INFLAMMATIONS, "one of " + ", ".join(INFLAMMATIONS))
        examined, positive = self.nodes_examined, self.nodes_positive
        self._check("nodes_examined", _whole(examined, 0, MOST_NODES), f"0 to {MOST_NODES} lymph nodes")
        self._check("nodes_positive", _whole(positive, 0, examined), f"0 to {examined}, the nodes examined")
        if self.diagnosis == BENIGN:
            for name in OF_A_TUMOR:
                self._check(name, getattr(self, name) is None, f"None beside {BENIGN!r}")
            self._check("necrosis", self.necrosis == "absent", f"absent beside {BENIGN!r}")
            self._check("nodes_positive", positive == 0, f"0 beside {BENIGN!r}")
            return
        self._check("grade", _whole(self.grade, *GRADES[::2]), "1, 2 or 3")
        self._check("necrosis", self.necrosis in NECROSES, "one of " + ", ".join(NECROSES))
        self._check("mitoses", _whole(self.mitoses, 0, MOST_MITOSES), f"0 to {MOST_MITOSES} per 10 high-power fields")
        self._check("margin", self.margin in MARGINS, " or ".join(MARGINS))
        low, high = SIZES_CM
        size = self.size_cm
        number = isinstance(size, int | float) and not isinstance(size, bool)
        fits = number and low <= size <= high and round(size, 1) == size
        self._check("size_cm", fits, f"{low} to {high} cm with one decimal")

    def _check(self, name: str, allowed: bool, expected: str) -> None:
        if not allowed:
            raise InputError("slide facts", f"{name} {getattr(self, name)!r}", expected, f"correct the {name}")

    @property
    def facts(self) -> frozenset[tuple[str, object]]:
        """The (field, value) pairs that hold, what does not apply left out; of nodes (positive, examined)."""
        nodes = (self.nodes_positive, self.nodes_examined)
        values = {name: nodes if name == "nodes" else getattr(self, name) for name in FIELDS}
        return frozenset((name, value) for name, value in values.items() if value is not None)


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
