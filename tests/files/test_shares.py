"""Shares of a list: each item in one of them, and the whole once all have ended."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.files import shares
from hf_medreport.files.claims import drop_claim, take_claim
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.shares import ALL, Share, finish_share, joined, this_share
from hf_medreport.processing.input_error import InputError


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)


@given(items=st.lists(st.integers(), max_size=40), of=st.integers(1, 45))
def test_shares_hold_each_item_once_and_give_the_list_again(items, of):
    taken = [Share(number, of).take(items) for number in range(1, of + 1)]
    assert max(map(len, taken)) - min(map(len, taken)) <= 1
    assert joined([{"results": each} for each in taken]) == items


def test_a_share_by_hand():
    assert Share(3, 16).take(range(40)) == [2, 18, 34] and Share(3, 16).file == "part-3-of-16.json"
    assert this_share() == ALL and this_share(" 3/16 ") == Share(3, 16)


@given(jobs=st.integers(1, 5), world=st.integers(1, 5))
def test_the_processes_of_a_job_divide_its_share(jobs, world):
    taken = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORLD_SIZE", str(world))
        for job in range(1, jobs + 1):
            for rank in range(world):
                patch.setenv("RANK", str(rank))
                taken += this_share(f"{job}/{jobs}").take(range(30))
    assert sorted(taken) == list(range(30))


@pytest.mark.parametrize("shard", ["0/16", "17/16", "3", "3/0", "a/b", "-1/2", "1/2/3", "", "³/4", "1.5/2"])
def test_no_such_share(shard):
    with pytest.raises(InputError) as raised:
        this_share(shard)
    assert str(raised.value) == (
        f"shard: found '{shard}'; expected which share of how many, from 1/16 to 16/16; "
        "count from 1: the first of sixteen jobs is 1/16"
    )


def test_one_of_several_processes_that_does_not_know_which(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="RANK: found none beside WORLD_SIZE=2; expected which of the processes"):
        this_share()


def test_processes_share_a_folder_with_resume_only(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(InputError, match="resume: found none, in one of 2 processes; expected `resume`, with which"):
        this_share(resume=False)
    assert this_share(resume=True) == Share(2, 2)


IDS = [f"slide{number}" for number in range(5)]


def do(out, share: Share, ids=IDS) -> dict | None:
    """A share of a run in which an item's file holds its name."""
    with RunFolder(out, "tile", {"mpp": 0.5}, resume=True, records="records.jsonl") as folder:
        for id in share.take(ids):
            if folder.done(id) is None:
                folder.write(f"{id}.txt", id.encode())
                folder.add(id, {}, [f"{id}.txt"])

        def write(results, beside):
            assert beside == {"of": "all"}
            folder.write_json("summary.json", results)
            return folder.finish()

        return finish_share(folder, share, ids, [{"id": id} for id in share.take(ids)], write, {"of": "all"})


def contents(out) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if not path.name.startswith("part-")}


def test_the_last_share_of_a_folder_leaves_what_one_process_leaves(tmp_path):
    one = do(tmp_path / "one", ALL)
    assert do(tmp_path / "out", Share(2, 2)) is None
    assert not (tmp_path / "out" / "summary.json").exists() and not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(InputError, match="out: found an unfinished run"):
        RunFolder(tmp_path / "out", "tile", {"mpp": 0.5})
    manifest = do(tmp_path / "out", Share(1, 2))
    parts = {"part-1-of-2.json", "part-2-of-2.json"}
    assert set(manifest["files"]) - set(one["files"]) == parts
    assert contents(tmp_path / "out") | {"manifest.json": b""} == contents(tmp_path / "one") | {"manifest.json": b""}
    before = contents(tmp_path / "out")
    assert do(tmp_path / "out", Share(2, 2)) == manifest  # again: nothing changes
    assert contents(tmp_path / "out") == before


def test_a_part_of_an_older_list_is_not_joined(tmp_path):
    do(tmp_path, Share(1, 2), IDS[:4])
    assert do(tmp_path, Share(2, 2)) is None
    assert do(tmp_path, Share(1, 2)) is not None
    assert [each["id"] for each in json.loads((tmp_path / "summary.json").read_text())] == IDS


def test_shares_that_end_together_write_the_whole(tmp_path):
    wrote = []
    threads = [
        threading.Thread(target=lambda number=number: wrote.append(do(tmp_path / "out", Share(number, 6))))
        for number in range(1, 7)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrote) == 6 and sum(each is not None for each in wrote) == 1
    assert [each["id"] for each in json.loads((tmp_path / "out" / "summary.json").read_text())] == IDS
    assert not (tmp_path / "out" / ".parts.claim").exists()


def test_who_waits_long_for_another_process_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(shares, "PATIENCE", 0)
    held = take_claim(tmp_path / ".parts.claim")
    threading.Timer(0.3, drop_claim, [held]).start()
    with shares._alone(tmp_path):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        "waiting for another process to join the shares; if it is dead, `clear_dead_claims`"
    ]
