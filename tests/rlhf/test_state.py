"""What a loop's state keeps, and what it refuses."""

import json

import pytest

from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.state import State

SETTINGS = {"update": "ddpo", "seed": 0}


def written(content: str, done: list):
    def work(folder):
        done.append(folder.name)
        (folder / "file.txt").write_text(content)
        return {"content": content, "old": sorted(path.name for path in folder.iterdir())}, [folder / "file.txt"]

    return work


def three_steps(folder, done=None, stop=None, **options) -> State:
    state, done = State(folder, SETTINGS, **options), [] if done is None else done
    for number, name in enumerate(("start", "round-1/a", "round-1/b", "round-2/a")):
        if number == stop:
            return state
        if number == 3:
            state.add_round(1, {"round": 1})
        state.step(name, written(name, done))
    return state


def contents(folder) -> dict:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_steps_are_done_once_and_a_cut_run_ends_in_the_same_bytes(tmp_path):
    three_steps(tmp_path / "whole")
    for stop in range(1, 4):
        done = []
        three_steps(tmp_path / f"cut-{stop}", done, stop)
        (tmp_path / f"cut-{stop}" / "round-1" / "b").mkdir(parents=True, exist_ok=True)
        if stop < 3:
            (tmp_path / f"cut-{stop}" / "round-1" / "b" / "half.txt").write_text("left by a kill")
        three_steps(tmp_path / f"cut-{stop}", done, resume=True)
        assert len(done) == 4
        assert contents(tmp_path / f"cut-{stop}") == contents(tmp_path / "whole")


def test_a_changed_file_makes_its_step_and_those_after_it_anew(tmp_path):
    three_steps(tmp_path)
    before, done = contents(tmp_path), []
    (tmp_path / "round-1" / "b" / "file.txt").write_text("changed")
    state = three_steps(tmp_path, done, resume=True)
    assert done == ["b", "a"] and contents(tmp_path) == before and state.rounds == [{"round": 1}]
    (tmp_path / "round-2" / "a" / "file.txt").unlink()
    done = []
    three_steps(tmp_path, done, resume=True)
    assert done == ["a"] and contents(tmp_path) == before


def test_a_step_that_goes_on_finds_what_it_left(tmp_path):
    state = State(tmp_path, SETTINGS)
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "half.txt").write_text("left")
    assert state.step("start", written("x", []), goes_on=True)["old"] == ["file.txt", "half.txt"]


def test_overwrite_removes_what_the_older_run_wrote_and_nothing_else(tmp_path):
    three_steps(tmp_path)
    (tmp_path / "mine.txt").write_text("mine")
    state = json.loads((tmp_path / "state.json").read_text())
    state["folders"].append("../elsewhere")  # as a damaged state could say
    (tmp_path / "state.json").write_text(json.dumps(state))
    (tmp_path.parent / "elsewhere").mkdir(exist_ok=True)
    State(tmp_path, {"update": "preference"}, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"] and (tmp_path.parent / "elsewhere").is_dir()


def refused(folder, settings=SETTINGS, **options) -> str:
    with pytest.raises(InputError) as error:
        State(folder, settings, **options)
    return str(error.value)


def test_what_is_refused(tmp_path):
    out = tmp_path / "out"
    three_steps(out)
    assert refused(out) == (
        "out: found an older run; expected a new or empty folder; go on with `resume`, begin anew with `overwrite`, or "
        "choose another `output_dir`"
    )
    assert refused(out, {"update": "preference", "seed": 0}, resume=True) == (
        'out: found a run with update "ddpo"; expected update "preference" as now; give the same, begin anew with '
        "`overwrite`, or choose another `output_dir`"
    )
    (out / "state.json").write_text('{"made_by": "hf-med')
    assert refused(out, resume=True) == (
        "out: found a state.json of something else, or a cut one; expected the state of a loop; choose another "
        "`output_dir`"
    )
    (out / "state.json").unlink()
    assert refused(out, resume=True) == (
        "out: found a folder that is not empty and has no state.json; expected a new or empty folder; choose another "
        "`output_dir`"
    )
    (tmp_path / "file").write_text("")
    assert refused(tmp_path / "file").startswith("file: found a file; expected a folder to write to")
