"""A RadScribe folder whose label tokenizer is missing or another's is refused: transformers would take any."""

import shutil

import pytest

from hf_medreport.inference.loading import load
from hf_medreport.processing.input_error import InputError
from tests.labeled import save_labeled


@pytest.fixture
def folder(tmp_path):
    return save_labeled("oracle", tmp_path / "model")


def test_a_missing_one(folder):
    shutil.rmtree(folder / "label_tokenizer")
    with pytest.raises(InputError) as error:
        load(folder)
    assert str(error.value) == (
        f"{folder}/label_tokenizer: found 257 words with [SEP] and [PAD] at None and 0; "
        "expected at most 60, with these at 3 and 0; copy the folder again"
    )


def test_swapped_ones(folder):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        report, label = folder / name, folder / "label_tokenizer" / name
        of_reports = report.read_bytes()
        report.write_bytes(label.read_bytes())
        label.write_bytes(of_reports)
    with pytest.raises(InputError, match="label_tokenizer: found 257 words with .SEP. and .PAD. at None and 0; "):
        load(folder)
