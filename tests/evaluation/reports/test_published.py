"""The published figures name metrics that we have, and ours stand beside them in percent."""

import pytest

from hf_medreport.evaluation.registry import METRICS
from hf_medreport.evaluation.reports.published import PUBLISHED, compares, published_rows


def test_figures_on_labels_are_of_our_registry():
    named = {item.metric for item in PUBLISHED if item.figure.startswith("CheXbert")}
    assert len(named) == 4 and named <= set(METRICS)
    assert all(METRICS[name].function == "clinical.label_scores:chexpert" for name in named)


def test_every_figure_is_of_our_registry():
    assert {item.metric for item in PUBLISHED} <= set(METRICS)


def test_rows():
    rows = published_rows({"chexpert_f1": 0.5, "bleu4": 0.1})
    assert rows[0] == {
        "figure": "CheXbert F1, micro",
        "metric": "chexpert_f1",
        "ours": 50.0,
        "systems": {"UDEM thesis": 38.38, "MAIRA-2": 58.1},
    }
    assert [row["ours"] for row in rows[1:]] == [None] * 5


@pytest.mark.parametrize(
    ("dataset", "section", "beside"),
    [
        ("physionet/mimic-cxr", "findings", True),
        ("PhysioNet/MIMIC-CXR-JPG", "findings", True),
        ("physionet/mimic-cxr", None, False),
        ("physionet/mimic-cxr", "impression", False),
        ("local/reports", "findings", False),
        ("local/mimic-cxr", "findings", False),
    ],
)
def test_they_stand_beside_figures_of_their_own_test_set_alone(dataset, section, beside):
    assert compares(dataset, section) is beside
