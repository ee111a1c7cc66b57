"""The campaign's small sisters: disks that are full, places that cannot be written to, names that lead out."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from tests.benchmarks import script

full_disk = script("full_disk", "benchmarks/campaign")
writers = script("writers", "benchmarks/campaign")


@pytest.fixture
def work():
    """A folder that another user may look into, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    writers.opened(folder / "places")
    shutil.rmtree(folder)


@pytest.mark.parametrize("verb", ["phantom chest", "evaluate reports"])
def test_a_full_disk(verb, tmp_path, monkeypatch):
    monkeypatch.setattr(full_disk, "MOST", 4)
    found = full_disk.run(verb, full_disk.COMMANDS[verb](tmp_path), tmp_path)
    assert found["met"] == 4 and found["faults"] == []


def test_what_counts_as_a_fault(tmp_path, monkeypatch):
    """A verb that takes no notice of a full disk, leaves half a file, and ends in other bytes."""
    runs = []

    def verb(*arguments):
        runs.append(out := Path(arguments[arguments.index("--out") + 1]))
        out.mkdir(exist_ok=True)
        with suppress(OSError):
            full_disk.writing.write_text(out / "a.txt", str(len(runs)))
        (out / ".b.part").touch()
        return 0, "", ""

    monkeypatch.setattr(full_disk, "verb", verb)
    faults = full_disk.run("made up", [], tmp_path)["faults"]
    said = ["write 1: exit code 0", "write 1: .b.part is left", "write 1: gone on with"]
    assert [fault.partition(", ")[0] for fault in faults] == said


@pytest.mark.parametrize("verb", ["phantom chest", "evaluate reports"])
def test_places_that_cannot_be_written_to(verb, work):
    found = writers.in_places(verb, work / "places")
    assert list(found) == list(writers.PLACES)
    assert {what: one["fault"] for what, one in found.items() if one["fault"]} == {}
    assert [what for what, one in found.items() if one["exit"] == 0] == ["no temporary folder"]


@pytest.mark.parametrize("writer", ["evaluate reports, ids", "prepare, ids", "merge, ../x", "merge, {}/absolute"])
def test_names_that_lead_out(writer, tmp_path):
    found = writers.out_of_the_folder(writer, tmp_path / "work")
    assert found["fault"] is None and found["exit"] == (2 if "merge" in writer else found["exit"])


def test_what_counts_as_written_outside(tmp_path, monkeypatch):
    (work := tmp_path / "work").mkdir()
    out = work / "out"

    def forked(log: Path, *command, before) -> int:
        (work / command[0]).parent.mkdir(exist_ok=True)
        (work / command[0]).write_text("x")
        log.write_text("")
        return 0

    monkeypatch.setattr(writers, "forked", forked)
    monkeypatch.setattr(writers, "ended", lambda pid: 0)
    assert writers.call(["out/a"], int, work, out, True)["fault"] is None
    assert "written outside of the folder" in writers.call(["b"], int, work, out, True)["fault"]
    assert "left behind: .a.part" in writers.call(["out/.a.part"], int, work, out, True)["fault"]
    assert writers.call(["out/a"], int, work, out, False)["fault"] is not None
