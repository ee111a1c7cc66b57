"""What users' folders are really like: odd file names, big films, pickles, wrong places to write to."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hf_medreport.files.writing import unique_stem
from hf_medreport.inference.loading import load
from hf_medreport.inference.report import PREVIEW_PX, preview
from hf_medreport.inference.report_films import report_films
from hf_medreport.processing.input_error import InputError
from tests.cli.test_cli import run
from tests.tiny import film_array


@pytest.mark.parametrize(
    "name",
    ["x$_$y.png", "n" * 250 + ".png", os.fsdecode(b"\xff.png"), "a\nb.png"],
    ids=["formula", "long", "bytes", "lines"],
)
def test_any_file_name_gets_its_report_and_picture(capsys, tiny_pipe_folder, tmp_path, name):
    film = tmp_path / name
    Image.fromarray(film_array()).save(film, format="png")
    code, out, _ = run(capsys, "report", film, "--model", tiny_pipe_folder, "--out", tmp_path / "out")
    out.encode("utf-8")
    pictures = [path.name for path in (tmp_path / "out").iterdir() if path.suffix == ".png"]
    assert code == 0 and len(pictures) == 1
    assert len(json.loads((tmp_path / "out" / "report.json").read_text())["reports"]) == 1


def test_a_long_stem_is_cut_at_whole_characters():
    stem = unique_stem("\N{CJK UNIFIED IDEOGRAPH-80BA}" * 84 + ".png", set())  # 3 bytes each
    assert stem == "\N{CJK UNIFIED IDEOGRAPH-80BA}" * 66


def test_a_report_keeps_a_small_picture():
    assert preview(np.zeros((2500, 2048), np.float32)).shape == (PREVIEW_PX, 839)  # 2048 * 1024 / 2500
    assert preview(np.zeros((64, 4096, 3), np.float32)).shape == (16, PREVIEW_PX, 3)
    film = film_array() / np.float32(255)
    assert preview(film) is film


def test_a_pickle_is_not_read_even_beside_other_safetensors(tiny_pipe_folder, tmp_path):
    folder = shutil.copytree(tiny_pipe_folder, tmp_path / "model")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").rename(folder / "adapter.safetensors")
    with pytest.raises(InputError, match=r"found pickled weights \(pytorch_model.bin\)"):
        load(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "processor_config.json", "config.json"])
@pytest.mark.parametrize("content", ["{", "[]", '{"encoder": 3, "model_type": "anatomical_report"}'])
def test_broken_files_of_a_model_are_one_line(tiny_pipe_folder, tmp_path, name, content):
    folder = shutil.copytree(tiny_pipe_folder, tmp_path / "model")
    (folder / name).write_text(content)
    with pytest.raises(InputError) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


def test_an_empty_model_name_is_not_the_default():
    with pytest.raises(InputError, match="model: found an empty name"):
        load("")


def test_a_device_that_holds_no_data(tiny_pipe_folder):
    with pytest.raises(InputError, match="device: found 'meta'"):
        load(tiny_pipe_folder, device="meta")


def test_the_statement_travels_with_a_copy(tiny_pipe_folder, film_png, tmp_path):
    folder = shutil.copytree(tiny_pipe_folder, tmp_path / "copy")
    config = json.loads((folder / "config.json").read_text()) | {"statement": "a test bench"}
    (folder / "config.json").write_text(json.dumps(config))
    assert next(report_films([film_png], load(folder))).statement == "a test bench"
