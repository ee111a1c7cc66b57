"""The contract of a text encoder of a generator: every registered system of kind `conditioner` keeps it."""

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from hf_medreport.registry import systems
from tests.hub_server import HIDE_PACKAGE
from tests.tiny import save_tiny, tiny_config, tiny_model, tiny_processor

ROWS = [row for row in systems() if row.kind == "conditioner"]
pytestmark = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)
LONGER = {"max_length": 24}
PROMPTS = ["left effusion", "clear"]


def batch(row, prompts=PROMPTS, padding=True):
    tokens = tiny_processor(row)(prompts, padding=padding, **({} if padding is True else LONGER), return_tensors="pt")
    return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {row.model_type: save_tiny(row, tmp_path_factory.mktemp("contract") / row.model_type) for row in ROWS}


def test_a_folder_loads_and_gives_the_same_states(row, folders):
    loaded = AutoModel.from_pretrained(folders[row.model_type], trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(folders[row.model_type])
    assert tokenizer(PROMPTS)["input_ids"] == tiny_processor(row)(PROMPTS)["input_ids"]
    found, expected = loaded(**batch(row)), tiny_model(row)(**batch(row))
    assert torch.equal(found.tokens, expected.tokens) and torch.equal(found.pooled, expected.pooled)


def test_loads_in_a_process_without_hf_medreport(row, folders, fresh):
    code = f"""
from transformers import AutoModel, AutoTokenizer
folder = {str(folders[row.model_type])!r}
model = AutoModel.from_pretrained(folder, trust_remote_code=True)
tokens = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)({PROMPTS!r}, padding=True, return_tensors="pt")
states = model(tokens["input_ids"], tokens["attention_mask"])
print(states.tokens[0].double().sum().item(), states.pooled.double().sum().item())
"""
    done = fresh.run(HIDE_PACKAGE + code)
    assert done.returncode == 0, done.stderr[-2000:]
    states = tiny_model(row)(**batch(row))
    ours = [states.tokens[0].double().sum().item(), states.pooled.double().sum().item()]
    assert list(map(float, done.stdout.splitlines()[-1].split())) == pytest.approx(ours, abs=1e-4)


def test_longer_padding_and_company_change_nothing(row):
    model, states = tiny_model(row), tiny_model(row)(**batch(row))
    longer = model(**batch(row, padding="max_length"))
    length = states.tokens.shape[1]
    torch.testing.assert_close(longer.pooled, states.pooled, atol=1e-5, rtol=1e-4)
    seen = states.mask.bool()
    assert longer.mask.sum() == seen.sum() and longer.mask.shape[1] == 24 > length
    torch.testing.assert_close(longer.tokens[:, :length][seen], states.tokens[seen], atol=1e-5, rtol=1e-4)
    for number, prompt in enumerate(PROMPTS):
        alone = model(**batch(row, [prompt]))
        torch.testing.assert_close(alone.pooled[0], states.pooled[number], atol=1e-5, rtol=1e-4)


def test_every_weight_gets_a_gradient_once_the_modality_is_learned(row):
    """What stands behind a weight that begins as zero has its gradient from the second step on."""
    model = tiny_model(row).train()
    ids = torch.tensor([1, 2])
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        states = model(**batch(row), modality_ids=ids)
        (states.tokens.square().mean() + states.pooled.square().mean()).backward()
        optimizer.step()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_bfloat16_and_the_meta_device(row):
    assert tiny_model(row).to(torch.bfloat16)(**batch(row)).tokens.dtype == torch.bfloat16
    with torch.device("meta"):
        assert all(parameter.is_meta for parameter in row.resolve("model")(tiny_config(row)).parameters())
