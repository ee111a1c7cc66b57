"""Folders of shares become the folder of one process, or it is said which is missing."""

import json

import pytest

from hf_medreport.files import run_folder
from hf_medreport.files.merging import merged
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.shares import ALL, Share
from hf_medreport.processing.input_error import InputError
from tests.files.test_shares import contents, do


@pytest.fixture
def shares(tmp_path):
    """The folders of three shares of five items."""
    folders = [tmp_path / f"share{number}" for number in (1, 2, 3)]
    for number, folder in enumerate(folders, start=1):
        assert do(folder, Share(number, 3)) is None
    return folders


def merge(folders, out, **options) -> None:
    with merged(folders, out, **options) as (folder, results, beside):
        assert beside == {"of": "all"}
        assert folder.done_items == len(results)
        folder.write_json("summary.json", results)
        folder.finish()


@pytest.mark.parametrize("links", [True, False])
def test_what_one_process_would_have_left(shares, tmp_path, monkeypatch, links):
    if not links:
        monkeypatch.setattr(run_folder.os, "link", lambda *_: (_ for _ in ()).throw(OSError(95, "not supported")))
    do(tmp_path / "one", ALL)
    merge(shares[::-1], tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "one")
    assert (tmp_path / "out" / "slide1.txt").stat().st_nlink == (2 if links else 1)
    before = contents(tmp_path / "out")
    merge(shares, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == before


def test_a_killed_merge_goes_on(shares, tmp_path, monkeypatch):
    bring, brought = RunFolder.bring, []

    def killed(self, name, source):
        if len(brought) == 2:
            raise KeyboardInterrupt
        brought.append(name)
        bring(self, name, source)

    monkeypatch.setattr(RunFolder, "bring", killed)
    with pytest.raises(KeyboardInterrupt):
        merge(shares, tmp_path / "out")
    monkeypatch.undo()
    merge(shares, tmp_path / "out", resume=True)
    do(tmp_path / "one", ALL)
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


def test_a_folder_that_two_shares_filled(tmp_path):
    for number in (1, 2):
        do(tmp_path / "both", Share(number, 3))
    do(tmp_path / "third", Share(3, 3))
    merge([tmp_path / "both", tmp_path / "third"], tmp_path / "out")
    do(tmp_path / "one", ALL)
    assert contents(tmp_path / "out") == contents(tmp_path / "one")


def refused(folders, tmp_path) -> str:
    with pytest.raises(InputError) as raised:
        merge(folders, tmp_path / "out")
    return str(raised.value)


def test_what_is_missing_or_stands_twice_is_named(shares, tmp_path):
    assert refused([shares[0]], tmp_path) == (
        "folders: found no share 2, 3 of 3; expected all shares; let them end, and give their folders too"
    )
    do(tmp_path / "again", Share(2, 3))
    assert refused([*shares, tmp_path / "again"], tmp_path) == (
        "part-2-of-3.json: found it in share2 and again; expected each share once; leave out one of the folders"
    )
    (shares[1] / "part-2-of-3.json").unlink()
    assert refused(shares, tmp_path).startswith("share2: found no part-*-of-*.json; expected what became of a share")
    (shares[1] / "part-2-of-3.json").write_text('{"share": 2, "of"')
    assert refused(shares, tmp_path).startswith("part-2-of-3.json: found a broken file; expected what became of a")
    assert refused([tmp_path / "empty"], tmp_path).startswith("empty: found no run in it; expected the folder of a")


def test_shares_of_other_runs_are_refused(shares, tmp_path):
    do(tmp_path / "of2", Share(1, 2))
    assert refused([*shares, tmp_path / "of2"], tmp_path).startswith("folders: found shares of 2 and of 3; expected")
    do(tmp_path / "longer", Share(3, 3), [f"slide{number}" for number in range(6)])
    assert refused([*shares[:2], tmp_path / "longer"], tmp_path).startswith(
        "longer: found a list of 6 items, and share1 one of 5 or in another order; expected shares of one list"
    )
    header = json.loads((shares[2] / ".unfinished.jsonl").read_text().splitlines()[0])
    header["arguments"]["mpp"] = 1
    (shares[2] / ".unfinished.jsonl").write_text(json.dumps(header) + "\n")
    assert refused(shares, tmp_path).startswith("share3: found a run with mpp 1; expected mpp 0.5 as now")


@pytest.mark.parametrize(("spoil", "found"), [(True, "other content than its record says"), (False, "no such file")])
def test_a_file_that_is_not_as_written(shares, tmp_path, spoil, found):
    path = shares[1] / "slide1.txt"
    path.write_text("other!") if spoil else path.unlink()
    assert refused(shares, tmp_path) == (
        f"share2/slide1.txt: found {found}; expected the file as written; do this share again with `resume`"
    )


@pytest.mark.parametrize("name", ["../secret.txt", "{}/secret.txt"])
def test_a_record_cannot_lead_out_of_the_folder(shares, tmp_path, name):
    """Neither in nor out: what a share's records name is looked for in the share, and written to the new folder."""
    (tmp_path / "secret.txt").write_text("secret")
    records = shares[0] / "records.jsonl"
    entries = [json.loads(line) for line in records.read_text().splitlines()]
    entries[0]["files"] = {name.format(tmp_path): next(iter(entries[0]["files"].values()))}
    records.write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    (tmp_path / "deep" / "er").mkdir(parents=True)
    with pytest.raises(InputError, match="^out: found a file's name that leads out of the folder"):
        merge(shares, tmp_path / "deep" / "er" / "out")
    assert [path.name for path in (tmp_path / "deep").rglob("secret*")] == []
