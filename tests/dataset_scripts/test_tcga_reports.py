"""From report texts to an annotation file: splits, slides, the guard, the funnel. All reports here are made up."""

import csv
import json
import re
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hf_medreport.cli.prepare  # noqa: F401  (adds its verb)
from hf_medreport.dataset_scripts.parts.fact_guard import lost_facts
from hf_medreport.dataset_scripts.parts.language_model import NoAnswer
from hf_medreport.dataset_scripts.parts.patient_split import split_of
from hf_medreport.dataset_scripts.tcga_reports import (
    PROMPTS,
    clean,
    prepare,
    read_prompts,
    read_slides,
    read_texts,
    slide_names,
)
from hf_medreport.processing.input_error import InputError
from tests.dataset_scripts.chat_server import chat_server

PATIENTS = [f"TCGA-ZZ-{number:04}" for number in range(12)]
TEXT = "Kidney, right: carcinoma of {} cm.\n\n____\nMargins negative."
CLEANED = "Kidney, right: carcinoma of {} cm. Margins negative."


def write_reports(path):
    """Twelve patients with reports."""
    rows = [(f"{patient}.0ABC-1", TEXT.format(number)) for number, patient in enumerate(PATIENTS)]
    write_csv(path, rows)
    return path


def write_slides(folder):
    """A slide of each patient, two of the first."""
    folder.mkdir()
    for patient in PATIENTS:
        (folder / f"{patient}-01Z-00-DX1.aaaa.svs").touch()
    (folder / "again").mkdir()
    (folder / "again" / f"{PATIENTS[0]}-01Z-00-DX2.bbbb.svs").touch()
    (folder / "logs.txt").touch()
    return folder


@pytest.fixture
def source(tmp_path):
    return write_reports(tmp_path / "reports.csv")


@pytest.fixture
def slides(tmp_path):
    return write_slides(tmp_path / "slides")


