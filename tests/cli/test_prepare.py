"""`hf-medreport prepare`: what it writes, prints and refuses, of every source. No report here is real."""

import json
import re
from pathlib import Path

import pytest

from hf_medreport.files.rows import read_rows
from tests.cli.test_cli import run
from tests.dataset_scripts.chat_server import chat_server
from tests.dataset_scripts.iu_xray_trees import report_row, write_kaggle, write_tgz, xml
from tests.dataset_scripts.mimic_trees import write_mimic, write_plus
from tests.dataset_scripts.test_iu_xray import LUNG, SPINE
from tests.dataset_scripts.test_tcga_reports import faithful, read, records_of, write_reports, write_slides


@pytest.mark.parametrize("verb", ["iu-xray", "mimic-cxr", "chexpert-plus"])
@pytest.mark.parametrize(("arguments", "found"), [([], "none"), (["--out", "o", "--dry-run"], "--out with --dry-run")])
def test_out_or_a_dry_run(capsys, tmp_path, verb, arguments, found):
    source = [] if verb == "iu-xray" else [tmp_path]
    code, out, err = run(capsys, "prepare", verb, *source, *arguments)
    assert (code, out) == (2, "")
    assert err == f"--out: found {found}; expected --out or --dry-run; choose one of them\n"


# --- Indiana University ---


def iu_xray(capsys, tables: dict, images: Path, *arguments) -> tuple[int, str, str]:
    paths = [part for name, path in tables.items() for part in (f"--{name.replace('_', '-')}", path)]
    return run(capsys, "prepare", "iu-xray", *paths, "--images", images, *arguments)


def test_every_flag_of_iu_xray(capsys, tmp_path):
    tables = write_kaggle(tmp_path, {1: "normal", 2: SPINE, 3: "No Indexing", 4: LUNG})
    flags = ["--normal-rule", "no_lung", "--unindexed", "abnormal", "--lung-rule", "every", "--lung-term", "opacity"]
    flags += ["--xxxx-policy", "drop_token", "--split", "1:1:1", "--seed", 3, "--workers", 2, "--no-embed", "--json"]
    code, out, err = iu_xray(capsys, tables, tmp_path / "images", *flags, "--out", tmp_path / "out")
    funnel = json.loads(out)
    assert (
        code == 0
        and err == "4 done, 0 failed, 0 left\n"
        and (funnel["steps"]["normal"], funnel["steps"]["abnormal"]) == (2, 2)
    )
    assert funnel["arguments"]["rules"] == {
        "normal_rule": "no_lung",
        "unindexed": "abnormal",
        "lung_rule": "every",
        "lung_terms": ["opacity"],
        "xxxx_policy": "drop_token",
    }
    assert (funnel["arguments"]["seed"], funnel["arguments"]["embed"]) == (3, False)


def test_a_dry_run_of_iu_xray_counts_and_writes_nothing(capsys, tmp_path):
    archive = write_tgz(tmp_path / "r.tgz", {"1.xml": xml(1), "2.xml": xml(2, [LUNG])})
    code, out, err = run(capsys, "prepare", "iu-xray", "--xml", archive, "--dry-run")
    assert code == 0 and err == "" and list(tmp_path.iterdir()) == [archive]
    assert "one frontal and one lateral        not known\n" in out and out.endswith(
        "abnormal                                   1\n"
    )


def test_a_bad_row_of_iu_xray_is_exit_code_1(capsys, tmp_path):
    tables = write_kaggle(tmp_path, {1: "normal"}, reports=[report_row(1), report_row(1)])
    code, out, err = iu_xray(capsys, tables, tmp_path / "images", "--out", tmp_path / "out", "--split", "1:0:0")
    assert code == 1 and "train                                      1" in out
    assert err == (
        "indiana_reports.csv, row 2: found uid 1 again; expected one report a uid; drop one of them\n"
        "1 done, 1 failed, 0 left\n"
    )


# --- MIMIC-CXR and CheXpert Plus ---


def test_every_flag_of_mimic_cxr(capsys, tmp_path):
    folder = write_mimic(tmp_path / "tree")
    flags = ["--labels", "none", "--sections", "impression,findings", "--views", "PA", "--uncertain", "positive"]
    flags += ["--workers", 2, "--no-embed", "--json", "--images", folder, "--reports", folder]
    code, out, err = run(capsys, "prepare", "mimic-cxr", folder, *flags, "--out", tmp_path / "out")
    funnel = json.loads(out)
    assert (
        code == 0
        and err == "3 done, 0 failed, 0 left\n"
        and funnel["parts"] == {"train": 1, "validation": 1, "test": 1}
    )
    rules = {"sections": ["impression", "findings"], "views": "PA", "uncertain": "positive"}
    assert funnel["arguments"]["rules"] == rules and funnel["arguments"]["labels"] == "none"
    assert read_rows(tmp_path / "out" / "train.parquet")[0]["text"] == "Sit amet. Lorem ipsum dolor."


