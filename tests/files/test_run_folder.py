"""The folder of a run: gone on with, begun anew, never mixed; and what is left of it after any end."""

import json
import os

import pytest

from hf_medreport.files.interruption import Terminated
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.processing.input_error import InputError

HERE = "; go on with `resume`, begin anew with `overwrite`, or choose another `out`"


def work(out, items, stop_after=None, arguments=None, **options) -> RunFolder:
    """A run that writes a file an item; `stop_after` items it is killed: no block is left, as after SIGKILL."""
    folder = RunFolder(out, "test", arguments or {"seed": 0}, records="records.jsonl", **options)
    folder.total, folder.made_now = len(items), []
    for number, (id, digest) in enumerate(items.items()):
        if number == stop_after:
            return folder
        if folder.done(id, digest) is None:
            folder.made_now.append(id)
            folder.write(f"pictures/{id}.txt", digest.encode())
            folder.add(id, {"name": id}, [f"pictures/{id}.txt"], digest)
    if stop_after is not None:
        return folder
    folder.write_json("final.json", [folder.entries[id]["record"] for id in items])
    folder.finish("Only a test.", ("numpy", "no-such-package"))
    return folder


def contents(out) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


ITEMS = {"a": "1", "b": "2", "c": "3"}


def test_what_is_written(tmp_path):
    folder = work(tmp_path / "out", ITEMS)
    assert folder.progress == "3 done, 0 failed, 0 left"
    names = ["final.json", "manifest.json", "pictures/a.txt", "pictures/b.txt", "pictures/c.txt", "records.jsonl"]
    assert list(contents(tmp_path / "out")) == names
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["made_by"] == "hf-medreport test" and manifest["arguments"] == {"seed": 0}
    assert manifest["inputs"] == ITEMS and manifest["statement"] == "Only a test."
    assert set(manifest["files"]) == {*names} - {"manifest.json", "records.jsonl"}
    assert manifest["versions"]["no-such-package"] is None and manifest["versions"]["numpy"]
    assert (
        manifest["code_version"].startswith(manifest["hf_medreport"] + "+") and len(manifest["settings_digest"]) == 16
    )
    lines = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    assert [json.loads(line)["record"] for line in lines] == [{"name": id} for id in ITEMS]


@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, stop):
    work(tmp_path / "whole", ITEMS)
    work(tmp_path / "out", ITEMS, stop)
    assert not (tmp_path / "out" / "manifest.json").exists()
    if stop:
        with pytest.raises(InputError) as raised:
            work(tmp_path / "out", ITEMS)
        assert str(raised.value) == f"out: found an unfinished run; expected a new or empty folder{HERE}"
    last = work(tmp_path / "out", ITEMS, resume=True)
    assert last.made_now == list(ITEMS)[stop:] and last.progress == "3 done, 0 failed, 0 left"
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_line_that_a_kill_has_cut_is_done_again(tmp_path):
    work(tmp_path / "out", ITEMS, 2)
    records = tmp_path / "out" / "records.jsonl"
    records.write_bytes(records.read_bytes()[:-9])
    assert work(tmp_path / "out", ITEMS, resume=True).made_now == ["b", "c"]
    assert [json.loads(line)["id"] for line in records.read_text().splitlines() if line.endswith("}")][-2:] == [
        "b",
        "c",
    ]


def test_a_finished_run_goes_on_with_what_is_new_or_changed_or_spoilt(tmp_path):
    work(tmp_path / "out", ITEMS)
    with pytest.raises(InputError) as raised:
        work(tmp_path / "out", ITEMS)
    assert str(raised.value) == f"out: found a finished run; expected a new or empty folder{HERE}"
    assert work(tmp_path / "out", ITEMS, resume=True).made_now == []
    (tmp_path / "out" / "pictures" / "b.txt").write_text("?")
    changed = ITEMS | {"c": "4", "d": "5"}
    assert work(tmp_path / "out", changed, resume=True).made_now == ["b", "c", "d"]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["inputs"] == changed and (tmp_path / "out" / "pictures" / "c.txt").read_text() == "4"


def test_a_run_of_other_arguments_is_not_gone_on_with(tmp_path):
    work(tmp_path / "out", ITEMS, 1)
    with pytest.raises(InputError) as raised:
        work(tmp_path / "out", ITEMS, arguments={"seed": 1, "size": 64}, resume=True)
    assert str(raised.value) == (
        "out: found a run with seed 0, size null; expected seed 1, size 64 as now; "
        "give the same, begin anew with `overwrite`, or choose another `out`"
    )


