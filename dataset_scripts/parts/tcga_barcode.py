"""What TCGA's barcodes say of a slide: whose it is, of which sample, and how it was made.

`TCGA-AA-0001-01Z-00-DX1.UUID` is a diagnostic slide (DX, paraffin) of a primary tumor (01) of the patient TCGA-AA-0001;
`-11A-01-TS1` is the top section (TS; BS: bottom, MS: middle) of a frozen piece of normal tissue (11). Sample types 01
to 09 are tumors, 10 to 19 normal, 20 and more controls, cell lines and xenografts.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from hf_medreport.processing.input_error import InputError

__all__ = ["ALL", "PATIENT", "SAMPLE_TYPES", "SLIDE_KINDS", "check_rules", "choose_slides"]

PATIENT = re.compile(r"TCGA-[A-Z0-9]{2}-[A-Z0-9]{4}(?![A-Z0-9])")
SLIDE = re.compile(PATIENT.pattern + r"-(\d{2})[A-Z]?(?:-\d{2}[A-Z]?-([A-Z]{2})[A-Z0-9]?(?![A-Z0-9]))?")
SAMPLE_TYPES = tuple(f"{number:02}" for number in range(1, 10))  # of tumors
SLIDE_KINDS = ("DX",)
ALL = "all"


def check_rules(sample_types: Sequence[str], slide_kinds: Sequence[str]) -> None:
    """Refuse rules that no slide could pass."""
    for name, values, form, expected in (
        ("sample_types", sample_types, r"\d\d", "two digits each, as 01,06"),
        ("slide_kinds", slide_kinds, "[A-Z]{2}", "two letters each, as DX,TS"),
    ):
        bad = [value for value in values if value != ALL and not re.fullmatch(form, value)]
        if bad or not values:
            raise InputError(name, f"'{bad[0]}'" if bad else "none", f"{expected}, or {ALL}", "correct it")


def choose_slides(
    names: Sequence[str], sample_types: Sequence[str] = SAMPLE_TYPES, slide_kinds: Sequence[str] = SLIDE_KINDS
) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Patient -> names of the slides to learn from, and what became of all.

    Args:
        names: of slides, with folders and endings.
        sample_types: digits of the samples that stay; `("all",)` keeps every one.
        slide_kinds: letters of the slides that stay; likewise. A name that does not say its sample or kind stays.

    Returns:
        the slides, and counts: "read", then what was left out ("no barcode", "sample type 11", "slide kind TS", ...),
        then "kept".
    """
    chosen, left_out = {}, Counter()
    for name in names:
        barcode = PurePosixPath(name).name.upper()
        patient, slide = PATIENT.match(barcode), SLIDE.match(barcode)
        sample, kind = slide.groups() if slide else (None, None)
        if patient is None:
            left_out["no barcode"] += 1
        elif sample and ALL not in sample_types and sample not in sample_types:
            left_out[f"sample type {sample}"] += 1
        elif kind and ALL not in slide_kinds and kind not in slide_kinds:
            left_out[f"slide kind {kind}"] += 1
        else:
            chosen.setdefault(patient[0], []).append(name)
    return chosen, {"read": len(names), **dict(sorted(left_out.items())), "kept": sum(map(len, chosen.values()))}
