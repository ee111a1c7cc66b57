"""The folder of an evaluation: its four files, whole or not at all, and the command that writes it."""

import json
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow.parquet
import pytest
import yaml

from hf_medreport.evaluation.reports.card_fragment import card_fragment
from hf_medreport.evaluation.reports.folder import evaluate_files, write_evaluation
from hf_medreport.evaluation.reports.page import evaluation_page, worst_samples
from hf_medreport.evaluation.reports.plots import distribution_plot
from hf_medreport.evaluation.reports.predictions import ReportPairs
from hf_medreport.evaluation.reports.scoring import Settings, evaluate_reports
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.processing.input_error import InputError
from tests.evaluation.reports.pairs import two_systems

QUICK = Settings(resamples=50, randomizations=50)
METRICS = ["bleu1", "rougeL", "chexpert_f1"]
FILES = [".eval_results/reports.yaml", "manifest.json", "page.html", "per_sample.parquet", "scores.json"]


@pytest.fixture(scope="module")
def evaluation():
    good, bad = two_systems(12)
    return evaluate_reports(good, METRICS, compare=bad, settings=QUICK)


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def save(pairs: ReportPairs, path):
    columns = zip(pairs.ids, pairs.predictions, pairs.references, strict=True)
    rows = [{"id": id_, "prediction": said, "reference": given} for id_, said, given in columns]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_four_files(evaluation, tmp_path):
    with RunFolder(tmp_path / "new" / "out", "evaluate reports", {}) as run_folder:
        write_evaluation(evaluation, run_folder, "org/data")
    folder = run_folder.path
    assert written(folder) == FILES and [path.name for path in folder.parent.iterdir()] == ["out"]
    assert json.loads((folder / "scores.json").read_text()) == evaluation.to_json()
    table = pyarrow.parquet.read_table(folder / "per_sample.parquet").to_pydict()
    assert table["id"] == evaluation.pairs.ids and table["references"] == evaluation.pairs.references
    assert table["rougeL"] == evaluation.results["rougeL"].score.per_sample.tolist()
    assert table["other.rougeL"] == evaluation.results["rougeL"].other.per_sample.tolist()


def test_nothing_is_left_of_a_page_that_cannot_be_made(evaluation, tmp_path, monkeypatch):
    def broken(*args):
        raise RuntimeError("no page")

    monkeypatch.setattr("hf_medreport.evaluation.reports.folder.evaluation_page", broken)
    with (
        pytest.raises(RuntimeError, match="no page"),
        RunFolder(tmp_path / "out", "evaluate reports", {}) as run_folder,
    ):
        write_evaluation(evaluation, run_folder, "org/data")
    assert list(tmp_path.iterdir()) == []


def test_an_older_evaluation_is_not_mixed_with(tmp_path):
    file, options = save(two_systems(6)[0], tmp_path / "p.jsonl"), {"metrics": ["bleu1"]}
    evaluate_files(file, tmp_path / "out", **options)
    first = {name: (tmp_path / "out" / name).read_bytes() for name in FILES}
    with pytest.raises(InputError, match="out: found a finished run; expected a new or empty folder"):
        evaluate_files(file, tmp_path / "out", **options)
    with pytest.raises(InputError, match=r'out: found a run with metrics \["bleu1"\]; expected metrics \["rougeL"\]'):
        evaluate_files(file, tmp_path / "out", metrics=["rougeL"], resume=True)
    with pytest.raises(InputError, match="did you mean"):
        evaluate_files(file, tmp_path / "out", metrics=["blue1"], overwrite=True)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == first
    evaluate_files(file, tmp_path / "out", metrics=["rougeL"], overwrite=True)
    assert written(tmp_path / "out") == FILES


def test_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(InputError) as caught:
        evaluate_files("gone.jsonl", tmp_path / "out")
    assert str(caught.value) == (
        "evaluate reports: found no pyarrow, which writes per_sample.parquet; expected it"
        '; pip install "hf-medreport[evaluate]"'
    )


def test_the_hub_reads_the_fragment(evaluation):
    hub = pytest.importorskip("huggingface_hub._eval_results")
    content = yaml.safe_load(card_fragment(evaluation, "org/data"))
    entries = hub.parse_eval_result_entries(content)
    assert hub.eval_result_entries_to_yaml(entries) == content
    assert [entry.dataset_id for entry in entries] == ["org/data"] * 3
    assert entries[1].task_id == "report-generation-rougeL"
    assert entries[1].value == round(evaluation.results["rougeL"].score.value, 6)
    assert entries[1].notes.startswith("12 reports; 95% interval of the figure 0.")
    with pytest.raises(InputError) as caught:
        card_fragment(evaluation, "data")
    assert str(caught.value) == "dataset: found 'data'; expected ORG/NAME; name the data set as the Hub does"


class Page(HTMLParser):
    """Tags that are open, and every attribute that could load something."""

    VOID = {"meta", "br", "use", "path"}

    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attributes):
        self.links += [value for name, value in attributes if name in ("src", "href", "xlink:href", "data", "action")]
        assert tag not in ("script", "link", "iframe", "img", "object"), tag
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_page_is_closed_in_itself(evaluation):
    page, reader = evaluation_page(evaluation), Page()
    assert "published" not in page.split("</style>")[1] and page.count("<svg ") == 2
    on_mimic = replace(evaluation, section="findings"), "physionet/MIMIC-CXR"
    page = evaluation_page(*on_mimic)
    reader.feed(page)
    assert reader.open == [] and all(link.startswith("#") for link in reader.links)
    assert "default-src 'none'" in page and not re.search(r"url\((?!#)|@import", page)
    assert page == evaluation_page(*on_mimic), "the same scores give the same page"
    for words in ("p (Holm)", "Ours against published systems", "MAIRA-2 58.10", "case-", "chexpert_f1", "<del>"):
        assert words in page, words
    assert page.count("<svg ") == 3 and page.count("<article>") == 12


def test_a_report_cannot_write_into_the_page():
    pairs = ReportPairs("<b>.jsonl", ["<i>"], ["<script>alert(1)</script> & more"], [["Clear & quiet."]])
    page = evaluation_page(evaluate_reports(pairs, ["rougeL"], settings=QUICK))
    assert "<script" not in page and "&lt;script&gt;" in page and "<i>" not in page and "<b>.jsonl" not in page
    assert "published" not in page.split("</style>")[1] and page.count("<svg ") == 1


def test_the_worst_come_first():
    pairs = ReportPairs(
        "p", ["a", "b", "c"], ["Clear lungs.", "", "Clear heart."], [["Clear lungs."], ["Mass."], ["Clear lungs."]]
    )
    assert worst_samples(evaluate_reports(pairs, ["bleu1", "rougeL"], settings=QUICK)) == [1, 2, 0]


def test_macro_figures_say_nothing_of_a_report():
    good, _ = two_systems(12)
    micro, both = (
        evaluate_reports(good, names, settings=QUICK)
        for names in (["rougeL", "chexpert_f1"], ["rougeL", "chexpert_f1", "chexpert_macro_f1", "chexpert5_macro_f1"])
    )
    assert worst_samples(both) == worst_samples(micro) and distribution_plot(both) == distribution_plot(micro)
    figures, _, rest = evaluation_page(both).partition("<h2>Distribution")
    assert "chexpert_macro_f1" in figures and "macro" not in rest and "chexpert_f1" in rest
    page = evaluation_page(evaluate_reports(good, ["chexpert_macro_f1"], settings=QUICK))
    assert "chexpert_macro_f1" in page and "Distribution" not in page and "<article>" not in page
