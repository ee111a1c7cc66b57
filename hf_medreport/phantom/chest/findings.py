"""What a film can show: the kinds of finding, one finding as a `Fact`, and what a patient may have together.

`KINDS` is the single table that the drawers, the grammar, the parser and the score read. Its order is the order in
which a report speaks of the findings. Sides are the patient's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

from hf_medreport.processing.input_error import InputError

__all__ = ["CHANGES", "GRADES", "KINDS", "NUMBERS", "SIDES", "ZONES", "Fact", "Kind", "check_facts", "conflict"]
__all__ += ["observations", "report_order"]

SIDES = ("right", "left")
ZONES = ("upper", "middle", "lower")
GRADES = ("mild", "moderate", "severe")
NUMBERS = ("single", "multiple")
CHANGES = ("new", "increased", "decreased", "unchanged")


@dataclass(frozen=True)
class Kind:
    """What is known of a kind of finding; an empty tuple: it does not take this attribute.

    Attributes:
        organ: the part of the report that speaks of it.
        chexpert: the CheXpert observation it belongs to (Irvin et al., 2019, table 1); None: it has none.
        reports: how many of the 3,955 reports of the Indiana University collection carry MeSH codes of this kind
            (counted by benchmarks/iu_prevalence.py).
        sides, zones, severities, numbers: the values of these attributes.
        sizes: smallest and largest diameter in mm.
        chronic: it does not change between two films of a patient.
        doubtful: a report may call it possible.
    """

    organ: str
    chexpert: str | None
    reports: int
    sides: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    severities: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    sizes: tuple[int, int] | None = None
    chronic: bool = False
    doubtful: bool = False


KINDS: Mapping[str, Kind] = {
    "cardiomegaly": Kind("heart", "Cardiomegaly", 375, severities=GRADES),
    "tortuous_aorta": Kind("mediastinum", "Enlarged Cardiomediastinum", 252, chronic=True),
    "pleural_effusion": Kind("pleura", "Pleural Effusion", 161, SIDES, severities=GRADES),
    "pneumothorax": Kind("pleura", "Pneumothorax", 27, SIDES, severities=GRADES),
    "consolidation": Kind("lungs", "Consolidation", 213, SIDES, ZONES, doubtful=True),
    "atelectasis": Kind("lungs", "Atelectasis", 332, SIDES, ZONES, doubtful=True),
    "interstitial_edema": Kind("lungs", "Edema", 189, severities=GRADES),
    "nodule": Kind("lungs", "Lung Lesion", 157, SIDES, ZONES, sizes=(12, 48), doubtful=True),
    "calcified_granuloma": Kind("lungs", None, 274, SIDES, ZONES, numbers=NUMBERS, chronic=True),
    "hyperinflation": Kind("lungs", None, 216, chronic=True),
    "elevated_diaphragm": Kind("diaphragm", None, 87, SIDES),
    "rib_fracture": Kind("bones", "Fracture", 53, SIDES, numbers=NUMBERS),
    "scoliosis": Kind("bones", None, 99, SIDES, severities=GRADES, chronic=True),
    "endotracheal_tube": Kind("devices", "Support Devices", 33),
    "central_line": Kind("devices", "Support Devices", 125, SIDES),
    "pacemaker": Kind("devices", "Support Devices", 110, SIDES, chronic=True),
}

# The zones of the lung that an effusion of this grade covers with fluid.
FLOODED_ZONES = {"mild": (), "moderate": ("lower",), "severe": ("middle", "lower")}
# A patient has one of these, on one side.
ONLY_ONCE = {"elevated_diaphragm", "scoliosis", "pacemaker"}
# Neither can be seen where the other is, on one side.
EXCLUSIVE = (
    {"pleural_effusion", "pneumothorax"},
    {"pleural_effusion", "elevated_diaphragm"},
    {"pneumothorax", "elevated_diaphragm"},
)


@dataclass(frozen=True)
class Fact:
    """One finding.

    Side, zone and severity are given if and only if the kind takes them. `size_mm` and `number` may be left open
    (None), as a report may. `certain` is False where the film is too faint for more than "possible". `change` is
    what happened since the prior film, None without one.

    Raises:
        InputError: unknown kind, or an attribute that is missing, forbidden or not one of the kind's values.
    """

    kind: str
    side: str | None = None
    zone: str | None = None
    severity: str | None = None
    size_mm: int | None = None
    number: str | None = None
    certain: bool = True
    change: str | None = None

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError("fact", f"kind {self.kind!r}", "one of " + ", ".join(KINDS), "name a known kind")
        kind, where = KINDS[self.kind], f"fact {self.kind}"
        if self.side == "left" and self.zone == "middle lobe":
            found = "a left middle lobe"
            raise InputError(where, found, "a zone: " + ", ".join(ZONES), "the left lung has no middle lobe")
        for name, allowed in (("side", kind.sides), ("zone", kind.zones), ("severity", kind.severities)):
            self._check(name, allowed or (None,))
        self._check("number", (None, *kind.numbers))
        self._check("change", (None, *CHANGES))
        self._check("certain", (True, False) if kind.doubtful else (True,))
        if self.size_mm is not None:
            low, high = kind.sizes or (0, 0)
            whole = isinstance(self.size_mm, int)
            if not kind.sizes or not whole or not low <= self.size_mm <= high:
                expected = f"{low} to {high} whole mm" if kind.sizes else "no size"
                raise InputError(where, f"size_mm {self.size_mm!r}", expected, "correct the size_mm")

    def _check(self, name: str, allowed: tuple) -> None:
        value = getattr(self, name)
        if value not in allowed:
            values = [str(one) for one in allowed if one is not None]
            expected = "one of " + ", ".join(values) if values else f"no {name}"
            raise InputError(f"fact {self.kind}", f"{name} {value!r}", expected, f"correct the {name}")

    @property
    def key(self) -> tuple[str, str | None, str | None, str | None]:
        """(kind, side, zone, severity): what the exact score compares."""
        return self.kind, self.side, self.zone, self.severity

    def __str__(self) -> str:
        size = f"{self.size_mm} mm" if self.size_mm else None
        words = (None if self.certain else "possible", self.change, self.number, size)
        words += (self.severity, self.side, self.zone, self.kind.replace("_", " "))
        return " ".join(word for word in words if word)


def report_order(facts: Iterable[Fact]) -> list[Fact]:
    """The facts in the order in which a report states them: kinds as in `KINDS`, then right before left."""
    kinds = list(KINDS)
    return sorted(facts, key=lambda fact: (kinds.index(fact.kind), fact.side != "right", fact.zone or ""))


def observations(facts: Iterable[Fact]) -> list[str]:
    """The CheXpert observations that facts belong to, each once, in their order."""
    return list(dict.fromkeys(KINDS[fact.kind].chexpert for fact in facts if KINDS[fact.kind].chexpert))


def conflict(one: Fact, other: Fact) -> bool:
    """Whether two facts contradict or hide each other, so that no film could show both.

    That is so for two facts of one kind and side, for what a patient has once, for two findings in one zone of a
    lung, for a finding in a zone that an effusion floods or under a pacemaker's box, for two that reshape one pleural
    space, for broken ribs behind a large effusion, and for overexpanded lungs above a raised diaphragm.
    """
    kinds = {one.kind, other.kind}
    if len(kinds) == 1 and one.kind in ONLY_ONCE or kinds == {"hyperinflation", "elevated_diaphragm"}:
        return True
    if one.side != other.side:
        return False
    if len(kinds) == 1 or kinds in EXCLUSIVE:
        return True
    if one.zone and other.zone:
        return one.zone == other.zone
    if "pleural_effusion" in kinds:
        fluid, finding = (one, other) if one.kind == "pleural_effusion" else (other, one)
        hidden = finding.kind == "rib_fracture" and fluid.severity == "severe"
        return hidden or finding.zone in FLOODED_ZONES[fluid.severity]
    return "pacemaker" in kinds and "upper" in (one.zone, other.zone)


def check_facts(facts: Iterable[Fact]) -> None:
    """Raise InputError if any two of the facts contradict or hide each other."""
    for one, other in combinations(facts, 2):
        if conflict(one, other):
            expected = "facts that one film can show together"
            raise InputError("facts", f"{one} and {other}", expected, "drop or move one of them")