def test_a_dry_run_of_chexpert_plus_counts_and_writes_nothing(capsys, tmp_path):
    plus = write_plus(tmp_path / "plus")
    code, out, err = run(capsys, "prepare", "chexpert-plus", plus, "--images", plus / "PNG", "--dry-run")
    assert code == 0 and err == "" and list(tmp_path.iterdir()) == [plus]
    assert out.splitlines()[0] == "films in the tables                        7"
    assert out.splitlines()[-1] == "of these labeled                           3"


@pytest.mark.parametrize("verb", ["mimic-cxr", "chexpert-plus"])
def test_a_bad_film_is_exit_code_1_and_the_others_are_written(capsys, tmp_path, verb):
    folder = (write_mimic if verb == "mimic-cxr" else write_plus)(tmp_path / "tree")
    path = next(folder.rglob("aa-1.jpg" if verb == "mimic-cxr" else "patient42142/study5/view1_frontal.png"))
    path.write_bytes(path.read_bytes()[:100])
    name = "aa-1.jpg" if verb == "mimic-cxr" else "patient42142_study5_view1_frontal.png"
    left = 4 if verb == "mimic-cxr" else 3
    code, out, err = run(capsys, "prepare", verb, folder, "--out", tmp_path / "out")
    kind = path.suffix.upper()[1:].replace("JPG", "JPEG")
    remedy = "expected a complete image; copy or export the file again"
    assert (code, err) == (1, f"{name}: found a truncated {kind}; {remedy}\n{left} done, 1 failed, 0 left\n")
    assert f"readable films                     {left:9}\n" in out


# --- TCGA ---


@pytest.fixture
def source(tmp_path):
    return write_reports(tmp_path / "reports.csv")


@pytest.fixture
def slides(tmp_path):
    return write_slides(tmp_path / "slides")


def test_the_command_rewrites_by_an_endpoint(capsys, monkeypatch, source, slides, tmp_path):
    """One request too many, one answer that is no JSON, one report that lost its size; the rest goes well."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    monkeypatch.setattr("hf_medreport.dataset_scripts.parts.language_model.LONGEST_WAIT_S", 0.0)

    def answer(number, report):
        if number == 2:
            return 429, b""
        if number == 5:
            return 200, b'{"choices": ['
        return faithful(report).replace(" 7 cm", "")

    with chat_server(answer) as server:
        arguments = ["--slides", slides, "--out", tmp_path / "out", "--endpoint", server.url, "--llm", "small"]
        code, out, err = run(capsys, "prepare", "tcga-reports", source, *arguments, "--json")
        asked = len(server.requests)
        again = run(capsys, "prepare", "tcga-reports", source, *arguments, "--resume")
        assert len(server.requests) == asked == 14
    assert (code, err) == (0, "12 done, 0 failed, 0 left\n") and json.loads(out) == read(tmp_path / "out")[2]
    assert json.loads(out)["flagged"] == 1
    assert again[0] == 0 and re.search(r"^flagged +1$", again[1], re.M) and re.search(r"^kept +12$", again[1], re.M)
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"secret-key" not in path.read_bytes()


def test_bad_rows_are_exit_code_1_and_the_others_done(capsys, slides, tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("patient_filename,text\nTCGA-ZZ-0001,Tumor.\nTCGA-ZZ-0002,\n")
    code, out, err = run(
        capsys, "prepare", "tcga-reports", path, "--slides", slides, "--out", tmp_path / "o", "--no-llm"
    )
    assert code == 1 and err == (
        "r.csv, row 2: found no text; expected a report; fill it in or drop it\n1 done, 1 failed, 0 left\n"
    )
    assert list(records_of(read(tmp_path / "o")[0])) == ["TCGA-ZZ-0001"]


CHOICES = {
    "none": [],
    "--endpoint": ["--endpoint", "http://127.0.0.1:9"],
    "--llm with --no-llm": ["--llm", "a", "--no-llm"],
    "--endpoint with --no-llm": ["--endpoint", "http://127.0.0.1:9", "--no-llm"],
}


@pytest.mark.parametrize(("found", "flags"), CHOICES.items(), ids=CHOICES)
def test_which_model_is_the_users_choice(capsys, source, slides, tmp_path, found, flags):
    out = tmp_path / "out"
    code, _, err = run(capsys, "prepare", "tcga-reports", source, "--slides", slides, "--out", out, *flags)
    expected = "--llm FOLDER, --endpoint URL --llm NAME, or --no-llm"
    assert (code, err) == (2, f"--llm: found {found}; expected {expected}; choose one of the three\n")
    assert not out.exists()
