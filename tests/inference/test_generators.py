"""Loading a generator: ours and stock ones from folders, and what is said of folders that are none."""

import json
import shutil

import pytest
import torch

from hf_medreport.inference import generators
from hf_medreport.inference.generators import generator_revision, is_generator, load_generator
from hf_medreport.inference.loading import load
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from tests.diffusion import tiny_pipeline
from tests.stock_diffusion import save_stock
from tests.tiny import save_tiny

ROW = system("diffusion")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("generators")
    return {"ours": save_tiny(ROW, root / "ours"), "stock": save_stock(root / "stock")}


@pytest.fixture
def folder(folders, tmp_path):
    return shutil.copytree(folders["ours"], tmp_path / "gen")


def refusal(model, **options) -> str:
    with pytest.raises(InputError) as error:
        load_generator(model, **options)
    return str(error.value)


def test_ours_is_loaded_by_the_installed_code(folder):
    (folder / "medical_pipeline.py").write_text("raise SystemExit('ran')")
    (folder / "unet" / "medical_unet.py").write_text("raise SystemExit('ran')")
    pipe = load_generator(folder, device="cpu")
    expected = tiny_pipeline().unet.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in pipe.unet.state_dict().items())
    assert type(pipe).__module__ == "hf_medreport.modeling.medical_pipeline"


def test_a_stock_one_is_wrapped(folders):
    pipe = load_generator(folders["stock"])
    pipe.set_progress_bar_config(disable=True)
    assert type(pipe).__name__ == "MedicalImagePipeline" and pipe.text_encoder.config.attend_padding
    assert pipe("effusion", seeds=[1], num_inference_steps=2, output_type="np").images.shape == (1, 16, 16, 3)


def test_the_shipped_one_by_its_name_or_none():
    known = generator_revision(load_generator("diffusion-tiny"))
    assert generator_revision(load_generator()) == known and is_generator("diffusion-tiny")


def test_without_diffusers(monkeypatch, folder):
    def missing(row, what):
        raise ModuleNotFoundError("No module named 'diffusers'", name="diffusers")

    monkeypatch.setattr(type(ROW), "resolve", missing)
    assert refusal(folder) == (
        "diffusers: found no such package; expected it, to draw pictures; pip install 'hf-medreport[diffusion]'"
    )


def test_a_report_verb_says_that_it_is_no_report_model(folder):
    with pytest.raises(InputError) as error:
        load(folder)
    assert str(error.value).endswith(
        "found a pipeline of diffusers, no report model; expected a model folder; "
        "draw pictures with it: hf-medreport synthesize"
    )


def index(folder, **changes):
    content = json.loads((folder / "model_index.json").read_text()) | changes
    (folder / "model_index.json").write_text(json.dumps(content))


def no_weights(folder):
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()


def pickled(folder):
    no_weights(folder)
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"x")


def cut(folder):
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:2000])


BROKEN = {
    "no index": (
        lambda folder: (folder / "model_index.json").unlink(),
        "GEN: found no model_index.json; expected a pipeline's folder; give the folder that holds model_index.json",
    ),
    "a broken index": (
        lambda folder: (folder / "model_index.json").write_text("{"),
        "GEN/model_index.json: found broken JSON (line 1); expected a JSON object; copy the file again",
    ),
    "a list as index": (
        lambda folder: (folder / "model_index.json").write_text("[]"),
        "GEN/model_index.json: found list; expected a JSON object; copy the file again",
    ),
    "another pipeline": (
        lambda folder: index(folder, _class_name="StableDiffusionXLPipeline"),
        "GEN/model_index.json: found the pipeline 'StableDiffusionXLPipeline'; expected MedicalImagePipeline or "
        "StableDiffusionPipeline; give another `model`",
    ),
    "no class": (
        lambda folder: index(folder, _class_name=None),
        "GEN/model_index.json: found the pipeline ''; expected MedicalImagePipeline or StableDiffusionPipeline; give "
        "another `model`",
    ),
    "no component": (
        lambda folder: shutil.rmtree(folder / "vae"),
        "gen: found no folder of the component 'vae'; expected what model_index.json names; copy the folder again",
    ),
    "pickled weights": (
        pickled,
        "gen: found pickled weights (unet/diffusion_pytorch_model.bin); expected weights as .safetensors; save the "
        "pipeline again with save_pretrained",
    ),
    "cut weights": (cut, "GEN: found a pipeline that does not load"),
    "no weights": (no_weights, "GEN: found a pipeline that does not load"),
}


@pytest.mark.parametrize(("break_it", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_folder(folder, break_it, message):
    break_it(folder)
    said = refusal(folder).replace(str(folder), "GEN")
    assert said == message or message.endswith("does not load") and said.startswith(message) and "\n" not in said


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("", {}, "model: found an empty name; expected a folder or ORG/NAME; check the path"),
        ("./gone", {}, "./gone: found no such model; expected a folder or ORG/NAME; check the path"),
        ("one", {}, "one: found no such model; expected a folder or ORG/NAME; check the path"),
        (
            "org/gone",
            {},
            "org/gone: found no copy in the cache, offline; expected a repository with model_index.json; check the "
            "name, or give a folder",
        ),
        (
            None,
            {"revision": "main"},
            "revision: found 'main' for a folder; expected one for a repository only; leave it out",
        ),
        (None, {"device": "tpu9"}, "device: found 'tpu9'; expected a device of this machine; try cpu"),
    ],
)
def test_a_model_that_is_none(folders, monkeypatch, model, options, message):
    monkeypatch.setattr(generators, "HF_HUB_OFFLINE", True)
    assert refusal(folders["ours"] if model is None else model, **options) == message


def test_the_schedule_counts_in_the_revision(folders):
    pipe = load_generator(folders["ours"])
    before = generator_revision(pipe)
    pipe.use_scheduler("dpm")
    assert generator_revision(pipe) != before
