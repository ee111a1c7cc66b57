"""Drawn films with descriptions, as a table: the same bytes whoever draws, written once."""

import json

import pytest

from hf_medreport.data.drawn import described
from hf_medreport.data.drawn.described import draw_described, encode_described
from hf_medreport.data.pictures.table import PictureTable
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.parser import facts_from_text
from hf_medreport.processing.input_error import InputError


@pytest.fixture
def in_this_process(monkeypatch):
    """Films are drawn here: starting processes would be most of the time."""
    drawn = []

    def draw_in_order(corpus, encode, workers, indices):
        for index in indices:
            drawn.append(index)
            yield encode(corpus, index)

    monkeypatch.setattr(described, "draw_in_order", draw_in_order)
    return drawn


def corpus(n=3, **options):
    return ChestCorpus(n=n, seed=5, size=64, **options)


def test_a_table_as_the_readers_of_pictures_take_it(tmp_path, in_this_process):
    path = draw_described(tmp_path / "drawn", corpus())
    table = PictureTable(path, size=64)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert path.name == "pictures.jsonl" and (len(table), table.problems) == (3, 0)
    for index, (row, read) in enumerate(zip(table.rows(), rows, strict=True)):
        item, case = table.item(row), corpus()[index]
        pixels = (item["pixel_values"][0].numpy() + 1) * 127.5
        assert (pixels.round() == case.image).all()  # not a gray level is lost at its own size
        assert (item["prompt"], item["modality"]) == (read["text"], "CXR")
        assert tuple(Fact(**fact) for fact in read["facts"]) == case.facts
        assert not case.facts or {fact.key for fact in facts_from_text(read["text"])} == {
            fact.key for fact in case.facts
        }


def test_what_is_there_is_not_drawn_again(tmp_path, in_this_process):
    path = draw_described(tmp_path / "drawn", corpus())
    content = {file.name: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}
    assert draw_described(tmp_path / "drawn", corpus()) == path and in_this_process == [0, 1, 2]
    assert content == {file.name: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}


def test_a_run_that_was_interrupted_goes_on(tmp_path, in_this_process):
    def stopped(records):
        yield next(iter(records))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_described(tmp_path / "drawn", corpus(), progress=stopped)
    draw_described(tmp_path / "drawn", corpus())
    draw_described(tmp_path / "whole", corpus())
    assert in_this_process == [0, 1, 2] * 2  # the first film of the first run was kept
    for name in ("pictures.jsonl", "manifest.json"):
        assert (tmp_path / "drawn" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_films_of_another_corpus_are_not_mixed_in(tmp_path, in_this_process):
    draw_described(tmp_path / "drawn", corpus())
    with pytest.raises(InputError, match="drawn: found "):
        draw_described(tmp_path / "drawn", corpus(n=4))


def test_held_out_films_have_held_out_words():
    facts = [Fact("pleural_effusion", "left", severity="mild")]
    texts = {
        split: {encode_described(corpus(12, split=split, facts=facts), index).row["text"] for index in range(3)}
        for split in ("train", "test")
    }
    assert not texts["train"] & texts["test"]


@pytest.mark.slow
def test_processes_draw_the_same(tmp_path):
    draw_described(tmp_path / "one", corpus(), workers=1)
    draw_described(tmp_path / "two", corpus(), workers=2)
    for file in (tmp_path / "one").rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()
