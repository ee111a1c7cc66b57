"""Each registered system, published to a Hub and loaded from there by a stranger without hf-medreport.

Slow: that each loads from a folder where hf-medreport is hidden is in `tests/contract/`, and that what is published is
the folder, in `test_publish.py`.
"""

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
publish({folder!r}, {repo!r}, unchecked=True)
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


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def hub():
    with HubServer() as hub:
        yield hub


@pytest.fixture(scope="module")
def stranger(hub, tmp_path_factory):
    """Processes with an empty cache; each loads one system."""
    command = client_command(hub, "", HF_HOME=str(tmp_path_factory.mktemp("home")))
    with FreshProcesses(command["env"]) as processes:
        yield processes


@pytest.mark.parametrize("row", systems(), ids=lambda row: row.model_type)
def test_published_and_loaded_from_the_hub(row, hub, stranger, tmp_path):
    folder, repo = save_tiny(row, tmp_path / row.model_type), f"org/{row.model_type}"
    write_card(folder, {}, model_name="org/model", base="random weights", data="none", command="none")
    run_client(hub, PUBLISH.format(folder=str(folder), repo=repo))
    if row.kind == "generator":
        done = stranger.run(HIDE_PACKAGE + DRAW.format(repo=repo))
        assert done.returncode == 0, done.stderr
        pipe = load_generator(folder)
        pixels = pipe("small effusion", "x-ray", seeds=[3], num_inference_steps=2, output_type="np").images
        assert float(done.stdout) == pytest.approx(pixels.astype("float64").sum(), abs=1e-3)
        return
    sample = tmp_path / "sample.png"
    Image.fromarray(sample_array(row)).save(sample)
    code = HIDE_PACKAGE + LOAD
    if row.pipeline:
        code += REPORT
    elif row.kind == "causal-lm":
        code += GO_ON
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
