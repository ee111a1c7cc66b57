"""Which recipe a name starts."""

from types import SimpleNamespace

import pytest

from hf_medreport import training
from hf_medreport.processing.input_error import InputError

NAMES = ("chest_two_views", "chest_one_view", "chest")


@pytest.fixture
def started(monkeypatch):
    """The recipe that a name starts, where there are those of NAMES."""
    rows = [SimpleNamespace(model_type=name, recipe=name) for name in NAMES]
    monkeypatch.setattr(training, "systems", lambda: rows)

    def recipe(name: str) -> SimpleNamespace:
        return SimpleNamespace(train=lambda config, flags: {"started": name})

    monkeypatch.setattr(training.importlib, "import_module", recipe)
    return lambda name: training.run(name)["started"]


@pytest.mark.parametrize("name", NAMES)
def test_a_whole_name_wins_over_a_first_word(started, name):
    assert started(name) == name


def test_a_first_word(started, monkeypatch):
    monkeypatch.setattr(training, "systems", lambda: [SimpleNamespace(model_type="chest_film", recipe="chest_film")])
    assert started("chest") == "chest_film"


def test_no_such_name(started):
    with pytest.raises(InputError, match="system: found 'ches'; expected one of chest_two_views, chest_one_view, "):
        started("ches")
