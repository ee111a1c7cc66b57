"""The campaign's small sisters: some mutations of each parser, and what the campaign takes for a fault."""

import os
import random
import signal
from pathlib import Path

import pytest

from hf_medreport.files.items import FILE_IT
from hf_medreport.processing.input_error import InputError
from tests.benchmarks import script

mutate = script("mutate", "benchmarks/campaign")
malformed = script("malformed", "benchmarks/campaign")
SLOW = ("slide", "configuration", "archive, compressed")  # some milliseconds an input


@pytest.mark.parametrize("parser", [name for name in mutate.PARSERS if name not in SLOW])
def test_mutated_files_are_read_or_refused(parser):
    assert list(mutate.crashes_of(parser, 1, range(12), lambda number: None)) == []


@pytest.mark.slow
def test_twenty_thousand_of_them(tmp_path):
    *_, found = mutate.run(20_000, 2, tmp_path / "work", tmp_path / "crashes")
    assert found["inputs"] >= 20_000 and found["crashes"] == []


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    monkeypatch.setattr(mutate, "PARSERS", {"made up": ("x", lambda: [b"?"], len), "other": ("y", lambda: [b"?"], str)})
    read = []

    def chunk(parser: str, seed: int, numbers: range, crashes: Path) -> list[dict]:
        read.append((parser, numbers.start, numbers.stop))
        return [{"parser": parser, "number": numbers.start, "what": "x"}] if parser == "other" else []

    monkeypatch.setattr(mutate, "chunk", chunk)
    assert [part["inputs"] for part in mutate.run(100, 0, tmp_path, tmp_path)] == [80, 100]
    assert read == [("made up", 0, 40), ("other", 0, 40), ("made up", 40, 50), ("other", 40, 50)]
    *_, part = mutate.run(140, 0, tmp_path, tmp_path)
    assert read[4:] == [("made up", 50, 70), ("other", 50, 70)] and len(part["crashes"]) == 3


def test_a_mutation_follows_from_its_number():
    made = [[mutate.mutated(b"0123456789" * 9, [b"abc"], random.Random(n)) for n in range(50)] for _ in range(2)]
    assert made[0] == made[1] and len(set(made[0])) > 40


class Several(ValueError):
    """Four fields, in a message of two lines."""

    name = found = expected = remedy = "a"


@pytest.mark.parametrize(
    ("ends", "what"),
    [
        (None, None),
        (InputError("a", "b", "c", "d"), None),
        (Several("a\nb"), "a message of several lines"),
        (KeyError("x"), "KeyError: 'x'"),
        (RecursionError("deep"), "RecursionError: deep"),
        (mutate.TooSlow(), "over 5 s"),
    ],
)
def test_what_counts_as_a_crash(ends, what):
    def read(path: Path) -> None:
        if ends is not None:
            raise ends

    assert mutate.outcome(read, Path("x")) == what


def test_an_input_that_kills_its_reader_is_a_crash_and_the_rest_is_read(tmp_path, monkeypatch):
    def read(path: Path) -> None:
        if path.read_bytes()[:1] == b"!":
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setitem(mutate.PARSERS, "made up", ("x", lambda: [b"?"], read))
    monkeypatch.setattr(mutate, "mutated", lambda content, others, rng: rng.choice((b"!", b"?", b"?")))
    (tmp_path / "crashes").mkdir()
    found = mutate.chunk("made up", 0, range(12), tmp_path / "crashes")
    deadly = [n for n in range(12) if _first(n) == b"!"]
    assert deadly and [each["number"] for each in found] == deadly
    assert all("the process died" in each["what"] for each in found)


def _first(number: int) -> bytes:
    rng = random.Random(f"0 made up {number}")
    rng.choice([b"?"])
    return rng.choice((b"!", b"?", b"?"))


@pytest.mark.parametrize(
    ("code", "lines", "fault"),
    [
        (2, ["a.png: found text; expected PNG; give the image"], None),
        (1, ["a.png: found text; expected PNG; give the image", "0 done, 1 failed, 0 left"], None),
        (0, ["a.png: found text; expected PNG; give the image"], "exit code 0"),
        (-9, [], "exit code -9"),
        (2, [], "0 lines in place of one of four fields"),
        (2, ["Usage: hf-medreport"], "1 lines in place of one of four fields"),
        (1, ["Traceback (most recent call last):"], "an error that nobody foresaw"),
        (1, [f"a: KeyError: found x; expected y; ({FILE_IT})"], "an error that nobody foresaw"),
    ],
)
def test_what_counts_as_a_fault(code, lines, fault):
    assert malformed.fault(code, lines) == fault
