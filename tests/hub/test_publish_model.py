"""Each registered system, published to a Hub and loaded from there by a stranger without hf-medreport."""

import json

import pytest
from PIL import Image
from transformers import pipeline

from hf_medreport.hub.card import write_card
from hf_medreport.registry import SYSTEMS
from tests.hub_server import run_client
from tests.tiny import sample_array, save_tiny

PUBLISH = """
from hf_medreport.hub.publish import publish
print(publish({folder!r}, "org/model"))
"""
LOAD = """
import json, torch, transformers
for name in {auto_classes!r}:
    getattr(transformers, name).from_pretrained("org/model", trust_remote_code=True)
"""
REPORT = """
pipe = transformers.pipeline("image-to-text", model="org/model", trust_remote_code=True)
print(json.dumps(pipe({film!r}, max_new_tokens=8)))
"""
GO_ON = """
pipe = transformers.pipeline("text-generation", model="org/model", trust_remote_code=True)
print(json.dumps(pipe("heart", max_new_tokens=8, do_sample=False)))
"""


@pytest.mark.parametrize("row", SYSTEMS, ids=lambda row: row.model_type)
def test_published_and_loaded_from_the_hub(row, hub, tmp_path):
    sample = tmp_path / "sample.png"
    Image.fromarray(sample_array(row)).save(sample)
    folder = save_tiny(row, tmp_path / "model")
    write_card(folder, {}, model_name="org/model", base="random weights", data="none", command="none")
    run_client(hub, PUBLISH.format(folder=str(folder)))
    code = LOAD.format(auto_classes=list(row.auto_classes))
    if row.pipeline:
        code += REPORT.format(film=str(sample))
    elif row.kind == "causal-lm":
        code += GO_ON
    done = run_client(hub, code, hide_package=True)
    if row.pipeline:
        here = pipeline("image-to-text", model=str(folder), trust_remote_code=True)(str(sample), max_new_tokens=8)
    elif row.kind == "causal-lm":
        pipe = pipeline("text-generation", model=str(folder), trust_remote_code=True)
        here = pipe("heart", max_new_tokens=8, do_sample=False)
    else:
        return
    assert json.loads(done.stdout.splitlines()[-1]) == here
