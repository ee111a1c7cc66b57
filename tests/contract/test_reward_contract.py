"""The contract of a reward model: every registered system of kind `reward` keeps it."""

import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoProcessor

from hf_medreport.hub.card import write_card
from hf_medreport.hub.publish import check_folder
from hf_medreport.registry import systems
from tests.hub_server import HIDE_PACKAGE
from tests.tiny import film_array, save_tiny, tiny_config, tiny_model, tiny_processor

ROWS = [row for row in systems() if row.kind == "reward"]
pytestmark = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)


def batch(row, count: int) -> dict[str, torch.Tensor]:
    """Slopes from dark to bright, which pass all gates, and prompts of unlike lengths."""
    generator, side = torch.Generator().manual_seed(0), row.tiny["vision_config"]["image_size"]
    slope = torch.linspace(0, 0.8, side).expand(count, 3, side, side)
    inputs = {"pixel_values": slope + 0.2 * torch.rand(count, 3, 1, 1, generator=generator)}
    if "prompt" in row.given:
        inputs["input_ids"] = torch.randint(5, 60, (count, 6), generator=generator)
        inputs["attention_mask"] = (torch.arange(6) < torch.arange(count)[:, None] + 3).long()
    return inputs


def test_folder_loads_and_gives_the_same_scores(row, tmp_path):
    folder = save_tiny(row, tmp_path / "model")
    given = {"images": [Image.fromarray(film_array())], "return_tensors": "pt"}
    given |= {"text": ["heart normal."]} if row.given else {}
    inputs = AutoProcessor.from_pretrained(folder, trust_remote_code=True)(**given)
    for name, value in tiny_processor(row)(**given).items():
        torch.testing.assert_close(inputs[name], value)  # another library may resize
    assert inputs["pixel_values"].min() >= 0 and inputs["pixel_values"].max() <= 1
    loaded, model = AutoModel.from_pretrained(folder, trust_remote_code=True), tiny_model(row)
    for read in (inputs, batch(row, 3)):
        assert all(torch.equal(*values) for values in zip(loaded(**read)[:], model(**read)[:], strict=True))


LOADED = """
import sys, torch
from transformers import AutoConfig, AutoModel, AutoProcessor
AutoConfig.from_pretrained({folder!r}, trust_remote_code=True)
AutoProcessor.from_pretrained({folder!r}, trust_remote_code=True)
model, inputs = AutoModel.from_pretrained({folder!r}, trust_remote_code=True), torch.load({inputs!r})
assert torch.equal(model(**inputs).scores, torch.load({scores!r}))
"""


def test_loaded_where_hf_medreport_is_hidden(row, tmp_path, fresh):
    folder, inputs = save_tiny(row, tmp_path / "model"), batch(row, 3)
    torch.save(inputs, tmp_path / "inputs")
    torch.save(tiny_model(row)(**inputs).scores.detach(), tmp_path / "scores")
    names = {name: str(tmp_path / name) for name in ("inputs", "scores")}
    done = fresh.run(HIDE_PACKAGE + LOADED.format(folder=str(folder), **names))
    assert done.returncode == 0, done.stderr


def test_a_folder_can_be_published(row, tmp_path):
    folder = save_tiny(row, tmp_path / "model")
    write_card(folder, {}, model_name="org/model", base="random weights", data="none", command="none")
    files, left_out = check_folder(folder)
    assert {f"modeling_{row.model_type}.py", "picture_reward.py", "saved_model.py"} < set(files) and not left_out


def test_loss_reaches_every_weight_that_is_trained(row):
    model = tiny_model(row, freeze_text=False) if row.given else tiny_model(row)
    model.train()(**batch(row, 8), labels=torch.arange(8) / 7, weights=torch.arange(8) / 3).loss.backward()
    silent = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert silent == []


def test_a_score_does_not_depend_on_its_batch(row):
    model, inputs = tiny_model(row), batch(row, 5)
    whole = model(**inputs)
    single = [model(**{name: value[k : k + 1] for name, value in inputs.items()}) for k in range(5)]
    torch.testing.assert_close(whole.logits, torch.cat([one.logits for one in single]))
    torch.testing.assert_close(whole.scores, torch.cat([one.scores for one in single]))
    assert whole.logits.shape == (5, 1) and whole.scores.shape == (5,) and whole.passed.all()
    torch.testing.assert_close(whole.scores, torch.sigmoid(whole.logits[:, 0]))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(row, dtype):
    inputs = batch(row, 2)
    output = tiny_model(row).to(dtype)(**inputs | {"pixel_values": inputs["pixel_values"].to(dtype)})
    assert output.logits.dtype == output.scores.dtype == dtype and (output.scores > 0).all()


def test_the_meta_device(row):
    with torch.device("meta"):
        assert all(parameter.is_meta for parameter in row.resolve("model")(tiny_config(row)).parameters())
