"""The script that brought committed files to today's names: what it renames, and that nothing is left to rename."""

from pathlib import Path

from tests.benchmarks import script

keys = script("rename_keys", ".ci")


def test_old_names_become_todays():
    yaml = "phantom_films: 9\nphantom_validation_slides: 2\nevaluation_films: 1  # benchmarks/ablation.py\n"
    todays = (
        "phantom_cases: 9\nphantom_validation_cases: 2\nevaluation_cases: 1  # benchmarks/experiments/ablation.py\n"
    )
    assert keys.renamed(yaml, Path("a.yaml")) == todays
    assert keys.renamed("`python benchmarks/decoder.py`", Path("R.md")) == "`python benchmarks/speed/decoder.py`"
    assert keys.renamed('{"mode": "soft", "n": 1}', Path("soft-0.json")) == '{"arm": "soft", "n": 1}'


def test_numbers_are_those_of_every_depth():
    assert keys.numbers({"a": [1, {"b": 2.5, "c": "3"}], "d": None}) == [1, 2.5]


def test_nothing_is_left_to_rename():
    assert keys.changes() == {}
