"""Four fields, wherever the class came from."""

import importlib.util
import pickle

import pytest

from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.processing.input_error import InputError, four_fields
from hf_medreport.registry import CHECKPOINTS

SAID = {"name": "film.png", "found": "text", "expected": "PNG", "remedy": "convert it"}


@pytest.mark.parametrize("error", [InputError, ConfigError])
def test_it_says_all_four_and_survives_a_worker(error):
    back = pickle.loads(pickle.dumps(error(**SAID)))
    assert type(back) is error and str(back) == "film.png: found text; expected PNG; convert it"
    assert four_fields(back) == SAID


def test_the_class_of_a_models_folder_is_another_and_says_the_same():
    path = CHECKPOINTS / "radscribe-tiny" / "config_error.py"
    spec = importlib.util.spec_from_file_location("of_a_folder", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    error = module.ConfigError(**SAID)
    assert not isinstance(error, ConfigError) and four_fields(error) == SAID


@pytest.mark.parametrize("error", [ValueError("film.png: found text; expected PNG; convert it"), ImportError(name="x")])
def test_other_errors_have_no_fields(error):
    assert four_fields(error) is None


def test_whatever_a_name_holds_the_message_is_one_line():
    error = InputError("a\nb\r\nc\u2028d.png", "x\x0by", "z", "w")
    assert str(error) == "a b c d.png: found x y; expected z; w" and error.name == "a\nb\r\nc\u2028d.png"
