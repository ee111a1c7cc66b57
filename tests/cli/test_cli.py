"""The command line: quick help, exit codes, JSON, and one line for what is wrong."""

import csv
import io
import json
import logging
import os
import shutil
import subprocess
import sys

import pytest
import typer

from hf_medreport.cli import main
from hf_medreport.cli.app import LIBRARY, app, bar, quiet
from hf_medreport.cli.flags import example
from hf_medreport.version import __version__
from tests.docs.verbs import unknown


def run(capsys, *arguments) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command in this process."""
    with pytest.raises(SystemExit) as exit_, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["hf-medreport", *map(str, arguments)])
        main()
    captured = capsys.readouterr()
    return exit_.value.code or 0, captured.out, captured.err


@pytest.mark.parametrize("code", ["import hf_medreport", "import hf_medreport.cli", "import hf_medreport.registry"])
def test_imports_without_torch(code):
    check = f"{code}; import sys; assert not {{'torch', 'transformers', 'matplotlib'}} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


COMMANDS = ("", "report", "train", "evaluate phantom", "evaluate reports", "evaluate images", "evaluate model")
COMMANDS += ("phantom chest", "convert anatomical", "convert chexnet", "convert radscribe", "convert medvill")
COMMANDS += ("prepare iu-xray", "segment", "synthesize", "convert minim")
COMMANDS += ("prepare mimic-cxr", "prepare chexpert-plus")


@pytest.fixture(scope="module")
def helped():
    """Of each command, in one process without torch: exit code and text of its help, and what it should not import."""
    check = f"""
import contextlib, io, json, sys
from hf_medreport.cli import main
helped = {{}}
for command in {COMMANDS!r}:
    sys.argv, text = ["hf-medreport", *command.split(), "--help"], io.StringIO()
    code = 0
    try:
        with contextlib.redirect_stdout(text):
            main()
    except SystemExit as done:
        code = done.code or 0
    helped[command] = code, text.getvalue(), sorted({{"torch", "transformers"}} & set(sys.modules))
