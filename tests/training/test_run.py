"""Which recipe a name starts, what is added to its metrics, and a model's error as one of input."""

from types import SimpleNamespace

import pytest

from hf_medreport import training
from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.anatomical import recipe as anatomical_recipe
from hf_medreport.training import run
from hf_medreport.training.precision import processor

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


@pytest.mark.parametrize("name", ["anatomical", "anatomical_report"])
def test_a_system_by_its_name_or_its_first_word(monkeypatch, name):
    asked = []
    monkeypatch.setattr(anatomical_recipe, "train", lambda *arguments: asked.append(arguments) or {"global_step": 4})
    metrics = run(name, "a.yaml", ["--seed", "1"])
    assert asked == [("a.yaml", ["--seed", "1"])] and metrics.pop("core_seconds") > 0
    assert metrics == {"global_step": 4, "processor": processor()}


def test_a_models_error_is_one_of_input(monkeypatch):
    def refuse(*arguments):
        raise ConfigError("AnatomicalReportConfig", "image_size=0", "1 or more", "correct it")

    monkeypatch.setattr(anatomical_recipe, "train", refuse)
    with pytest.raises(InputError) as raised:
        run("anatomical")
    assert str(raised.value) == "AnatomicalReportConfig: found image_size=0; expected 1 or more; correct it"


def test_unknown_system():
    with pytest.raises(InputError, match="system: found 'histogen'; expected one of anatomical_report"):
        run("histogen")
