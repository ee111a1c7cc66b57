"""Figures that others printed for their systems, to stand beside ours: "ours against published systems".

The thesis of layer-wise anatomical attention compares itself with the best published figure of each metric on the
findings of MIMIC-CXR's test split. The table below is what its README prints
(devMuniz02/UDEM-CXR-Reporting-Thesis-2025, commit 0078431), in percent. Such figures compare only on the same reports,
cut out the same way and labeled by the same labeler: ours are by rules, theirs by CheXbert, and MAIRA-2's two RadGraph
figures come of two programs (an ER above an E shows it).
"""

from dataclasses import dataclass

__all__ = ["PUBLISHED", "TEST_SETS", "Published", "compares", "published_rows"]

DATA = "findings of MIMIC-CXR's test split"
THESIS = "UDEM thesis"
TEST_SETS = ("physionet/mimic-cxr", "physionet/mimic-cxr-jpg")  # as `dataset` names the set whose test split it is
SECTION = "findings"


def compares(dataset: str, section: str | None) -> bool:
    """Whether published figures may stand beside those of this data set and section: on any other they say nothing."""
    return dataset.lower() in TEST_SETS and section == SECTION


@dataclass(frozen=True)
class Published:
    """One figure of one system.

    Args:
        figure: as the source calls it.
        metric: ours that is nearest to it, by the registry's name.
        system: whose.
        percent: as printed.
    """

    figure: str
    metric: str
    system: str
    percent: float


PUBLISHED = (
    Published("CheXbert F1, micro", "chexpert_f1", THESIS, 38.38),
    Published("CheXbert F1, micro", "chexpert_f1", "MAIRA-2", 58.1),
    Published("CheXbert F1, macro", "chexpert_macro_f1", THESIS, 19.61),
    Published("CheXbert F1, macro", "chexpert_macro_f1", "MAIRA-2", 41.6),
    Published("CheXbert F1, micro of 5", "chexpert5_f1", THESIS, 42.93),
    Published("CheXbert F1, micro of 5", "chexpert5_f1", "MAIRA-2", 59.1),
    Published("CheXbert F1, macro of 5", "chexpert5_macro_f1", THESIS, 31.87),
    Published("CheXbert F1, macro of 5", "chexpert5_macro_f1", "MedPaLM-M", 51.6),
    Published("RadGraph F1, E", "radgraph_E", THESIS, 15.83),
    Published("RadGraph F1, E", "radgraph_E", "MAIRA-2", 34.6),
    Published("RadGraph F1, ER", "radgraph_ER", THESIS, 13.91),
    Published("RadGraph F1, ER", "radgraph_ER", "MAIRA-2", 39.6),
)


def published_rows(values: dict[str, float]) -> list[dict]:
    """One row a published figure: `figure`, `ours` in percent or None where our metric was not run, and `systems`.

    Args:
        values: {metric: value, 0 to 1} of our run.
    """
    rows: dict[str, dict] = {}
    for item in PUBLISHED:
        ours = values.get(item.metric)
        row = rows.setdefault(item.figure, {"figure": item.figure, "metric": item.metric, "ours": None, "systems": {}})
        row["ours"] = None if ours is None else round(100 * ours, 2)
        row["systems"][item.system] = item.percent
    return list(rows.values())
