"""The contract of a segmenter: every registered system of kind `segmenter` keeps it."""

import pytest
import torch
from transformers import AutoImageProcessor, AutoModel, AutoModelForSemanticSegmentation

from hf_medreport.registry import systems
from tests.tiny import film_array, save_tiny, tiny_config, tiny_model, tiny_processor

ROWS = [row for row in systems() if row.kind == "segmenter"]
pytestmark = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)


@pytest.mark.parametrize("auto", [AutoModel, AutoModelForSemanticSegmentation], ids=lambda auto: auto.__name__)
def test_folder_loads_and_gives_the_same_masks(row, auto, tmp_path):
    folder = save_tiny(row, tmp_path / "model")
    pixels = AutoImageProcessor.from_pretrained(folder, trust_remote_code=True)(film_array(), return_tensors="pt")
    assert torch.equal(pixels["pixel_values"], tiny_processor(row)(film_array(), return_tensors="pt")["pixel_values"])
    loaded = auto.from_pretrained(folder, trust_remote_code=True)
    assert torch.equal(loaded(**pixels).logits, tiny_model(row)(**pixels).logits)


def test_loss_reaches_every_weight(row):
    model = tiny_model(row).train()
    loss = model(torch.randn(2, 3, 32, 32), labels=(torch.rand(2, 2, 32, 32) > 0.5).float()).loss
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_bfloat16_and_the_meta_device(row):
    assert tiny_model(row).to(torch.bfloat16)(torch.randn(1, 3, 32, 32).bfloat16()).logits.dtype == torch.bfloat16
    with torch.device("meta"):
        assert all(parameter.is_meta for parameter in row.resolve("model")(tiny_config(row)).parameters())
