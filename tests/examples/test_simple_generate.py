"""The example with the flags of the original: its files, and a stock model that knows no modality."""

import importlib
from pathlib import Path

import pytest
from PIL import Image

from hf_medreport.registry import system
from tests.stock_diffusion import save_stock
from tests.tiny import save_tiny

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("simple_generate")


def generate(example, model, out, *flags):
    arguments = ["--prompt", "effusion", "--model", str(model), "--output_dir", str(out), "--steps", "2", *flags]
    example.main(example.parser().parse_args(arguments))


def test_its_files_are_numbered_and_say_that_they_are_synthetic(example, tmp_path, capsys):
    model = save_tiny(system("diffusion"), tmp_path / "model")
    generate(example, model, tmp_path / "out", "--modality", "OCT", "--seed", "4", "--num_images", "2")
    names = ["medical_image_001.png", "medical_image_002.png"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert capsys.readouterr().out.split() == [str(tmp_path / "out" / name) for name in names]
    said = [Image.open(tmp_path / "out" / name).text for name in names]
    assert [(one["synthetic"], one["seed"], one["modality"]) for one in said] == [
        ("true", "4", "OCT"),
        ("true", "5", "OCT"),
    ]
    with pytest.raises(SystemExit, match="0001, modality: found 'Fundus'"):
        generate(example, model, tmp_path / "other", "--modality", "Fundus")


def test_a_stock_model_is_told_the_modality_in_words(example, tmp_path):
    model, seen = save_stock(tmp_path / "model"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(example, "asked_of_prompt", lambda prompt, n, **others: seen.append((prompt, others)) or [])
        generate(example, model, tmp_path / "out", "--modality", "MRI")
    assert seen == [("Brain MRI: effusion", {"seed": 0, "modality": None})]
