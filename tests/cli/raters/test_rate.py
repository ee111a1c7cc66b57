"""`hf-medreport rate`: what it starts, imports and refuses; the page itself is tested in a browser."""

import json

import pytest

from hf_medreport.data.ratings.table import read_ratings
from hf_medreport.demo import serving
from tests.cli.test_cli import run
from tests.data.ratings.made import pictures
from tests.data.ratings.test_label_studio import stars, task


@pytest.fixture
def folder(tmp_path):
    pictures(tmp_path)
    return tmp_path


def test_an_import(folder, capsys):
    tasks = [task(stars(3, completed_by="ann")), task(stars(1, completed_by="bob"), image="b.png"), task(stars(9))]
    (folder / "export.json").write_text(json.dumps(tasks))
    arguments = ["rate", folder, "--out", folder / "r.csv", "--import", folder / "export.json"]
    code, output, errors = run(capsys, *arguments, "--level", 2)
    assert code == 1 and output == f"ann: 1 ratings\nbob: 1 ratings\nwritten: {folder / 'r.csv'}\n"
    assert errors.startswith("export.json, task 3, annotation 7: found the rating '9'")
    assert [one.weight for one in read_ratings(folder / "r.csv").ratings] == [pytest.approx(2), pytest.approx(2 / 3)]
    code, _, errors = run(capsys, *arguments)
    assert code == 2 and errors == "--out: found 'r.csv', which is there; expected a new file; choose another --out\n"
    (folder / "r.csv").unlink()
    code, _, errors = run(capsys, *arguments)
    assert code == 2 and "found no expert level; expected one in the data; give --level" in errors


def test_the_page_is_served_until_it_ends(folder, capsys, monkeypatch):
    pytest.importorskip("gradio")
    asked = {}

    def hold(blocks, launch, *, ready, **where):
        asked.update(where, share=launch["share"], analytics=blocks.analytics_enabled)
        ready("http://127.0.0.1:7")

    monkeypatch.setattr(serving, "hold", hold)
    (folder / "metadata.csv").write_text("path,text\na.png,mass\ngone.png,mass\n")
    code, output, errors = run(capsys, "rate", folder, "--out", folder / "r.csv", "--no-browser", "--port", 7)
    assert code == 0 and asked == {
        "host": "127.0.0.1", "port": 7, "browser": False, "share": False, "analytics": False
    }  # fmt: skip
    assert output == f"http://127.0.0.1:7  (Ctrl-C ends it)\n0 said by 0 raters: {folder / 'r.csv'}\n"
    assert "metadata.csv, line 3: found no file 'gone.png'" in errors


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rater", "ann"], "--rater: found it without --level; expected both or none; give --level"),
        (["--level", "2"], "--level: found it without --rater"),
        (["--rater", " ", "--level", "2"], "--rater: found an empty argument; expected a name or a value; fill it in"),
        (["--level", "4"], "less than or equal to 3"),
        (["--csv", "gone.csv"], "gone.csv: found no such file"),
        (["--out", "gone/r.csv"], "--out: found no folder 'gone'; expected the name of a CSV; choose another --out"),
        (["--out", "."], "--out: found a folder"),
        (["--import", "gone.json"], "gone.json: found no such file; expected Label Studio's export"),
        (["--rating", "3"], "--rating: found no such option; expected an option of hf-medreport rate"),
    ],
)
def test_what_is_refused(folder, capsys, monkeypatch, flags, message):
    monkeypatch.chdir(folder)
    code, _, errors = run(capsys, "rate", folder, *([] if "--out" in flags else ["--out", "r.csv"]), *flags)
    assert code == 2 and message in errors and not (folder / "r.csv").exists()


def test_a_folder_that_is_none(folder, capsys):
    code, _, errors = run(capsys, "rate", folder / "gone", "--out", folder / "r.csv")
    assert code == 2 and errors == ("gone: found no such folder; expected a folder of pictures; check the path\n")
