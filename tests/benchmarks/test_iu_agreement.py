"""The agreement command, on an archive of three made-up reports in the collection's layout."""

import importlib
import io
import json
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from hf_medreport.processing.input_error import InputError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
REPORTS = {
    1: ("Small left effusion. The heart is normal.", "Possible pneumonia.", ["Pleural Effusion/left/small"]),
    2: ("", "Cardiomegaly. Right effusion.", ["Cardiomegaly/mild", "Pleural Effusion/bilateral", "Markings/x"]),
    4: ("The lungs are clear.", "No acute disease.", ["normal"]),
    5: ("Edema.", "", ["No Indexing"]),
}


@pytest.fixture
def command(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("iu_agreement")


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "NLMCXR_reports.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for number, (findings, impression, codes) in REPORTS.items():
            heads = "".join(f"<major>{code}</major>" for code in codes)
            parts = (("COMPARISON", "Edema."), ("FINDINGS", findings), ("IMPRESSION", impression))
            texts = "".join(f'<AbstractText Label="{name}">{text}</AbstractText>' for name, text in parts)
            data = f"<eCitation>{texts}<MeSH>{heads}<automatic>x</automatic></MeSH></eCitation>".encode()
            member = tarfile.TarInfo(f"ecgen-radiology/{number}.xml")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize(
    "code, kinds, sides",
    [
        ("Opacity/lung/base/left", {"Lung Opacity"}, {"left"}),
        ("Density/lung/middle lobe/right/round", {"Lung Lesion"}, {"right"}),
        ("Pleural Effusion/bilateral/small", {"Pleural Effusion"}, {"right", "left"}),
        ("Aorta, Thoracic/tortuous/mild", {"Enlarged Cardiomediastinum"}, set()),
        ("Aorta/obscured", set(), set()),
        ("Cardiac Shadow/enlarged", {"Cardiomegaly"}, set()),
        ("Hydropneumothorax/left/large", {"Pneumothorax", "Pleural Effusion"}, {"left"}),
        ("Catheters, Indwelling", {"Support Devices"}, set()),
        ("normal", set(), set()),
    ],
)
def test_codes_by_hand(command, code, kinds, sides):
    assert command.coded(code) == (kinds, sides)


def test_agreement_by_hand(command):
    # both, rule only, coders only, neither: agreed 1/2, chance 1/2
    pairs = [
        ({"Edema": {"left"}}, {"Edema": {"left", "right"}}),
        ({"Edema": set()}, {}),
        ({}, {"Edema": set()}),
        ({}, {}),
    ]
    row = command.agreement(pairs, "Edema")
    assert row == {
        "coders": 2,
        "rule": 2,
        "both": 1,
        "precision": 0.5,
        "recall": 0.5,
        "f1": 0.5,
        "kappa": 0,
        "same_side": 0,
    }
    assert command.agreement([({}, {})], "Edema")["kappa"] is None


@pytest.mark.parametrize("wheel", [False, True])
def test_the_table(command, archive, wheel, tmp_path, monkeypatch, capsys):
    if wheel:
        with zipfile.ZipFile(tmp_path / "txv.whl", "w") as packed:
            packed.write(archive, "torchxrayvision/data/NLMCXR_reports.tgz")
        archive = tmp_path / "txv.whl"
    monkeypatch.setattr(sys.modules["speed.measure"], "RESULTS", tmp_path)
    monkeypatch.setattr(sys, "argv", ["iu_agreement.py", "--archive", str(archive)])
    command.main()
    text = (tmp_path / "iu_agreement.json").read_text()
    tables = json.loads(text)
    effusion = {"coders": 2, "rule": 2, "both": 2, "precision": 1, "recall": 1, "f1": 1, "kappa": 1, "same_side": 0.5}
    assert tables["stated"]["all"]["Pleural Effusion"] == effusion and tables["stated"]["all"]["reports"] == 3
    assert tables["stated"]["even"]["reports"] == 2 and tables["stated"]["even"]["Cardiomegaly"]["both"] == 1
    assert tables["stated"]["all"]["No Finding"]["both"] == tables["stated"]["all"]["No Finding"]["coders"] == 1
    assert tables["stated"]["all"]["Pneumonia"]["rule"] == 0 and tables["stated"]["all"]["Edema"]["rule"] == 0
    assert tables["stated_or_possible"]["all"]["Pneumonia"]["rule"] == 1
    assert "heart" not in text.lower() and "acute" not in text
    lines = capsys.readouterr().out.splitlines()
    assert "Pleural Effusion" in lines[-11]
    # heart, effusion and nothing found: of 14 and of 18 kinds
    assert lines[-2:] == ["mean even f1 of 14 kinds: 0.214", "mean even f1 of 18 kinds: 0.167"]


def test_an_archive_without_reports(command, tmp_path):
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as packed:
        packed.writestr("x", "y")
    with pytest.raises(
        InputError, match="other.whl: found no NLMCXR_reports.tgz inside; expected the reports' archive"
    ):
        list(command.read_reports(tmp_path / "other.whl"))


def test_no_archive(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["iu_agreement.py", "--archive", str(tmp_path / "none.tgz")])
    with pytest.raises(SystemExit) as caught:
        command.main()
    assert caught.value.code == 2 and "--archive: found no file" in capsys.readouterr().err
