"""Arguments from a YAML file and flags: a flag beats the file, and what is wrong is named."""

from dataclasses import dataclass, field

import pytest

from hf_medreport.files.settings import read_yaml
from hf_medreport.processing.input_error import InputError
from hf_medreport.training.arguments import read_arguments


@dataclass
class Model:
    width: int
    phantom_cases: int = 0


@dataclass
class Training:
    learning_rate: float = 0.5
    train_data: list[str] = field(default_factory=list)
    train_weights: list[float] | None = None
    freeze: bool = False
    shuffle: bool = True


def read(folder, text: str | None = None, *flags: str, **options):
    if text is not None:
        (folder / "a.yaml").write_text(text)
    return read_arguments((Model, Training), text and str(folder / "a.yaml"), list(flags), **options)


def test_a_flag_beats_the_file_and_the_file_the_default(tmp_path):
    flags = ["--learning-rate=0.125", "--train_data", "a.csv", "b.csv"]
    found = read(tmp_path, "width: 8\nlearning_rate: 0.25\nphantom_cases: 3", *flags)
    assert found == (Model(8, 3), Training(0.125, ["a.csv", "b.csv"]))
    assert read(tmp_path, None, "--width", "2") == (Model(2), Training())


def test_one_value_of_a_list_stands_for_a_list(tmp_path):
    assert read(tmp_path, "width: 8\ntrain_data: a.csv")[1].train_data == ["a.csv"]


def test_values_of_their_kind(tmp_path):
    text = "width: 8\nlearning_rate: 1\ntrain_weights: [1, 0.5]\nfreeze: true"
    assert read(tmp_path, text)[1] == Training(1, [], [1, 0.5], True)
    text = "width: '8'\ntrain_weights: null\nfreeze: 'yes'\nshuffle: false"
    assert read(tmp_path, text) == (Model(8), Training(freeze=True, shuffle=False))


def test_a_file_may_be_written_in_other_words(tmp_path):
    def translate(values):
        return {"width": values["size"]["w"]}

    assert read(tmp_path, "size: {w: 3}", translate=translate)[0] == Model(3)


@pytest.mark.parametrize(
    ("text", "flags", "message"),
    [
        ("widht: 4", [], "a.yaml: found unknown field 'widht'; .* did you mean 'width'?"),
        ("phantom_films: 4", [], "found unknown field 'phantom_films'; .* it is called 'phantom_cases' now"),
        (
            "batch: 4",
            [],
            "found unknown field 'batch'; expected a training argument; see the recipe's YAML in examples/",
        ),
        (None, ["--learning_rte", "1"], "flag --learning_rte: found no such argument; .* mean 'learning_rate'?"),
        (None, ["--width", "4", "--learning_rate", "fast"], "training arguments: found .*learning_rate.*fast"),
        ("width: 1\nlearning_rate: [", [], "a.yaml, line 2: found broken YAML; expected field: value"),
        ("width: 1\nfreeze: 7", [], "a.yaml, freeze: found 7; expected true or false; correct it"),
        ("width: 1\nshuffle: 7", [], "a.yaml, shuffle: found 7; expected true or false; correct it"),
        ("width: 1.5", [], "a.yaml, width: found 1.5; expected a whole number"),
        ("width: true", [], "a.yaml, width: found True; expected a whole number"),
        ("width: 1\nlearning_rate: {a: 1}", [], "a.yaml, learning_rate: found {'a': 1}; expected a number"),
        ("width: 1\ntrain_weights: [1, [2]]", [], r"a.yaml, train_weights: found \[2\]; expected a number"),
        ("- width", [], "a.yaml: found a list; expected a mapping of field: value"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, flags, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text, *flags)


def test_a_file_that_is_not_there():
    with pytest.raises(InputError, match="no.yaml: found no such file; expected a YAML file of arguments"):
        read_arguments((Model,), "no.yaml", [])


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "film.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(InputError, match="film.png, line 1: found no text of UTF-8; expected a YAML file of arguments"):
        read_yaml(str(tmp_path / "film.png"))
