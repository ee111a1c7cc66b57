"""`training.run`: which recipe it starts, what it adds to the metrics, and a model's error as one of input."""

import pytest

from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.anatomical import recipe
from hf_medreport.training import run
from hf_medreport.training.precision import processor


@pytest.mark.parametrize("name", ["anatomical", "anatomical_report"])
def test_a_system_by_its_name_or_its_first_word(monkeypatch, name):
    asked = []
    monkeypatch.setattr(recipe, "train", lambda *arguments: asked.append(arguments) or {"global_step": 4})
    metrics = run(name, "a.yaml", ["--seed", "1"])
    assert asked == [("a.yaml", ["--seed", "1"])] and metrics.pop("core_seconds") > 0
    assert metrics == {"global_step": 4, "processor": processor()}


def test_a_models_error_is_one_of_input(monkeypatch):
    def refuse(*arguments):
        raise ConfigError("AnatomicalReportConfig", "image_size=0", "1 or more", "correct it")

    monkeypatch.setattr(recipe, "train", refuse)
    with pytest.raises(InputError) as raised:
        run("anatomical")
    assert str(raised.value) == "AnatomicalReportConfig: found image_size=0; expected 1 or more; correct it"


def test_unknown_system():
    with pytest.raises(InputError, match="system: found 'histogen'; expected one of anatomical_report"):
        run("histogen")
