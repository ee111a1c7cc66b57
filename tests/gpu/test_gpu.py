"""On a GPU: half precision, device maps and tiling give what the CPU gives in float32. Run by `make test-gpu`."""

import numpy as np
import pytest
import torch

from hf_medreport.inference.loading import load
from hf_medreport.processing.feature_files import read_features
from hf_medreport.registry import CHECKPOINTS, systems
from tests.cli.test_cli import run
from tests.inference.tiles.tiny_slides import PATCH, save_encoder, write_cohort
from tests.samples import shipped_inputs

DEVICE = "cuda"
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine"),
]
ROWS = [row for row in systems() if row.kind == "report" and row.checkpoint]
over_rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)


def scores(model, inputs, labels) -> torch.Tensor:
    inputs = {name: value.to(model.device) for name, value in inputs.items()}
    with torch.no_grad():
        return model(**inputs, labels=labels.to(model.device)).logits.float().cpu()


@pytest.fixture(scope="module")
def on_cpu():
    """Per system: a sample's inputs, what is written of it, and its scores in float32."""
    found = {}
    for row in ROWS:
        pipe, inputs = load(row.checkpoint, device="cpu"), shipped_inputs(row)
        ids = pipe.model.generate(**inputs, max_new_tokens=24)
        labels = ids[:, 1:] if pipe.model.config.is_encoder_decoder else ids
        found[row.model_type] = inputs, labels, scores(pipe.model, inputs, labels)
    return found


@over_rows
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["fp16", "bf16"])
def test_half_precision(row, dtype, on_cpu):
    inputs, labels, expected = on_cpu[row.model_type]
    model = row.resolve("model").from_pretrained(CHECKPOINTS / row.checkpoint, dtype=dtype).to(DEVICE).eval()
    halves = {name: value.to(dtype) if value.is_floating_point() else value for name, value in inputs.items()}
    found = scores(model, halves, labels)
    assert (found - expected).norm() / expected.norm() < 0.05
    generated = model.generate(**{name: value.to(DEVICE) for name, value in halves.items()}, max_new_tokens=6)
    assert generated.device.type == DEVICE and generated.shape[1] >= 6


@over_rows
def test_a_device_map_gives_the_scores_and_the_report_of_the_cpu(row, on_cpu):
    inputs, labels, expected = on_cpu[row.model_type]
    model = row.resolve("model").from_pretrained(CHECKPOINTS / row.checkpoint, device_map="auto").eval()
    assert {parameter.device.type for parameter in model.parameters()} == {DEVICE}
    torch.testing.assert_close(scores(model, inputs, labels), expected, rtol=1e-3, atol=1e-3)


@over_rows
def test_a_pipeline_on_the_gpu_writes_the_report_of_the_cpu(row, on_cpu):
    inputs, _, _ = on_cpu[row.model_type]
    models = [load(row.checkpoint, device=device).model for device in ("cpu", DEVICE)]
    written = [
        model.generate(**{name: value.to(model.device) for name, value in inputs.items()}, max_new_tokens=24).tolist()
        for model in models
    ]
    assert written[0] == written[1]


@pytest.mark.parametrize("dtype, bound", [("fp32", 1e-4), ("bf16", 5e-2)])
def test_tiling(tmp_path, capsys, dtype, bound):
    write_cohort(tmp_path / "slides", 2)
    flags = ["--encoder", save_encoder(tmp_path / "encoder"), "--patch-px", PATCH, "--tissue", "otsu", "--no-overlay"]
    for device, kind in (("cpu", "fp32"), (DEVICE, dtype)):
        out = ["--out", tmp_path / device, "--device", device, "--dtype", kind]
        assert run(capsys, "tile", tmp_path / "slides", *flags, *out)[0] == 0
    for path in sorted((tmp_path / "cpu").glob("*.safetensors")):
        expected, found = (read_features(tmp_path / where / path.name).features for where in ("cpu", DEVICE))
        expected, found = np.asarray(expected, np.float32), np.asarray(found, np.float32)
        assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < bound
