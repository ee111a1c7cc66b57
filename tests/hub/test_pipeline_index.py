"""A generator's folder: what of it is published, what is refused, and what the doctor says of it."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from hf_medreport import doctor
from hf_medreport.hub.pipeline_index import components, generator_of, pipeline_class
from hf_medreport.hub.publish import check_folder, publish
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from tests.tiny import save_tiny

ROW = system("diffusion")
CARD = "---\nlicense: apache-2.0\n---\n\n# drawn\n"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = save_tiny(ROW, tmp_path_factory.mktemp("saved") / "gen")
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "gen")


def index(folder, **changes):
    content = json.loads((folder / "model_index.json").read_text()) | changes
    (folder / "model_index.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("named", "expected"),
    [(["medical_pipeline", "A"], "A"), ("A", "A"), (None, ""), ([], ""), ([1], ""), ({}, "")],
)
def test_a_class_is_a_name_or_a_pair(named, expected):
    assert pipeline_class({"_class_name": named}) == expected


def test_components_that_there_are():
    content = {"_class_name": ["m", "A"], "vae": ["diffusers", "B"], "safety_checker": [None, None], "scale": 0.5}
    assert components(content) == {"vae": ("diffusers", "B")}


def test_what_is_published(folder):
    (folder / "run.json").write_text("{}")
    (folder / "checkpoint-5").mkdir()
    (folder / "checkpoint-5" / "model.safetensors").write_bytes(b"x")
    (folder / "samples").mkdir()
    (folder / "samples" / "config.json").write_text("{}")
    files, left_out = check_folder(folder)
    assert left_out == ["checkpoint-5/model.safetensors", "run.json", "samples/config.json"]
    assert {"model_index.json", "medical_pipeline.py", "unet/medical_unet.py", "scheduler/scheduler_config.json"} < set(
        files
    )
    assert {"unet/diffusion_pytorch_model.safetensors", "tokenizer/tokenizer.json", "tested_with.json"} < set(files)
    assert generator_of(folder) is ROW


def test_code_that_is_missing_comes_from_this_installation(folder):
    (folder / "unet" / "medical_unet.py").unlink()
    assert "unet/medical_unet.py" in check_folder(folder)[0]


def test_a_stock_pipeline_is_published_too(folder):
    """Of a class of diffusers there is no code of ours to renew or to miss."""
    index(folder, _class_name="StableDiffusionPipeline")
    assert generator_of(folder) is None and "model_index.json" in check_folder(folder)[0]


def foreign(folder):
    index(folder, _class_name=["other_pipeline", "OtherPipeline"])


def foreign_component(folder):
    index(folder, unet=["other_unet", "OtherUNet"])
    index(folder, _class_name="StableDiffusionPipeline")


REFUSED = {
    "no class": (
        lambda folder: index(folder, _class_name=None),
        "gen/model_index.json: found no _class_name; expected the pipeline's class; save the pipeline again with "
        "save_pretrained",
    ),
    "a component that is not there": (
        lambda folder: shutil.rmtree(folder / "vae"),
        "gen: found no files of the component 'vae'; expected what model_index.json names; save the pipeline again "
        "with save_pretrained",
    ),
    "somebody's pipeline without its code": (
        foreign,
        "gen/model_index.json: found other_pipeline.py named but missing; expected its code in the folder; save the "
        "model again so that its code is copied along",
    ),
    "somebody's component without its code": (
        foreign_component,
        "gen/model_index.json: found unet/other_unet.py named but missing; expected its code in the folder; save the "
        "model again so that its code is copied along",
    ),
    "no card": (
        lambda folder: (folder / "README.md").unlink(),
        "gen: found no README.md; expected a model card; write it with hf_medreport.hub.card.write_card from the "
        "evaluation's JSON",
    ),
    "pickled weights": (
        lambda folder: (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"x"),
        "gen/unet/diffusion_pytorch_model.bin: found a pickle file; expected weights as .safetensors; save the model "
        "again with save_pretrained and move this file out of the folder",
    ),
    "cut weights": (
        lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"x"),
        "gen/unet/diffusion_pytorch_model.safetensors: found broken or truncated weights; expected a complete "
        ".safetensors file; save the model again",
    ),
}


@pytest.mark.parametrize(("break_it", "message"), REFUSED.values(), ids=REFUSED)
def test_what_would_not_load_is_refused(folder, break_it, message):
    break_it(folder)
    with pytest.raises(InputError) as error:
        check_folder(folder)
    assert str(error.value) == message


def test_an_adapter_is_published_without_code(tmp_path):
    folder = tmp_path / "adapter"
    folder.mkdir()
    save_file(
        {"unet.conv_out.lora_A.weight": np.zeros((2, 3), np.float32)}, folder / "pytorch_lora_weights.safetensors"
    )
    for name, content in (("base.json", "{}"), ("run.json", "{}"), ("README.md", CARD)):
        (folder / name).write_text(content)
    expected = ["README.md", "base.json", "pytorch_lora_weights.safetensors"]
    assert check_folder(folder) == (expected, ["run.json"])
    (folder / "README.md").unlink()
    with pytest.raises(InputError, match="no README.md"):
        check_folder(folder)


@pytest.mark.parametrize("gate", [None, {"passes": False, "share": 0.02}])
@pytest.mark.parametrize("draws", ["a generator", "an adapter"])
def test_without_a_gate_that_passed_nothing_goes_up(folder, tmp_path, monkeypatch, draws, gate):
    def no_connection(*args, **kwargs):
        raise AssertionError("the Hub was called")

    monkeypatch.setattr("hf_medreport.hub.publish.HfApi", no_connection)
    if draws == "an adapter":
        folder = tmp_path / "adapter"
        folder.mkdir()
        save_file({"a": np.zeros(2, np.float32)}, folder / "pytorch_lora_weights.safetensors")
        (folder / "README.md").write_text(CARD)
    if gate:
        (folder / "evaluation.json").write_text(json.dumps({"gate": gate}))
    found = "one that failed" if gate else "no figures"
    with pytest.raises(InputError, match=f"{folder.name}/evaluation.json: found {found}.*unchecked"):
        publish(folder, "org/gen")
    with pytest.raises(AssertionError, match="the Hub was called"):
        publish(folder, "org/gen", unchecked=True)
    (folder / "evaluation.json").write_text(json.dumps({"gate": {"passes": True, "share": 0.0}}))
    with pytest.raises(AssertionError, match="the Hub was called"):
        publish(folder, "org/gen")


class TestDoctor:
    def test_code_that_differs_is_missing_or_is_not_ours(self, folder):
        (folder / "unet" / "medical_unet.py").write_text("")
        (folder / "guidance.py").unlink()
        (folder / "vae" / "mine.py").write_text("")
        found = doctor.examine_folder(str(folder))
        assert (found["model_type"], found["kind"], found["generation"]) == ("diffusion", "generator", None)
        assert found["code"] == {
            "differs": ["unet/medical_unet.py"],
            "missing": ["guidance.py"],
            "extra": ["vae/mine.py"],
        }

    def test_another_pipeline(self, folder):
        index(folder, _class_name="StableDiffusionPipeline")
        with pytest.raises(InputError) as error:
            doctor.examine_folder(str(folder))
        assert str(error.value).replace(str(folder), "GEN") == (
            "GEN/model_index.json: found the pipeline 'StableDiffusionPipeline', which this library does not have; "
            "expected MedicalImagePipeline; give a folder that this library wrote"
        )
