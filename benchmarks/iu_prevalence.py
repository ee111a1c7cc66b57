"""How common each kind of the phantom is in the Indiana University reports, by their MeSH codes: `Kind.reports`.

A report has a kind if one of its major codes says so; what makes a code say so stands in `RULES`. The archive is read
where it lies; only counts are kept.

    python benchmarks/iu_prevalence.py --archive NLMCXR_reports.tgz
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from iu_agreement import MEMBER, read_reports
from speed.measure import write_result

from hf_medreport.phantom.chest.findings import KINDS

CONSOLIDATIONS = ("consolidation", "airspace disease", "pneumonia", "infiltrate")
EDEMAS = ("pulmonary edema", "pulmonary congestion")

# Each takes a code's head and its qualifiers, in lower case: "Opacity/lung/interstitial" is ("opacity", {...}).
RULES: dict[str, Callable[[str, set[str]], bool]] = {
    "cardiomegaly": lambda head, said: head == "cardiomegaly",
    "tortuous_aorta": lambda head, said: head.startswith("aorta") and "tortuous" in said,
    "pleural_effusion": lambda head, said: head == "pleural effusion",
    "pneumothorax": lambda head, said: "pneumothorax" in head,
    "consolidation": lambda head, said: head in CONSOLIDATIONS,
    "atelectasis": lambda head, said: head == "pulmonary atelectasis",
    "interstitial_edema": lambda head, said: (
        head in EDEMAS or head in ("opacity", "markings") and "interstitial" in said
    ),
    "nodule": lambda head, said: head in ("nodule", "mass") or head == "density" and "round" in said,
    "calcified_granuloma": lambda head, said: head == "calcified granuloma",
    "hyperinflation": lambda head, said: "hyperdistention" in said,
    "elevated_diaphragm": lambda head, said: head == "diaphragm" and "elevated" in said,
    "rib_fracture": lambda head, said: head == "fractures, bone" and "ribs" in said,
    "scoliosis": lambda head, said: head == "scoliosis",
    "endotracheal_tube": lambda head, said: head.startswith("tube"),
    "central_line": lambda head, said: head == "catheters, indwelling",
    "pacemaker": lambda head, said: head == "implanted medical device",
}


def has(kind: str, codes: list[str]) -> bool:
    """Whether one of a report's codes says that it has the kind."""
    parts = [code.strip().lower().split("/") for code in codes]
    return any(RULES[kind](head, set(said)) for head, *said in parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True, help=f"{MEMBER}, or the torchxrayvision wheel")
    coded = [codes for _, _, codes in read_reports(parser.parse_args().archive)]
    counts = {kind: sum(has(kind, codes) for codes in coded) for kind in KINDS}
    none = sum(not any(has(kind, codes) for kind in KINDS) for codes in coded)
    figures = {"reports": len(coded), "none_of_these": none, "kinds": counts}
    write_result("iu_prevalence", {"command": "python benchmarks/iu_prevalence.py", **figures})


if __name__ == "__main__":
    main()
