"""The campaign's small sisters: planted identifiers do not come out, planted code does not run."""

import gzip
import io
import pickle
import zipfile

import pytest
import yaml
from PIL import Image, PngImagePlugin

from tests.benchmarks import script

planted = script("planted", "benchmarks/campaign")
CODE = ["convert anatomical, zip as .pth", "convert anatomical, bare as .pt", "report, old as .pt", "train, YAML 0"]
CODE += ["rlhf, YAML 2", "report, auto_map, unknown", "segment, pickles alone", "publish, auto_map, ours"]


@pytest.mark.parametrize("verb", ["evaluate reports", "prepare", "publish", "segment", "report, features"])
def test_planted_identifiers_do_not_come_out(verb, tmp_path):
    (work := tmp_path / "work").mkdir()
    found = planted.identifiers(verb, work)
    assert found["leaks"] == [] and (found["files"] > 0) == (verb != "publish")


@pytest.mark.parametrize("place", CODE)
def test_planted_code_does_not_run(place, tmp_path):
    (work := tmp_path / "work").mkdir()
    found = planted.code(place, work)
    assert not found["ran"] and found["in_order"], found


def png() -> bytes:
    file, said = io.BytesIO(), PngImagePlugin.PngInfo()
    said.add_text("x", planted.NAME, zip=True)
    Image.new("L", (8, 8)).save(file, "PNG", pnginfo=said)
    return file.getvalue()


def packed() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("a", planted.NAME * 99)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"x QZFamily^QZGiven",
        planted.NAME.encode("utf-16-le"),
        gzip.compress(planted.NAME.encode() * 99),
        png(),
        packed(),
    ],
    ids=["plain", "UTF-16", "gzip", "PNG", "ZIP"],
)
def test_what_counts_as_a_leak(content):
    assert planted.leaks(content) == ["QZFAMILY", "QZGIVEN"]
    assert planted.leaks(b"QZ FAMILY") == []


def test_what_is_planted_is_there():
    for content in [*planted.films().values(), planted.slide(), *planted.features().values()]:
        assert len(planted.leaks(content)) >= 4


def test_planted_code_would_run(tmp_path):
    """Each payload does its work where somebody reads it as it should not be read."""
    pickle.loads(planted.pickled(tmp_path / "a")["bare"])
    yaml.unsafe_load(planted.TAGS[0].format(tmp_path / "b"))
    folder = planted.with_code(tmp_path, tmp_path / "c")
    exec((folder / "evil.py").read_text())
    assert all((tmp_path / name).is_file() for name in "abc")
