"""The contract of a generator: every registered system of kind `generator` keeps it.

That it loads without hf-medreport is in tests/hub/test_publish_model.py.
"""

import numpy as np
import pytest
import torch

from hf_medreport.hub.folder import traveling_files
from hf_medreport.inference.generators import generator_revision, load_generator
from hf_medreport.registry import find_generator, systems
from tests.tiny import save_tiny

ROWS = [row for row in systems() if row.kind == "generator"]
pytestmark = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)
CALL = {"num_inference_steps": 3, "output_type": "np"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {row.model_type: save_tiny(row, tmp_path_factory.mktemp("contract") / row.model_type) for row in ROWS}


@pytest.fixture(scope="module")
def pipes(folders):
    pipes = {name: load_generator(folder) for name, folder in folders.items()}
    for pipe in pipes.values():
        pipe.set_progress_bar_config(disable=True)
    return pipes


def test_its_pipeline_is_found_by_its_class(row, pipes):
    assert find_generator(type(pipes[row.model_type]).__name__) is row


def test_a_folder_holds_safetensors_only_and_all_its_code(row, folders):
    folder = folders[row.model_type]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert not {file for file in files if file.endswith((".bin", ".pt", ".pth", ".pkl", ".ckpt"))}
    code = {file for file in files if file.endswith(".py")}
    assert code | {"tested_with.json"} == set(traveling_files(row, folder))


def test_the_same_words_and_seed_are_the_same_picture(row, pipes):
    pipe = pipes[row.model_type]
    first, again, other = (pipe("effusion", seeds=[seed], **CALL).images for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(first, pipe("clear", seeds=[1], **CALL).images)


def test_a_picture_of_a_batch_is_the_picture_alone(row, pipes):
    pipe, prompts = pipes[row.model_type], ["effusion", "a nodule in the left lung", "clear"]
    together = pipe(prompts, seeds=[4, 5, 6], **CALL).images
    for number, prompt in enumerate(prompts):
        alone = pipe(prompt, seeds=[4 + number], **CALL).images[0]
        assert np.abs(alone - together[number]).max() <= 1 / 255


def test_the_revision_is_of_the_weights(row, folders):
    pipe, same = load_generator(folders[row.model_type]), load_generator(folders[row.model_type])
    assert generator_revision(pipe) == generator_revision(same) and len(generator_revision(pipe)) == 16
    with torch.no_grad():
        next(pipe.unet.parameters()).add_(1e-3)
    assert generator_revision(pipe) != generator_revision(same)
