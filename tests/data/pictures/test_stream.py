"""A stream of items: every row once an epoch, in one order, for any workers and processes, from any row on."""

import random
import tracemalloc
from collections import Counter
from itertools import islice, zip_longest
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from hf_medreport.data.pictures import stream as stream_module
from hf_medreport.data.pictures.stream import PictureStream, collate, shuffled
from hf_medreport.data.pictures.table import PictureTable, Row
from hf_medreport.files.rows import stream_rows
from hf_medreport.processing.input_error import InputError
from tests.tiny import film_array


class Table:
    """Rows without pictures; those in `bad` cannot be used."""

    def __init__(self, count, bad=()):
        self.count, self.bad = count, set(bad)

    def __len__(self):
        return self.count

    def rows(self):
        return (Row(number, f"t.csv, line {number + 2}", {}) for number in range(self.count))

    def item(self, row):
        if row.number in self.bad:
            raise InputError(row.where, "no path", "a file", "correct it")
        return {"pixel_values": torch.zeros(3, 2, 2), "prompt": "x", "modality": None, "row": row.number}


def batches(table, workers, monkeypatch, batch_size=2, **options):
    """What a `DataLoader` with so many workers gives: their batches in turns. Each as [(epoch, row), ...]."""
    shares = []
    for worker in range(workers):
        info = SimpleNamespace(id=worker, num_workers=workers)
        monkeypatch.setattr(stream_module, "get_worker_info", lambda info=info: info)
        items = PictureStream(table, batch_size=batch_size, **options)
        places = [item and (item["epoch"], item["row"]) for item in items]
        shares.append([places[start : start + batch_size] for start in range(0, len(places), batch_size)])
    return [batch for turn in zip_longest(*shares) for batch in turn if batch]


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_each_row_once_an_epoch_and_the_same_batches_for_any_number_of_workers_and_processes(data):
    count, batch_size = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 5))
    workers, world = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    options = {"seed": data.draw(st.integers(0, 9)), "buffer": data.draw(st.sampled_from([1, 3, 100])), "epochs": 2}
    bad = data.draw(st.sets(st.integers(0, count - 1)))
    with pytest.MonkeyPatch.context() as patch:
        table = Table(count, bad)
        alone = [place for batch in batches(table, 1, patch, 1, **options) for place in batch]
        ranks = ({"rank": rank, "world": world} for rank in range(world))
        shares = [batches(table, workers, patch, batch_size, **rank, **options) for rank in ranks]
        start = data.draw(st.integers(0, 2 * count))
        rest = [place for batch in batches(table, 1, patch, 1, start=start, **options) for place in batch]
    assert Counter(alone) == Counter((epoch, row) for epoch in range(2) for row in range(count))
    assert [epoch for epoch, _ in alone] == [0] * count + [1] * count
    assert rest == alone[start:]  # resumed at any row
    # Every process has as many batches, and all together have the rows of one process with a larger batch.
    assert len({tuple(map(len, share)) for share in shares}) == 1
    for step, together in enumerate(zip(*shares, strict=True)):
        wanted = alone[step * batch_size * world : (step + 1) * batch_size * world]
        assert sorted(place for batch in together for place in batch if place) == sorted(wanted)


def test_epochs_and_seeds_have_orders_of_their_own_and_a_buffer_of_1_keeps_the_tables():
    def order(seed, epoch, **options):
        return [row.number for row in PictureStream(Table(20), seed=seed, **options).order(epoch)]

    assert order(0, 0) == order(0, 0)
    assert len({tuple(order(seed, epoch)) for seed in (0, 1) for epoch in (0, 1)}) == 4
    assert order(0, 0, buffer=1) == list(range(20))


def test_without_end_an_epoch_follows_the_other():
    places = [(item["epoch"], item["row"]) for item in islice(PictureStream(Table(3), buffer=1), 7)]
    assert places == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 0)]


@given(st.integers(0, 40), st.integers(1, 50), st.integers(0, 5))
def test_no_more_rows_wait_than_the_buffer_has_places(count, buffer, seed):
    given_out, taken = [], []
    for row in shuffled((taken.append(number) or number for number in range(count)), random.Random(seed), buffer):
        given_out.append(row)
        assert len(taken) - len(given_out) < buffer + 1
    assert sorted(given_out) == list(range(count))


def test_a_bad_row_is_told_in_its_place_and_moves_no_other(monkeypatch):
    assert batches(Table(6, bad={1}), 2, monkeypatch, epochs=1) == batches(Table(6), 2, monkeypatch, epochs=1)
    monkeypatch.undo()
    [bad] = [item for item in PictureStream(Table(6, bad={1}), epochs=1) if "problem" in item]
    assert bad == {
        "row": 1,
        "epoch": 0,
        "problem": "t.csv, line 3: found no path; expected a file; correct it",
    }


