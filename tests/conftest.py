"""What every test shares: no network, one thread, fresh processes, one small model, one small film."""

import gc
import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # for subprocesses too: a worker has one core

import pytest
import torch
from PIL import Image

from hf_medreport.registry import system
from tests.fresh import FreshProcesses
from tests.tiny import film_array, save_tiny

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def one_core():
    """Work that takes a process a core by default stays in this process; a pool is asked for by number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.cpu_count", lambda: 1)
        yield


@pytest.fixture(scope="module", autouse=True)
def frozen_imports():
    """The garbage collector, which every training run calls, need not go through all imported modules each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def tiny_pipe_folder(tmp_path_factory):
    """A saved random `anatomical_report` model: weights, processor, code and pipeline."""
    return save_tiny(system("anatomical_report"), tmp_path_factory.mktemp("tiny") / "anatomical_report")


@pytest.fixture(scope="session")
def fresh():
    """Processes that have transformers and nothing of ours."""
    with FreshProcesses() as processes:
        yield processes


@pytest.fixture
def film_png(tmp_path):
    """A 64 x 64 gray film with contrast."""
    path = tmp_path / "film.png"
    Image.fromarray(film_array()).save(path)
    return path