print(json.dumps(helped))
"""
    done = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_no_torch(command, helped):
    code, text, imported = helped[command]
    assert code == 0 and "Usage:" in text and imported == []


def test_report_writes_text_json_and_pictures(capsys, tiny_pipe_folder, film_png, tmp_path):
    code, out, err = run(capsys, "report", film_png, "--model", tiny_pipe_folder, "--out", tmp_path / "out")
    assert code == 0 and out.startswith("film.png\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "film_report.png",
        "manifest.json",
        "records.jsonl",
        "report.json",
    ]
    (report,) = json.loads((tmp_path / "out" / "report.json").read_text())["reports"]
    assert {"text", "sections", "sentences", "model", "revision", "film_sha256"} <= set(report)
    assert str(tmp_path) not in json.dumps(report)


def test_one_bad_film_is_listed_and_the_others_are_done(capsys, tiny_pipe_folder, film_png, tmp_path):
    (tmp_path / "empty.png").touch()
    code, out, err = run(
        capsys, "report", tmp_path / "empty.png", film_png, tmp_path / "gone.png", "--model", tiny_pipe_folder, "--json"
    )
    result = json.loads(out)
    assert code == 1 and [report["film"] for report in result["reports"]] == ["film.png"]
    assert [failure["film"] for failure in result["failures"]] == ["empty.png", "gone.png"]
    assert err.splitlines() == [failure["message"] for failure in result["failures"]]


def test_a_full_disk_is_one_line(capsys, tiny_pipe_folder, film_png, tmp_path, monkeypatch):
    def full(self, path, **options):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", full)
    code, out, err = run(capsys, "report", film_png, "--model", tiny_pipe_folder, "--out", tmp_path / "out")
    assert (
        code == 1
        and "no space left on device; expected a disk with room; free space or change --out" in err
        and "Traceback" not in err
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report"], "report: found no film; expected films, --frontal and --lateral, or --pairs"),
        (
            ["report", "a.png", "--modle", "x"],
            "--modle: found no such option; expected an option of hf-medreport report",
        ),
        (
            ["report", "a.png", "--batch-size", "0"],
            "--batch-size: found ",
        ),
        (
            ["report", "a.png", "--frame", "x"],
            "--frame: found ",
        ),
        (["reprot"], "hf-medreport: found no command 'reprot'; expected one of its commands; see"),
        (["segment"], "films: found none; expected it to be given; see hf-medreport segment --help"),
        (["doctor", "a", "b"], "hf-medreport doctor: found more arguments than it takes (b); expected fewer"),
        (["report", "a.png", "--model", ""], "--model: found an empty argument; expected a name or a value"),
        (["report", "a.png", "--out="], "--out: found an empty argument"),
        (["report", "", "a.png"], "arguments: found an empty argument; expected a name or a value"),
        (["train", "anatomical", "--output_dir", " "], "--output_dir: found an empty argument"),
        (["report", "a.png", "--model", "anatomical-tyni"], "did you mean 'anatomical-tiny'?"),
        (["report", "a.png", "--device", "tpu9"], "device"),
        (["train", "histogen"], "system: found 'histogen'"),
        (["train", "anatomical", "--config", "no.yaml"], "no.yaml: found no such file"),
        (["publish", "no-folder", "org/name"], "no-folder: found nothing; expected a model folder"),
        (["convert", "anatomical", "no.pth", "--out", "o"], "no.pth: found no such file"),
    ],
)
def test_wrong_arguments_exit_with_2(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert code == 2 and message in err and err.count("\n") == 1


def test_evaluate_phantom(capsys, tiny_pipe_folder, tmp_path):
    flags = ["--model", tiny_pipe_folder, "--n", 4, "--seed", 1, "--json", "--out", tmp_path / "scores"]
    code, out, err = run(capsys, "evaluate", "phantom", *flags)
    scores = json.loads(out)
    assert code == 0 and scores["n"] == 4 and scores == json.loads((tmp_path / "scores" / "scores.json").read_text())
    assert {"exact", "kind", "hallucination_rate", "wrong_side_rate", "constant_report", "command"} <= set(scores)
    code, out, err = run(capsys, "evaluate", "phantom", "--model", tiny_pipe_folder, "--n", 0)
    assert code == 2 and "expected" in err
    code, out, err = run(capsys, "evaluate", "phantom", "--out", tmp_path / "scores.json")
    assert code == 2 and err == (
        "scores.json: found the name of a file; expected a folder, which gets scores.json and what was written; "
        "choose another --out\n"
    )


@pytest.mark.parametrize(
    "command", [["report", "FILM", "--out", "FILM/below"], ["evaluate", "phantom", "--n", 2, "--out", "FILM/below"]]
)
def test_a_wrong_out_is_said_before_the_model_is_loaded(capsys, film_png, monkeypatch, command):
    monkeypatch.setattr("hf_medreport.inference.loading.load", lambda *_, **__: pytest.fail("loaded first"))
    code, out, err = run(capsys, *(str(part).replace("FILM", str(film_png)) for part in command))
    assert code == 2 and out == "" and "found a file; expected a folder to write to" in err


def test_scores_appear_in_a_new_folder(capsys, tiny_pipe_folder, tmp_path):
    out = tmp_path / "new" / "scores"
    code, *_ = run(capsys, "evaluate", "phantom", "--model", tiny_pipe_folder, "--n", 2, "--out", out)
    assert code == 0 and json.loads((out / "scores.json").read_text())["n"] == 2
    assert sorted(path.name for path in out.iterdir()) == ["manifest.json", "records.jsonl", "scores.json"]


def test_the_command_is_installed():
    environment = {**os.environ, "COLUMNS": "80"}
    command = [os.path.join(os.path.dirname(sys.executable), "hf-medreport"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "evaluate" in done.stdout


def test_pixels_are_let_go_of_as_reports_come(capsys, tiny_pipe_folder, film_png, tmp_path, monkeypatch):
    """A run over many films holds the pixels of one batch."""
    from hf_medreport.inference.report import Report

    released = []
    monkeypatch.setattr(Report, "release", lambda self: released.append(self.film))
    for flags in ([], ["--out", tmp_path / "out"]):
        run(capsys, "report", film_png, film_png, "--model", tiny_pipe_folder, *flags)
    assert released == ["film.png"] * 4


def test_the_version_and_help_by_one_letter(capsys):
    code, out, _ = run(capsys, "--version")
    assert code == 0 and out == f"hf-medreport {__version__}\n"
    for words in ([], ["report"], ["evaluate", "phantom"], ["phantom"]):
        code, out, _ = run(capsys, *words, "-h")
        assert code == 0 and "Usage:" in out


def every_command(command=None, path="hf-medreport"):
    """(path, command) of every verb."""
    command = command or typer.main.get_command(app)
    for name, child in getattr(command, "commands", {}).items():
        yield from every_command(child, f"{path} {name}")
    if not hasattr(command, "commands"):
        yield path, command


@pytest.mark.parametrize(("path", "command"), every_command())
def test_every_verbs_help_ends_with_an_example_that_is_right(path, command):
    """What is in no table, as a converter of another package, has its name and what it must be given."""
    with typer.Context(command, info_name=path) as context:
        command.format_help(context, context.make_formatter())
    words = command.epilog.removeprefix("Example:  ")
    assert words.startswith(path) and (example(path) == words or path.startswith("hf-medreport convert"))
    assert unknown(words.removeprefix("hf-medreport ")) is None


def test_quiet_and_verbose_are_levels_of_the_librarys_log(capsys, monkeypatch):
    """Before the verb; without either, the level is what it was at first."""
    seen = []
    monkeypatch.setattr("hf_medreport.doctor.examine", lambda: seen.append(LIBRARY.level) or {})
    for words in (["--quiet"], ["-v"], []):
        run(capsys, *words, "doctor", "--json")
    assert seen == [logging.ERROR, logging.INFO, logging.NOTSET]


def test_who_looks_on_is_told_that_loading_takes_a_while(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for level in (logging.NOTSET, logging.ERROR):
        monkeypatch.setattr(LIBRARY, "level", level)
        quiet()
    assert capsys.readouterr().err == "loading torch and transformers ...\n"


@pytest.mark.parametrize("verb", [["train", "anatomical"], ["rlhf"]])
def test_verbs_that_load_much_say_so_first(capsys, monkeypatch, tmp_path, verb):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, out, err = run(capsys, *verb)
    assert out == "" and err.startswith("loading torch and transformers ...\n")


@pytest.mark.parametrize(("watched", "shown"), [(True, True), (False, False)])
def test_one_item_alone_has_a_bar_too_where_somebody_looks_on(capsys, monkeypatch, watched, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched, raising=False)
    assert list(bar(["a"], 1, "images")) == ["a"]
    assert ("0/1" in capsys.readouterr().err) is shown


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_folder_is_reported_in_lines_for_machines(capsys, tiny_pipe_folder, film_png, form):
    """Both films of the folder, in the order of their names; the broken one on stderr."""
    shutil.copy(film_png, film_png.parent / "z.png")
    (film_png.parent / "broken.png").write_bytes(b"no film")
    code, out, err = run(capsys, "report", film_png.parent, "--model", tiny_pipe_folder, "--format", form)
    assert code == 1 and err.startswith("broken.png: ")
    if form == "jsonl":
        ids = [json.loads(line)["id"] for line in out.splitlines()]
    else:
        first, *rows = csv.reader(io.StringIO(out))
        assert first == ["id", "text", "findings", "impression", "statement"]
        ids = [row[0] for row in rows]
    assert ids == ["film.png", "z.png"]