@pytest.mark.parametrize("stop", [1, None])
def test_overwrite_removes_what_the_older_run_wrote_and_only_that(tmp_path, stop):
    out = tmp_path / "out"
    older = work(out, {"old": "0", **ITEMS}, stop)
    with older.open("pictures/begun.txt"):
        pass  # and killed before it was noted as done
    (out / "pictures" / "mine.txt").write_text("thesis")
    (out / ".final.json.part").write_text("half")
    work(out, ITEMS, arguments={"seed": 7}, overwrite=True)
    (out / "pictures" / "mine.txt").unlink()
    work(tmp_path / "whole", ITEMS, arguments={"seed": 7})
    assert {**contents(out), ".final.json.part": b""} == {**contents(tmp_path / "whole"), ".final.json.part": b""}


def test_nothing_is_removed_before_the_new_run_writes(tmp_path):
    work(tmp_path / "out", ITEMS)
    before = contents(tmp_path / "out")
    with RunFolder(tmp_path / "out", "other", {}, overwrite=True) as folder:
        assert folder.finished() is None and folder.done("a", "1") is None
    assert contents(tmp_path / "out") == before


def test_overwrite_does_not_follow_a_manifest_out_of_the_folder(tmp_path):
    work(tmp_path / "out", ITEMS)
    (tmp_path / "thesis.txt").write_text("mine")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    manifest["files"]["../thesis.txt"] = {}
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    work(tmp_path / "out", ITEMS, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["../thesis.txt", "a/../../thesis.txt", "{}/thesis.txt"])
def test_nothing_is_written_out_of_the_folder(tmp_path, name):
    name, folder = name.format(tmp_path), RunFolder(tmp_path / "out", "test", {})
    (tmp_path / "source.txt").touch()
    for write in (lambda: folder.write(name, b""), lambda: folder.bring(name, tmp_path / "source.txt")):
        with pytest.raises(InputError, match="^out: found a file's name that leads out of the folder"):
            write()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["out", "source.txt"]


def test_a_name_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match="found file name too long; expected a folder to write to"):
        RunFolder(tmp_path / ("x" * 300), "test", {})


def test_both_and_folders_of_something_else(tmp_path):
    with pytest.raises(InputError, match="overwrite: found it beside `resume`; expected one of the two"):
        RunFolder(tmp_path, "test", {}, resume=True, overwrite=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InputError, match="mine: found a folder that is not empty; expected a new or empty folder"):
        RunFolder(tmp_path / "mine", "test", {}, alone=True)
    RunFolder(tmp_path / "mine", "test", {})  # beside other files, where it does not matter
    (tmp_path / "mine" / "manifest.json").write_text('{"training": {}}')
    with pytest.raises(InputError, match="mine: found a manifest.json of something else"):
        RunFolder(tmp_path / "mine", "test", {}, overwrite=True)


def test_a_folder_in_which_nothing_was_begun_goes_again(tmp_path):
    with pytest.raises(ZeroDivisionError), RunFolder(tmp_path / "out", "test", {}):
        1 / 0  # noqa: B018
    assert not (tmp_path / "out").exists()


def test_records_of_a_finished_run_that_are_hidden_go(tmp_path):
    with RunFolder(tmp_path / "out", "test", {}) as folder:
        folder.add("a", {})
        assert (tmp_path / "out" / ".records.jsonl").exists()
        folder.finish()
    assert os.listdir(tmp_path / "out") == ["manifest.json"]
    assert RunFolder(tmp_path / "out", "test", {}, resume=True).finished()["inputs"] == {}


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, Terminated])
def test_an_interruption_says_what_was_done(tmp_path, interruption):
    with pytest.raises(interruption) as raised, RunFolder(tmp_path / "out", "test", {}) as folder:
        folder.total = 5
        folder.add("a", {}, count=2)
        folder.fail()
        raise interruption
    assert raised.value.__notes__ == ["interrupted: 2 done, 1 failed, 2 left; `resume` goes on"]


def test_processes_that_share_a_folder_know_of_each_other(tmp_path):
    first = RunFolder(tmp_path / "out", "test", {}, resume=True, records="records.jsonl")
    first.add("a", {}, digest="1")
    second = RunFolder(tmp_path / "out", "test", {}, resume=True, records="records.jsonl")
    assert second.done("a", "1") == {}
    second.add("b", {}, digest="2")
    assert first.finish()["inputs"] == {"a": "1", "b": "2"}
    second.add("c", {}, digest="3")
    assert set(second.finish()["inputs"]) == set("abc") and not (tmp_path / "out" / ".unfinished.jsonl").exists()


def test_an_older_run_of_other_items_is_no_run_to_go_on_with(tmp_path):
    with RunFolder(tmp_path, "report", {}, records="records.jsonl") as folder:
        for name in ("a.png", "b.png"):
            folder.add(name, {})
        folder.finish()
    again = RunFolder(tmp_path, "report", {}, resume=True, records="records.jsonl")
    again.expect(["b.png", "c.png", "a.png"])  # more of them
    with pytest.raises(InputError) as raised:
        again.expect(["b.png"])
    assert str(raised.value) == (
        f"{tmp_path.name}: found an older run with 1 other items, such as a.png; expected one of these items, or of "
        "some of them; give these too, begin anew with `overwrite`, or choose another `out`"
    )
