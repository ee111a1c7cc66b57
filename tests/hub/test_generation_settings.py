"""What a report model needs to write, held by every writer and reader of its folder."""

import json
import shutil

import pytest

from hf_medreport.hub.card import write_card
from hf_medreport.hub.folder import save_folder
from hf_medreport.hub.generation_settings import check_generation, check_generation_file
from hf_medreport.hub.publish import check_folder
from hf_medreport.inference.loading import load
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import CHECKPOINTS, systems
from tests.tiny import tiny_model, tiny_processor

WRITERS = [row for row in systems() if row.kind == "report"]
CONFIG = {"decoder": {"n_positions": 64, "vocab_size": 257}}
GOOD = {"max_new_tokens": 20, "eos_token_id": 0}
LENGTH = "no max_new_tokens; expected the most tokens of a report; set it, to 128 for instance"
END = "no eos_token_id; expected the token that ends a report; set it to the tokenizer's"
REFUSED = [
    ({"max_new_tokens": None}, LENGTH),
    ({"max_new_tokens": 0}, "max_new_tokens 0; expected a whole number from 1 to 64; correct it"),
    ({"max_new_tokens": 65}, "max_new_tokens 65; expected a whole number from 1 to 64; correct it"),
    ({"max_new_tokens": "20"}, 'max_new_tokens "20"; expected a whole number from 1 to 64; correct it'),
    ({"max_new_tokens": True}, "max_new_tokens true; expected a whole number from 1 to 64; correct it"),
    ({"max_new_tokens": 6.5}, "max_new_tokens 6.5; expected a whole number from 1 to 64; correct it"),
    ({"eos_token_id": [0, None]}, 'eos_token_id "null"; expected a whole number from 0 to 256; correct it'),
    ({"eos_token_id": None}, END),
    ({"eos_token_id": []}, END),
    ({"eos_token_id": 257}, "eos_token_id 257; expected a whole number from 0 to 256; correct it"),
    ({"eos_token_id": [0, -1]}, "eos_token_id -1; expected a whole number from 0 to 256; correct it"),
    ({"eos_token_id": "</s>"}, 'eos_token_id "</s>"; expected a whole number from 0 to 256; correct it'),
    ({"pad_token_id": 300}, "pad_token_id 300; expected a whole number from 0 to 256; correct it"),
    ({"num_beams": 0}, "num_beams 0; expected a whole number from 1 to 257; correct it"),
    ({"num_beams": 10**6}, "num_beams 1000000; expected a whole number from 1 to 257; correct it"),
]


def message(call, *arguments):
    with pytest.raises(InputError) as raised:
        call(*arguments)
    return str(raised.value)


@pytest.mark.parametrize(("change", "found"), REFUSED, ids=lambda value: str(value)[:30])
def test_what_is_refused(change, found):
    assert message(check_generation, GOOD | change, CONFIG, "model") == f"model: found {found}"


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        (GOOD, CONFIG),
        ({"max_new_tokens": 64, "eos_token_id": [0, 256], "pad_token_id": 256, "num_beams": 3}, CONFIG),
        (GOOD | {"max_new_tokens": 10**6, "eos_token_id": 10**6}, {"decoder": None}),  # of unknown size
        (GOOD, {"max_position_embeddings": 20, "vocab_size": 1}),
    ],
)
def test_what_is_enough(settings, config):
    check_generation(settings, config, "model")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            None,
            "no such file; expected the length and the end of a report; "
            "copy the file again, or save the model with max_new_tokens in its generation_config",
        ),
        ('{\n"max_new_tokens": ', "broken JSON (line 2); expected a JSON object; copy the file again"),
        ("[]", "list; expected a JSON object; copy the file again"),
        ("{}", LENGTH),
    ],
)
def test_the_file(content, found, tmp_path):
    path = tmp_path / "generation_config.json"
    if content is not None:
        path.write_text(content)
    expected = f"org/model/generation_config.json: found {found}"
    assert message(check_generation_file, path, "org/model", CONFIG) == expected


@pytest.fixture(params=[row.checkpoint for row in WRITERS if row.checkpoint])
def folder(request, tmp_path):
    """A copy of a shipped model that has lost its length."""
    copy = shutil.copytree(CHECKPOINTS / request.param, tmp_path / "model")
    settings = json.loads((copy / "generation_config.json").read_text())
    del settings["max_new_tokens"]
    (copy / "generation_config.json").write_text(json.dumps(settings))
    return copy


def test_no_model_without_a_length_is_loaded_or_published(folder):
    assert message(load, folder) == f"{folder}/generation_config.json: found {LENGTH}"
    assert message(check_folder, folder) == f"model/generation_config.json: found {LENGTH}"


def test_a_repository_is_asked_too(folder, monkeypatch):
    def cached_file(name, file, revision):
        assert (name, revision) == ("org/model", "v1")
        if not (folder / file).is_file():
            raise OSError
        return str(folder / file)

    monkeypatch.setattr("hf_medreport.inference.loading.cached_file", cached_file)
    where = "org/model/generation_config.json: found"
    with pytest.raises(InputError) as raised:
        load("org/model", revision="v1")
    assert str(raised.value) == f"{where} {LENGTH}"
    (folder / "generation_config.json").unlink()
    with pytest.raises(InputError, match=f"{where} no such file; expected"):
        load("org/model", revision="v1")


@pytest.mark.parametrize("row", WRITERS, ids=lambda row: row.model_type)
def test_no_model_without_a_length_is_saved(row, tmp_path):
    model = tiny_model(row)
    model.generation_config.max_new_tokens = None
    assert message(save_folder, model, tiny_processor(row), tmp_path / "new") == f"generation_config: found {LENGTH}"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("row", [row for row in systems() if row.kind == "causal-lm"], ids=lambda row: row.model_type)
def test_how_far_a_language_model_goes_on_is_for_its_caller_to_say(row, tmp_path):
    folder = save_folder(tiny_model(row), tiny_processor(row), tmp_path / "model")
    assert "max_new_tokens" not in json.loads((folder / "generation_config.json").read_text())
    write_card(folder, {}, model_name="org/model", base="random weights", data="none", command="none")
    assert "generation_config.json" in check_folder(folder)[0]
