"""Where a model was given labels that were taken from the reference, every form of its scores says so."""

import json

import pytest
import yaml

from hf_medreport.evaluation.reports.folder import evaluate_files
from hf_medreport.evaluation.reports.predictions import read_predictions

TEXTS = ("Small left effusion.", "Clear lungs.", "Large heart.", "FINDINGS: Clear. IMPRESSION: Normal.")
LINE = "oracle labels: 3 of 4 reports were written with labels taken from the reference"


def rows(*sources) -> list[dict]:
    """A row a text; None leaves the source out."""
    return [
        {"id": f"case-{number}", "prediction": text, "reference": text}
        | ({} if source is None else {"label_source": source})
        for number, (text, source) in enumerate(zip(TEXTS, sources, strict=True))
    ]


def write(path, content):
    path.write_text("\n".join(map(json.dumps, content)) if path.suffix == ".jsonl" else json.dumps(content))
    return path


@pytest.fixture
def oracle(tmp_path):
    return write(tmp_path / "oracle.jsonl", rows("oracle", "oracle", "predicted", "oracle"))


@pytest.fixture
def plain(tmp_path):
    return write(tmp_path / "plain.jsonl", rows(None, "none", "predicted", None))


def test_every_form_says_so(oracle, tmp_path):
    evaluation = evaluate_files(oracle, tmp_path / "out", metrics=["rougeL"])
    assert f"oracle.jsonl: {LINE}" in evaluation.table().splitlines()
    assert json.loads((tmp_path / "out" / "scores.json").read_text())["oracle_labels"] == LINE
    assert LINE in (tmp_path / "out" / "page.html").read_text()
    (entry,) = yaml.safe_load((tmp_path / "out" / ".eval_results" / "reports.yaml").read_text())
    assert entry["notes"].startswith(f"4 reports; {LINE}; ")


def test_without_any_nothing_is_said(plain, tmp_path):
    evaluation = evaluate_files(plain, tmp_path / "out", metrics=["rougeL"])
    assert evaluation.to_json()["oracle_labels"] is None and "oracle" not in evaluation.table()
    written = (tmp_path / "out" / "page.html", tmp_path / "out" / ".eval_results" / "reports.yaml")
    assert not any("oracle" in path.read_text() for path in written)


@pytest.mark.parametrize("first", ["oracle", "plain"])
def test_of_two_systems_it_names_the_one(oracle, plain, tmp_path, first):
    files = [oracle, plain] if first == "oracle" else [plain, oracle]
    evaluation = evaluate_files(files[0], tmp_path / "out", metrics=["rougeL"], compare=files[1])
    content = evaluation.to_json()
    assert [content["oracle_labels"], content["compared_oracle_labels"]] == (
        [LINE, None] if first == "oracle" else [None, LINE]
    )
    assert [line for line in evaluation.remarks() if "oracle labels" in line] == [f"oracle.jsonl: {LINE}"]


def test_only_scored_reports_count(oracle):
    # A reference of an impression alone has no findings to compare: its sample is left out.
    content = rows("oracle", "oracle", "predicted", "oracle")
    content[0]["reference"] = "IMPRESSION: Small left effusion."
    pairs = read_predictions(write(oracle, content)).section("findings")
    assert len(pairs) == 3 and pairs.oracle_words == LINE.replace("3 of 4", "2 of 3")


def test_the_json_of_the_report_verb_carries_it(tmp_path):
    reports = [
        {"film": f"{number}.png", "text": text, "label_source": source}
        for number, (text, source) in enumerate(zip(TEXTS, ("oracle", None, "oracle", "oracle"), strict=True))
    ]
    said = write(tmp_path / "report.json", {"reports": reports, "failures": []})
    given = write(tmp_path / "references.json", {f"{number}.png": text for number, text in enumerate(TEXTS)})
    assert read_predictions(said, given).oracle_words == LINE
