"""A saved generator draws the same pictures where hf-medreport is not installed."""

import json

import numpy as np
import pytest

from tests.diffusion import ALL, tiny_pipeline
from tests.hub_server import HIDE_PACKAGE, Blob, run_client

REPO = "org/generator"
# `diffusers_modules` is a package in the cache of all processes of a test run: each has one of its own here.
LOAD = """
import numpy as np, os, tempfile
os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp()
from diffusers import DiffusionPipeline

def load(source, **settings):
    pipe = DiffusionPipeline.from_pretrained(source, trust_remote_code=True, **settings)
    pipe.set_progress_bar_config(disable=True)
    return pipe

def picture(pipe):
    return pipe("effusion", "x-ray", num_inference_steps=2, seeds=[1], output_type="np").images
"""


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """A saved pipeline with all improvements, and beside it the picture that it draws."""
    folder = tmp_path_factory.mktemp("generator")
    pipe = tiny_pipeline(**ALL)
    pipe.save_pretrained(folder / "saved")
    images = pipe("effusion", "x-ray", num_inference_steps=2, seeds=[1], output_type="np").images
    np.save(folder / "picture.npy", images)
    return folder


def test_what_a_folder_holds(generator):
    saved = generator / "saved"
    code = {path.relative_to(saved).as_posix() for path in saved.rglob("*.py")}
    siblings = {f"{name}.py" for name in ("config_error", "denoising", "guidance", "structured_prompt")}
    components = {
        "text_encoder/medical_text_conditioner.py",
        "unet/medical_unet.py",
        "vae/medical_patch_codec.py",
    }
    assert code == {"medical_pipeline.py"} | siblings | components
    weights = {path.name for path in saved.rglob("*") if path.suffix in (".bin", ".pt", ".pkl", ".safetensors")}
    assert weights == {"diffusion_pytorch_model.safetensors", "model.safetensors"}
    assert json.loads((saved / "model_index.json").read_text())["scheduler"] == ["diffusers", "DDIMScheduler"]


def test_from_a_folder(generator, fresh):
    """With the flag: loaded, drawn from, saved by what was loaded, and loaded again. Without: a clean error."""
    code = f"""{HIDE_PACKAGE}{LOAD}
from transformers import AutoModel
folder = {str(generator)!r}
try:
    DiffusionPipeline.from_pretrained(folder + "/saved")
except ValueError as error:
    assert "trust_remote_code=True" in str(error), error
else:
    raise AssertionError("it loaded without the flag")
pipe, expected = load(folder + "/saved"), np.load(folder + "/picture.npy")
assert np.array_equal(picture(pipe), expected)
pipe.save_pretrained(folder + "/again")
assert np.array_equal(picture(load(folder + "/again")), expected)
prompt = pipe.StructuredPrompt.of_features("edema", localization="left", starts=(0, 0.5))
pipe(prompt, num_inference_steps=2)
try:
    pipe("effusion", guidance_scale=-1)
except ValueError as error:
    assert error.name == "guidance_scale" and error.remedy
pipe.use_scheduler("dpm")
conditioner = AutoModel.from_pretrained(folder + "/saved/text_encoder", trust_remote_code=True)
assert conditioner.modality_id("CHEST X-RAY") == 1
import sys
assert not [name for name in sys.modules if name.startswith("hf_medreport")]
"""
    done = fresh.run(code)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_from_the_hub_and_from_its_cache(generator, hub, tmp_path):
    saved = generator / "saved"
    files = {path.relative_to(saved).as_posix(): path for path in saved.rglob("*") if path.is_file()}
    hub.create(REPO).commit("main", {name: Blob(path.read_bytes()) for name, path in files.items()})
    code = f"{LOAD}\nassert np.array_equal(picture(load({REPO!r})), np.load({str(generator / 'picture.npy')!r}))"
    home = {"HF_HOME": str(tmp_path)}
    run_client(hub, code, hide_package=True, **home)
    # By its name diffusers asks the Hub for the commit of the code, cached or not; by the cached folder it does not.
    cached = (
        f"from huggingface_hub import snapshot_download\n{code.replace(repr(REPO), f'snapshot_download({REPO!r})')}"
    )
    run_client(hub, cached, hide_package=True, **home, HF_HUB_OFFLINE="1")
    refused = f"{LOAD}\nDiffusionPipeline.from_pretrained({REPO!r})"
    done = run_client(hub, refused, hide_package=True, check=False, **home)
    assert done.returncode and "trust_remote_code=True" in done.stderr
