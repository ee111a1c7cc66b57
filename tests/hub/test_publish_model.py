"""Each registered system, published to a Hub and loaded from there by a stranger without hf-medreport."""

import json

import pytest
from PIL import Image
from transformers import pipeline

from hf_medreport.hub.card import write_card
from hf_medreport.inference.generators import load_generator
from hf_medreport.registry import systems
from tests.fresh import FreshProcesses
from tests.hub_server import HIDE_PACKAGE, HubServer, client_command, run_client
from tests.tiny import sample_array, save_tiny

PUBLISH = """
from hf_medreport.hub.publish import publish
for name in {names!r}:
    publish({folder!r} + "/" + name, "org/" + name, unchecked=True)
"""
# Only diffusers loads a pipeline; one of its tests has it draw.
DRAW = """
from diffusers import DiffusionPipeline
pipe = DiffusionPipeline.from_pretrained({repo!r}, trust_remote_code=True)
pipe.set_progress_bar_config(disable=True)
pixels = pipe("small effusion", "x-ray", seeds=[3], num_inference_steps=2, output_type="np").images
print(pixels.astype("float64").sum())
"""
LOAD = """
import json, torch, transformers
for name in {auto_classes!r}:
    getattr(transformers, name).from_pretrained({repo!r}, trust_remote_code=True)
"""
REPORT = """
pipe = transformers.pipeline("image-to-text", model={repo!r}, trust_remote_code=True)
print(json.dumps(pipe({film!r}, max_new_tokens=8)))
"""
GO_ON = """
pipe = transformers.pipeline("text-generation", model={repo!r}, trust_remote_code=True)
print(json.dumps(pipe("heart", max_new_tokens=8, do_sample=False)))
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with the folder of each system."""
    models = tmp_path_factory.mktemp("models")
    for row in systems():
        folder = save_tiny(row, models / row.model_type)
        write_card(folder, {}, model_name="org/model", base="random weights", data="none", command="none")
    return models


@pytest.fixture(scope="module")
def stranger(models, tmp_path_factory):
    """Processes whose Hub has all systems and which have an empty cache; each process loads one system."""
    with HubServer() as hub:
        run_client(hub, PUBLISH.format(names=[row.model_type for row in systems()], folder=str(models)))
        command = client_command(hub, "", HF_HOME=str(tmp_path_factory.mktemp("home")))
        with FreshProcesses(command["env"]) as processes:
            yield processes


@pytest.mark.parametrize("row", systems(), ids=lambda row: row.model_type)
def test_published_and_loaded_from_the_hub(row, models, stranger, tmp_path):
    if row.kind == "generator":
        done = stranger.run(HIDE_PACKAGE + DRAW.format(repo=f"org/{row.model_type}"))
        assert done.returncode == 0, done.stderr
        pipe = load_generator(models / row.model_type)
        pixels = pipe("small effusion", "x-ray", seeds=[3], num_inference_steps=2, output_type="np").images
        assert float(done.stdout) == pytest.approx(pixels.astype("float64").sum(), abs=1e-3)
        return
    sample, folder = tmp_path / "sample.png", models / row.model_type
    Image.fromarray(sample_array(row)).save(sample)
    code = HIDE_PACKAGE + LOAD
    if row.pipeline:
        code += REPORT
    elif row.kind == "causal-lm":
        code += GO_ON
    repo = f"org/{row.model_type}"
    done = stranger.run(code.format(repo=repo, auto_classes=list(row.auto_classes), film=str(sample)))
    assert done.returncode == 0, done.stderr
    if row.pipeline:
        here = pipeline("image-to-text", model=str(folder), trust_remote_code=True)(str(sample), max_new_tokens=8)
    elif row.kind == "causal-lm":
        pipe = pipeline("text-generation", model=str(folder), trust_remote_code=True)
        here = pipe("heart", max_new_tokens=8, do_sample=False)
    else:
        return
    assert json.loads(done.stdout.splitlines()[-1]) == here
