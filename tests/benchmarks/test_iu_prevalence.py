"""The phantom's natural prevalence is what the committed count of the archive's codes says."""

import importlib
import json
from pathlib import Path

import pytest

from hf_medreport.phantom.chest.findings import KINDS
from hf_medreport.phantom.chest.patients import IU_REPORTS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def prevalence(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("iu_prevalence")


def test_the_table_holds_the_counts():
    counted = json.loads((BENCHMARKS / "results" / "iu_prevalence.json").read_text(encoding="utf-8"))
    assert counted["kinds"] == {kind: row.reports for kind, row in KINDS.items()}
    assert counted["reports"] == IU_REPORTS


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ("Opacity/lung/base/left", set()),
        ("Opacity/lung/interstitial", {"interstitial_edema"}),
        ("Aorta, Thoracic/tortuous/mild", {"tortuous_aorta"}),
        ("Aorta/enlarged", set()),
        ("Density/lung/middle lobe/right/round", {"nodule"}),
        ("Diaphragm/right/elevated", {"elevated_diaphragm"}),
        ("Diaphragm/bilateral/flattened", set()),
        ("Fractures, Bone/clavicle/left", set()),
        ("Fractures, Bone/ribs/left/healed", {"rib_fracture"}),
        ("Hydropneumothorax/left", {"pneumothorax"}),
        ("Lung/hyperdistention", {"hyperinflation"}),
        ("normal", set()),
    ],
)
def test_what_a_code_says(prevalence, code, kinds):
    assert {kind for kind in KINDS if prevalence.has(kind, ["Markings/lung", code])} == kinds
