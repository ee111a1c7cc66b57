"""Which model is loaded, with whose code, and what is said when it cannot be."""

import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_medreport.inference.loading import checked_device, load
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from tests.tiny import save_tiny


@pytest.fixture
def copy(tiny_pipe_folder, tmp_path):
    return shutil.copytree(tiny_pipe_folder, tmp_path / "model")


def change(path, **values):
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps(content))


def test_a_known_system_runs_no_code_of_the_folder(copy):
    for path in copy.glob("*.py"):
        path.write_text("raise RuntimeError('code of the folder was run')\n")
    pipe = load(copy)
    assert type(pipe.model).__module__ == "hf_medreport.modeling.modeling_anatomical_report"
    assert type(pipe.processor).__module__ == "hf_medreport.processing.processing_anatomical_report"


def test_half_precision_weights_run_in_float32(copy):
    weights = {key: value.half() for key, value in load_file(copy / "model.safetensors").items()}
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert {parameter.dtype.__str__() for parameter in load(copy).model.parameters()} == {"torch.float32"}


def test_foreign_code_needs_a_word(copy, monkeypatch):
    change(copy / "config.json", model_type="somebody_elses")
    with pytest.raises(InputError, match="found model_type 'somebody_elses', which this library does not have"):
        load(copy)
    asked = {}
    monkeypatch.setattr("hf_medreport.inference.loading.pipeline", lambda task, **kwargs: asked.update(kwargs))
    load(copy, trust_remote_code=True)
    assert asked["trust_remote_code"] is True


def test_the_switch_of_diffusers_holds_for_report_models_too(copy, monkeypatch):
    change(copy / "config.json", model_type="somebody_elses")
    monkeypatch.setenv("DIFFUSERS_DISABLE_REMOTE_CODE", "yes")
    with pytest.raises(InputError, match="trust_remote_code: found it beside DIFFUSERS_DISABLE_REMOTE_CODE"):
        load(copy, trust_remote_code=True)


def test_a_model_of_a_hundred_million_layers_is_refused_before_transformers_names_them(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(
        json.dumps(config | {"encoder": config["encoder"] | {"num_hidden_layers": 10**8}})
    )
    with pytest.raises(
        InputError, match=r"config.json: found num_hidden_layers = 100000000; expected at most 10,000; "
    ):
        load(copy)


def test_an_unpinned_repository_with_remote_code_warns(monkeypatch, caplog):
    loading = sys.modules["hf_medreport.inference.loading"]
    monkeypatch.setattr(loading, "read_config", lambda *arguments: {"model_type": "somebody_elses"})
    monkeypatch.setattr(loading, "pipeline", lambda task, **kwargs: None)
    load("org/model", trust_remote_code=True)
    assert caplog.messages == ["org/model: remote code without a revision may change any day; pass `revision`"]
    caplog.clear()
    load("org/model", trust_remote_code=True, revision="0a1b")
    assert caplog.messages == []


def test_a_folder_has_no_revision(copy):
    with pytest.raises(InputError, match="revision: found 'main' for a folder"):
        load(copy, revision="main")


@pytest.mark.parametrize(
    ("model_type", "found"),
    [("anatomy_segmenter", "a segmenter (anatomy_segmenter)"), ("medvill", "an encoder (medvill)")],
)
def test_a_model_of_another_kind_writes_no_report(model_type, found, tmp_path):
    folder = save_tiny(system(model_type), tmp_path / "model")
    with pytest.raises(InputError) as raised:
        load(folder)
    assert str(raised.value) == f"{folder}: found {found}; expected a report model; give a model that writes reports"


def test_processes_of_one_machine_take_a_gpu_each(monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    assert checked_device(None) == torch.device("cuda")
    chosen = []
    for process in range(3):
        monkeypatch.setenv("LOCAL_RANK", str(process))
        chosen.append(str(checked_device(None)))
    assert chosen == ["cuda:0", "cuda:1", "cuda:0"] and checked_device("cpu") == torch.device("cpu")