def test_a_disk_that_fails_is_told_as_the_row(monkeypatch):
    def broken(row):
        raise OSError(5, "Input/output error")

    table = Table(1)
    table.item = broken
    [item] = PictureStream(table, epochs=1)
    expected = "a file that can be read; check it and its permissions"
    assert item["problem"] == f"t.csv, line 2: found input/output error; expected {expected}"


def test_prompts_are_reworded_by_seed_epoch_and_row_alone():
    def reword(prompt, modality, chance):
        return f"{prompt} {modality} {chance.random()}"

    def prompts(start=0, **options):
        items = PictureStream(Table(4), reword=reword, epochs=2, start=start, **options)
        return {(item["epoch"], item["row"]): item["prompt"] for item in items}

    whole = prompts(seed=3)
    assert len(set(whole.values())) == 8
    rest = prompts(seed=3, start=5, buffer=1)
    assert rest.items() <= whole.items() and len(rest) == 3
    assert whole[0, 0] == f"x None {random.Random('3 0 0').random()}"


def test_a_batch_of_good_and_bad_rows():
    good = {"prompt": "a", "modality": "CXR", "row": 4, "epoch": 1}
    good["pixel_values"] = torch.ones(1, 2, 2).expand(3, -1, -1)
    batch = collate([good, {"row": 5, "epoch": 1, "problem": "bad"}, None])
    assert torch.equal(batch.pop("pixel_values"), torch.ones(1, 3, 2, 2))
    assert batch == {"prompts": ["a"], "modalities": ["CXR"], "rows": [4], "epochs": [1], "problems": ["bad"]}
    assert len(collate([None])["pixel_values"]) == 0


@pytest.fixture
def table(tmp_path):
    from PIL import Image

    Image.fromarray(film_array()).save(tmp_path / "film.png")
    lines = [f"{'film.png' if number % 5 else 'gone.png'},row {number},CXR" for number in range(11)]
    (tmp_path / "t.csv").write_text("\n".join(["path,text,modality", *lines]) + "\n")
    return PictureTable(tmp_path / "t.csv", size=16)


def test_two_workers_of_a_loader_give_what_one_process_gives(table):
    def run(workers):
        loader = DataLoader(PictureStream(table, batch_size=3, epochs=2), 3, num_workers=workers, collate_fn=collate)
        return list(loader)

    alone, two = run(0), run(2)
    assert len(alone) == len(two) == 8  # 22 rows by 3
    for one, other in zip(alone, two, strict=True):
        assert torch.equal(one.pop("pixel_values"), other.pop("pixel_values"))
        assert one == other
    assert sum(len(batch["problems"]) for batch in two) == 6
    told = [problem for batch in two for problem in batch["problems"]]
    assert told.count("t.csv, line 2 (gone.png): found no such file; expected an image file; check the path") == 2


@pytest.mark.slow
def test_a_hundred_thousand_rows_once_over_two_workers():
    table = Table(100_000, bad=range(0, 100_000, 997))
    loader = DataLoader(PictureStream(table, batch_size=50, epochs=1), 50, num_workers=2, collate_fn=collate)
    rows, problems = [], []
    for batch in loader:
        rows += batch["rows"]
        problems += batch["problems"]
    assert len(problems) == len(set(problems)) == len(table.bad)
    assert sorted([*rows, *table.bad]) == list(range(100_000))


def test_memory_does_not_grow_with_the_table(tmp_path):
    def peak(count):
        path = tmp_path / f"{count}.csv"
        path.write_text("path,text,modality\n" + f"film.png,{'words ' * 10},CXR\n" * count)
        table = Table(count)
        table.rows = lambda: (Row(number, *row) for number, row in enumerate(stream_rows(path)))
        tracemalloc.start()
        assert sum(1 for _ in PictureStream(table, buffer=50).order(0)) == count
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)  # what is made once
    assert peak(5000) - peak(500) < 20_000  # 4,500 more rows are 3 MB


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, "batch_size: found 0; expected at least 1; correct it"),
        ({"world": 0}, "world: found 0; expected at least 1; correct it"),
        ({"buffer": 0}, "buffer: found 0; expected at least 1; correct it"),
        ({"rank": 2, "world": 2}, "rank: found 2; expected 0 to 1; number the processes from 0"),
        ({"rank": -1}, "rank: found -1; expected 0 to 0; number the processes from 0"),
        ({"start": -1}, "start: found -1; expected a number of rows from 0; correct it"),
    ],
)
def test_numbers_that_no_stream_has(options, message):
    with pytest.raises(InputError) as raised:
        PictureStream(Table(1), **options)
    assert str(raised.value) == message
