"""The models of the pages: which for what, each loaded once, a wrong one told at the start."""

import pytest

from hf_medreport.demo import models as module
from hf_medreport.demo.models import Models
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import default_model


def test_the_default_of_each_kind_comes_first():
    models = Models()
    for reads in ("film", "pair", "slide", "prompt"):
        assert models.of(reads)[0] == default_model(reads)
    assert set(models.of("film", "pair")) == {*models.of("film"), *models.of("pair")} and models.loaded == {}


def test_a_given_model_comes_before_the_shipped_ones_and_is_loaded_once(tiny_pipe_folder, monkeypatch):
    loaded = []
    load = module.load
    monkeypatch.setattr(module, "load", lambda name, **options: loaded.append(name) or load(name, **options))
    models = Models([str(tiny_pipe_folder)], device="cpu")
    assert models.of("film")[:2] == [str(tiny_pipe_folder), default_model("film")]
    assert models.pipe(str(tiny_pipe_folder)) is models.pipe(str(tiny_pipe_folder))
    assert loaded == [str(tiny_pipe_folder)]
    assert Models.title(str(tiny_pipe_folder)) == tiny_pipe_folder.name and Models.title("org/chest") == "chest"


def test_a_wrong_model_is_told_at_the_start():
    with pytest.raises(InputError, match="anatomical-tiny"):
        Models(["anatomical-tyni"])


def test_a_function_of_a_page_is_wrapped_where_the_host_wants_it():
    assert Models().run(lambda models, *given: given, 1)(2) == (1, 2)
    wrapped = Models(around=lambda function: lambda *given: ("around", function(*given)))
    assert wrapped.run(lambda models, *given: given, 1)(2) == ("around", (1, 2))