def write_csv(path, rows, header=("patient_filename", "text")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def read(folder):
    annotation = json.loads((folder / "annotation.json").read_text())
    texts = [json.loads(line) for line in (folder / "texts.jsonl").read_text().splitlines()]
    return annotation, texts, json.loads((folder / "funnel.json").read_text())


class Model:
    """Answers with what `answer` makes of the report in the prompt, and remembers what it was asked."""

    name = "made-up"

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def ask(self, system, user):
        report = user.rpartition("Report:")[2].strip()
        self.asked.append(report)
        return self.answer(report)


def faithful(report):
    size = re.search(r"(\d+) cm", report)[1]
    return f"A carcinoma of {size} cm in the right kidney.\nThe margins are negative."


def records_of(annotation):
    return {record["id"]: record for part in annotation.values() for record in part}


def test_the_annotation_is_histgens(source, slides, tmp_path):
    funnel = prepare(source, slides, tmp_path / "out", Model(faithful), workers=3)
    annotation, texts, written = read(tmp_path / "out")
    assert list(annotation) == ["train", "val", "test"] and set(records_of(annotation)) == set(PATIENTS)
    for part, records in annotation.items():
        for record in records:
            assert list(record) == ["id", "report", "image_path", "split"] and record["split"] == part
            assert part == split_of(record["id"], (7, 1, 2), 0)
            number = PATIENTS.index(record["id"])
            assert record["report"] == f"A carcinoma of {number} cm in the right kidney. The margins are negative."
    assert records_of(annotation)[PATIENTS[0]]["image_path"] == [
        "TCGA-ZZ-0000-01Z-00-DX1.aaaa.svs",
        "again/TCGA-ZZ-0000-01Z-00-DX2.bbbb.svs",
    ]
    assert [text["id"] for text in texts] == PATIENTS
    assert texts[3] == {
        "id": PATIENTS[3],
        "source": CLEANED.format(3),
        "output": "A carcinoma of 3 cm in the right kidney. The margins are negative.",
        "lost": [],
        "used": "output",
    }
    assert funnel == written and (funnel["read"], funnel["kept"], funnel["problems"]) == (12, 12, [])
    assert sum(funnel[part] for part in annotation) == 12


LOST = ["lost number 3 cm", "invented number 4 cm"]


@pytest.mark.parametrize(
    ("on_loss", "used", "kept"), [("source", "source", 12), ("keep", "output", 12), ("drop", "none", 11)]
)
def test_a_lost_number_is_flagged_and_kept_from_the_annotation(source, slides, tmp_path, on_loss, used, kept):
    model = Model(lambda report: faithful(report).replace(" 3 cm", " 4 cm"))
    funnel = prepare(source, slides, tmp_path / "out", model, on_loss=on_loss)
    annotation, texts, _ = read(tmp_path / "out")
    assert (texts[3]["lost"], texts[3]["used"]) == (LOST, used)
    assert [text["id"] for text in texts if text["lost"]] == [PATIENTS[3]]
    assert (funnel["flagged"], funnel["kept"], funnel["dropped"]) == (1, kept, 12 - kept)
    report = records_of(annotation).get(PATIENTS[3], {}).get("report")
    assert report == {"source": CLEANED.format(3), "output": texts[3]["output"], "none": None}[used]


def test_without_a_model_the_rules_clean(source, slides, tmp_path):
    prepare(source, slides, tmp_path / "out")
    annotation, texts, funnel = read(tmp_path / "out")
    assert records_of(annotation)[PATIENTS[5]]["report"] == CLEANED.format(5)
    assert {text["used"] for text in texts} == {"source"} and funnel["arguments"]["llm"] is None
    assert not (tmp_path / "out" / "cache").exists()


def test_a_second_run_asks_nothing_and_writes_the_same_bytes(source, slides, tmp_path):
    def files():
        return {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}

    prepare(source, slides, tmp_path / "out", Model(faithful))
    first, again = files(), Model(faithful)
    prepare(source, slides, tmp_path / "out", again, workers=4, resume=True)
    assert again.asked == [] and files() == first


def test_a_killed_run_asks_only_what_it_had_no_answer_to(source, slides, tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with chat_server(lambda number, report: None if number == 6 else faithful(report)) as server:
        arguments = ["--slides", slides, "--out", tmp_path / "out", "--endpoint", server.url, "--llm", "made-up"]
        main = "import hf_medreport.cli.prepare; from hf_medreport.cli import main; main()"
        command = [sys.executable, "-c", main, "prepare", "tcga-reports", source, *arguments, "--workers", 1]
        process = subprocess.Popen(list(map(str, command)))
        while len(server.requests) < 6 and process.poll() is None:
            time.sleep(0.01)
        process.kill()  # while it waits for the sixth answer
        assert process.wait() == -signal.SIGKILL
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".unfinished.jsonl", "cache"}
    rest = Model(faithful)
    prepare(source, slides, tmp_path / "out", rest, resume=True)
    assert rest.asked == [CLEANED.format(number) for number in range(5, 12)]
    prepare(source, slides, tmp_path / "whole", Model(faithful))
    for name in ("annotation.json", "texts.jsonl", "funnel.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_refused_key_stops_without_asking_all(source, slides, tmp_path):
    def refuses(report):
        time.sleep(0.1)  # as an endpoint does: the others are not asked meanwhile
        raise InputError("endpoint", "status 401", "an answer", "check OPENAI_API_KEY")

    model = Model(refuses)
    with pytest.raises(InputError, match="status 401"):
        prepare(source, slides, tmp_path / "out", model, workers=2)
    assert len(model.asked) < 12 and not (tmp_path / "out" / "annotation.json").exists()


def test_one_text_without_an_answer_leaves_the_others(source, slides, tmp_path):
    def answer(report):
        if " 2 cm" in report:
            raise NoAnswer("status 500, 6 times")
        return "" if " 4 cm" in report else faithful(report)

    funnel = prepare(source, slides, tmp_path / "out", Model(answer))
    annotation, texts, _ = read(tmp_path / "out")
    remedy = "expected a rewritten report; go on with `resume`, or change model or prompt"
    assert funnel["problems"] == [
        f"reports.csv, row 3: found status 500, 6 times; {remedy}",
        f"reports.csv, row 5: found an empty answer; {remedy}",
    ]
    assert (funnel["no answer"], funnel["kept"]) == (2, 10) and len(records_of(annotation)) == 10
    assert texts[2]["used"] == "none"


def test_bad_rows_are_listed_and_the_funnel_adds_up(slides, tmp_path):
    path = tmp_path / "reports.csv"
    rows = [(patient, "Colon: adenocarcinoma.") for patient in PATIENTS[:3]]
    rows += [(PATIENTS[1] + ".2", "Again."), (PATIENTS[3], " \n____ "), ("TCGA-YY-0000", "No slide of this one.")]
    write_csv(path, rows + [("patient 7", "Text.")])
    with path.open("ab") as file:
        file.write(f"{PATIENTS[4]},caf\xe9\r\n".encode("latin-1"))
        file.write(f"{PATIENTS[5]},a,b\r\n\r\n{PATIENTS[6]},Good.\r\n".encode())
        file.write(f'{PATIENTS[7]},"an open quote\r\n'.encode())
    funnel = prepare(path, slides, tmp_path / "out", Model(lambda report: report))
    assert funnel["problems"] == [
        "reports.csv, row 4: found TCGA-ZZ-0001 again (first: reports.csv, row 2); expected one report a patient"
        "; drop one of them",
        "reports.csv, row 5: found no text; expected a report; fill it in or drop it",
        "reports.csv, row 7: found id 'patient 7'; expected a TCGA barcode (TCGA-XX-XXXX...); correct the id",
        "reports.csv, row 8: found bytes that are no UTF-8; expected UTF-8; save the text as UTF-8",
        "reports.csv, row 9: found 3 fields; expected 2 as in the header; mend the row",
        "reports.csv, row 11: found broken CSV (unexpected end of data); expected quoted fields that end; mend the row",
    ]
    steps = ("read", "broken", "empty", "duplicate", "no slide", "no answer", "flagged", "dropped", "kept")
    assert [funnel[step] for step in steps] == [11, 4, 1, 1, 1, 0, 0, 0, 4]


def test_bad_lines_and_files_are_listed(tmp_path):
    lines = ['{"id": "TCGA-ZZ-0001", "text": "Good."}', "{", "[1]", '{"id": "TCGA-ZZ-0002"}', ""]
    lines += ['{"id": "TCGA-ZZ-0003", "text": 5}', '{"id": 7, "text": "a"}', '{"id": "TCGA-ZZ-0004", "text": null}']
    (tmp_path / "reports.jsonl").write_text("\n".join(lines))
    texts = list(read_texts(tmp_path / "reports.jsonl"))
    assert [str(text) if isinstance(text, InputError) else text.patient for text in texts] == [
        "TCGA-ZZ-0001",
        "reports.jsonl, line 2: found broken JSON (Expecting property name enclosed in double quotes)"
        '; expected an object {"id", "text"}; name a file of one JSON value .json',
        'reports.jsonl, line 3: found a list; expected an object {"id", "text"}; mend the line',
        'reports.jsonl, line 4: found keys id; expected an object {"id", "text"}; mend the line',
        "reports.jsonl, line 6: found int as text; expected a report; fill it in or drop it",
        "reports.jsonl, line 7: found no id; expected a TCGA barcode (TCGA-XX-XXXX...); correct the id",
        "reports.jsonl, line 8: found no text; expected a report; fill it in or drop it",
    ]
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "TCGA-ZZ-0001.txt").write_bytes(b"\xef\xbb\xbfGood.")
    (folder / "TCGA-ZZ-0002.txt").write_bytes(b"caf\xe9")
    good, bad = read_texts(folder)
    assert (good.patient, good.text) == ("TCGA-ZZ-0001", "Good.")
    assert str(bad) == ("TCGA-ZZ-0002.txt: found bytes that are no UTF-8; expected UTF-8; save the text as UTF-8")


KINDS = "expected a .csv with patient_filename,text, a .jsonl with id, text, or a folder of .txt"
LISTS = "expected a folder of slides or feature files, or a list of their names"
WRONG = {
    "no source": (lambda f: read_texts(f / "gone.csv"), f"gone.csv: found no such file; {KINDS}; check the path"),
    "another kind": (
        lambda f: read_texts(file(f, "r.xlsx", "PK")),
        f"r.xlsx: found a '.xlsx' file; {KINDS}; convert it",
    ),
    "an empty folder": (
        lambda f: read_texts(f),
        f"FOLDER: found a folder without .txt; {KINDS}; name the folder of the texts",
    ),
    "missing columns": (
        lambda f: list(read_texts(file(f, "r.csv", "id,text\na,b\n"))),
        "r.csv: found columns id, text; expected columns patient_filename, text; name the column 'patient_filename'",
    ),
    "an empty CSV": (
        lambda f: list(read_texts(file(f, "r.csv", ""))),
        "r.csv: found no header; expected columns patient_filename, text; name the column 'patient_filename'",
    ),
    "no slides": (lambda f: read_slides(f / "gone"), f"gone: found no such file or folder; {LISTS}; check `slides`"),
    "an empty list": (
        lambda f: read_slides(file(f, "list.txt", "\n")),
        f"list.txt: found no slide; {LISTS}; check `slides`",
    ),
    "two files of one slide": (
        lambda f: read_slides(file(f, "list.txt", "TCGA-ZZ-0001-DX1.svs\nfeatures/TCGA-ZZ-0001-DX1.pt\n")),
        "list.txt: found TCGA-ZZ-0001-DX1.svs and TCGA-ZZ-0001-DX1.pt; expected one file a slide"
        "; name a folder or list with one kind of files",
    ),
    "other patients' slides": (
        lambda f: prepare(
            file(f, "r.csv", "patient_filename,text\nTCGA-ZZ-0001,a\n"), file(f, "l.txt", "TCGA-ZZ-0002-DX1"), f / "out"
        ),
        "slides: found no slide of the 1 patients with reports"
        "; expected names that begin with a patient's barcode (TCGA-XX-XXXX); check `slides`",
    ),
    "no slide that the rules leave": (
        lambda f: prepare(file(f, "r.csv", "patient_filename,text\nTCGA-BB-0002,a\n"), mixed_slides(f), f / "out"),
        "slides: found no slide of the 1 patients with reports (left out: no barcode: 1, sample type 11: 2, slide kind "
        "TS: 2); expected names that begin with a patient's barcode (TCGA-XX-XXXX); check `slides`, or take others by "
        "`sample_types` and `slide_kinds`",
    ),
    "a sample type that is none": (
        lambda f: prepare(f, f, f, sample_types=("01", "tumor")),
        "sample_types: found 'tumor'; expected two digits each, as 01,06, or all; correct it",
    ),
    "no slide kind": (
        lambda f: prepare(f, f, f, slide_kinds=()),
        "slide_kinds: found none; expected two letters each, as DX,TS, or all; correct it",
    ),
    "no prompts": (
        lambda f: read_prompts(f / "p.yaml"),
        "p.yaml: found no such file; expected YAML with system and user; check `prompts`",
    ),
    "a folder of prompts": (
        lambda f: read_prompts(f),
        "FOLDER: found a folder; expected YAML with system and user; check `prompts`",
    ),
    "broken prompts": (
        lambda f: read_prompts(file(f, "p.yaml", "a: [")),
        "p.yaml, line 1: found broken YAML; expected YAML with system and user; check `prompts`",
    ),
    "other prompts": (
        lambda f: read_prompts(file(f, "p.yaml", "prompt: a")),
        "p.yaml: found keys prompt; expected system and user; name the two so",
    ),
    "a prompt without the report": (
        lambda f: read_prompts(file(f, "p.yaml", "system: a\nuser: b")),
        "p.yaml, user: found no {text}; expected a prompt with {text}; say where the report goes",
    ),
    "an unknown policy": (
        lambda f: prepare(f, f, f, on_loss="hide"),
        "on_loss: found 'hide'; expected source, keep, drop; choose one of them",
    ),
}


def file(folder, name, content):
    (folder / name).write_text(content)
    return folder / name


@pytest.mark.parametrize(("act", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_begun_is_refused(tmp_path, act, message):
    with pytest.raises(InputError) as caught:
        act(tmp_path)
    assert str(caught.value).replace(tmp_path.name, "FOLDER") == message
    assert not (tmp_path / "out").exists()


def test_patients_are_told_by_whole_barcodes(tmp_path):
    names = ["TCGA-ZZ-0001-01Z-00-DX1.a.svs", "tcga-zz-0002.pt", "TCGA-ZZ-00012.svs", "other.svs", "TCGA-ZZ-0003-DX1.b"]
    assert read_slides(file(tmp_path, "list.txt", "\n".join(names))) == {
        "TCGA-ZZ-0001": [names[0]],
        "TCGA-ZZ-0002": [names[1]],
        "TCGA-ZZ-0003": ["TCGA-ZZ-0003-DX1.b.safetensors"],
    }


UUID = "3F2504E0-4F89-11D3-9A0C-0305E82C3301"


def mixed_slides(folder):
    """A primary tumor with frozen and normal tissue beside it, a patient of normal tissue only, a frozen metastasis."""
    names = ["TCGA-AA-0001-01Z-00-DX1", "TCGA-AA-0001-01A-01-TS1", "TCGA-AA-0001-11A-01-TS1"]
    names += ["TCGA-BB-0002-11A-01-BS1", "TCGA-CC-0003-06A-01-TSA"]
    return file(folder, "list.txt", "\n".join(f"{name}.{UUID}" for name in names) + "\nnotes.svs\n")


@pytest.mark.parametrize(
    ("rules", "records", "left_out"),
    [
        ({}, {"TCGA-AA-0001": ["01Z-00-DX1"]}, {"sample type 11": 2, "slide kind TS": 2}),
        (
            {"slide_kinds": ("DX", "TS")},
            {"TCGA-AA-0001": ["01A-01-TS1", "01Z-00-DX1"], "TCGA-CC-0003": ["06A-01-TSA"]},
            {"sample type 11": 2},
        ),
        (
            {"slide_kinds": ("all",), "sample_types": ("11",)},
            {"TCGA-AA-0001": ["11A-01-TS1"], "TCGA-BB-0002": ["11A-01-BS1"]},
            {"sample type 01": 2, "sample type 06": 1},
        ),
    ],
)
def test_slides_are_chosen_by_their_barcodes(tmp_path, rules, records, left_out):
    write_csv(tmp_path / "r.csv", [(f"{patient}.x", "Text.") for patient in ("TCGA-AA-0001", "TCGA-BB-0002")])
    with (tmp_path / "r.csv").open("a") as rows:
        rows.write("TCGA-CC-0003.y,More.\r\n")
    funnel = prepare(tmp_path / "r.csv", mixed_slides(tmp_path), tmp_path / "out", **rules)
    annotation = records_of(read(tmp_path / "out")[0])
    assert {patient: record["image_path"] for patient, record in annotation.items()} == {
        patient: [f"{patient}-{name}.{UUID}.safetensors" for name in names] for patient, names in records.items()
    }
    kept = sum(map(len, records.values()))
    assert funnel["slides"] == {"read": 6, "no barcode": 1, **left_out, "kept": kept}
    assert 1 + sum(left_out.values()) + kept == 6 and funnel["no slide"] == 3 - len(records)


def test_a_manifest_of_the_gdc_is_a_list_of_slides(tmp_path):
    rows = [f"{number}\t{patient}-01Z-00-DX1.{UUID}.svs\tab\t1" for number, patient in enumerate(PATIENTS[:2])]
    manifest = file(tmp_path, "m.txt", "\n".join(["id\tfilename\tmd5\tsize", *rows]))
    assert slide_names(manifest) == [f"{patient}-01Z-00-DX1.{UUID}.svs" for patient in PATIENTS[:2]]
    with pytest.raises(InputError, match="^broken.txt, line 2: found 2 fields"):
        slide_names(file(tmp_path, "broken.txt", "id\tfilename\tmd5\tsize\na\tb\n"))


@given(st.text(st.sampled_from("aZ1 9.5/<%\n\t\r\x00\x0c_-=µé"), max_size=60))
def test_cleaning_keeps_every_letter_and_digit(text):
    assert re.findall(r"[^\W_]", clean(text)) == re.findall(r"[^\W_]", text)
    assert "\n" not in clean(text) and clean(text) == clean(text).strip()


def test_cleaning_by_example():
    text = "Size.......: 1.5 x 2 cm\r\n- - - - -\n\x0cNodes:\t0/3 ______ (pN0)"
    assert clean(text) == "Size : 1.5 x 2 cm Nodes: 0/3 (pN0)"
    assert lost_facts(text, clean(text)) == []


def test_the_prompts_inside_are_usable():
    prompts = read_prompts(PROMPTS)
    assert prompts["user"].count("{text}") == 1 and "side" in prompts["user"]


def test_nothing_here_imports_torch():
    modules = "hf_medreport.dataset_scripts.tcga_reports, hf_medreport.cli.prepare"
    check = f"import {modules}, sys; assert not {{'torch', 'transformers'}} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0
