"""The contract of a judge: every registered system of kind `judge` keeps it."""

import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel

from hf_medreport.registry import systems
from tests.tiny import film_array, save_tiny, tiny_config, tiny_model, tiny_processor

ROWS = [row for row in systems() if row.kind == "judge"]
pytestmark = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)


def pictures(row, count: int) -> torch.Tensor:
    side = row.tiny["image_size"]
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_folder_loads_and_gives_the_same_answers(row, tmp_path):
    folder = save_tiny(row, tmp_path / "model")
    side = row.tiny["image_size"]
    picture = Image.fromarray(film_array()[:side, :side])
    pixels = AutoImageProcessor.from_pretrained(folder)(picture, return_tensors="pt")
    torch.testing.assert_close(
        pixels["pixel_values"], tiny_processor(row)(picture, return_tensors="pt")["pixel_values"]
    )
    loaded, model = AutoModel.from_pretrained(folder, trust_remote_code=True), tiny_model(row)
    assert torch.equal(loaded(**pixels).logits, model(**pixels).logits)
    assert loaded.answers(loaded(**pixels).logits) == model.answers(model(**pixels).logits)
    assert torch.equal(loaded(**pixels).features, model(**pixels).features)


def test_loss_reaches_every_weight(row):
    model = tiny_model(row).train()
    model(pictures(row, 8), labels=torch.arange(8)[:, None].expand(8, len(row.tiny["questions"])) % 2).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_batch_is_its_pictures(row):
    model, batch = tiny_model(row), pictures(row, 3)
    single = torch.cat([model(picture[None]).logits for picture in batch])
    torch.testing.assert_close(model(batch).logits, single)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(row, dtype):
    output = tiny_model(row).to(dtype)(pictures(row, 2).to(dtype))
    assert output.logits.dtype == dtype and torch.isfinite(output.logits).all()


def test_the_meta_device(row):
    with torch.device("meta"):
        assert all(parameter.is_meta for parameter in row.resolve("model")(tiny_config(row)).parameters())
