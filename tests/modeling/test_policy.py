"""The policy: it reads the prompt and not its padding, and its text encoder stays as it was."""

import pytest
import torch

from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.modeling.configuration_policy import PolicyConfig
from hf_medreport.modeling.modeling_policy import PolicyModel

VISION = {"image_size": 16, "patch_size": 8, "num_channels": 1, "hidden_size": 8, "intermediate_size": 8}
VISION |= {"num_hidden_layers": 1, "num_attention_heads": 2}
TEXT = {"vocab_size": 20, "hidden_size": 12, "intermediate_size": 12, "num_hidden_layers": 1}
TEXT |= {"num_attention_heads": 2, "max_position_embeddings": 16, "hidden_dropout_prob": 0.5}


def policy(**config) -> PolicyModel:
    torch.manual_seed(0)
    sizes = {"vision_config": VISION, "text_config": TEXT, "max_text_tokens": 16, "head_sizes": [16, 8], "dropout": 0}
    return PolicyModel(PolicyConfig(**{**sizes, **config})).eval()


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_is_not_read_and_words_are(pooling):
    model, picture = policy(pooling=pooling), torch.rand(1, 3, 16, 16)
    ids, mask = torch.tensor([[2, 7, 8, 0, 0]]), torch.tensor([[1, 1, 1, 0, 0]])
    score = model(picture, ids, mask).scores
    torch.testing.assert_close(model(picture, ids[:, :3]).scores, score)
    assert not torch.equal(model(picture, torch.tensor([[2, 8, 7]])).scores, score)
    assert not torch.equal(model(torch.rand(1, 3, 16, 16), ids, mask).scores, score)


def test_it_learns_whether_picture_and_prompt_agree():
    """Bright pictures fit one word, dark ones another: neither picture nor prompt alone says how it is rated."""
    model = policy(freeze_text=False).train()
    values = torch.tensor([0.1, 0.1, 0.9, 0.9])
    pictures = values[:, None, None, None].expand(4, 3, 16, 16)
    prompts, ratings = torch.tensor([[2, 7], [2, 8], [2, 7], [2, 8]]), torch.tensor([1.0, 0.0, 0.0, 1.0])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        model(pictures, prompts, labels=ratings).loss.backward()
        optimizer.step()
    assert (model.eval()(pictures, prompts).scores.round() == ratings).all()


def test_a_frozen_text_encoder_gets_no_gradient_and_no_dropout():
    model = policy().train()
    assert not any(parameter.requires_grad for parameter in model.text.parameters())
    assert not model.text.training and model.vision.training
    ids = torch.tensor([[2, 7, 8]])
    assert torch.equal(model.read(ids, torch.ones_like(ids)), model.read(ids, torch.ones_like(ids)))
    assert policy(freeze_text=False).train().text.training


def test_its_default_is_the_seed_s():
    with torch.device("meta"):
        model = PolicyModel(PolicyConfig())
    vision, text = model.config.vision_config, model.config.text_config
    assert (vision.image_size, vision.num_hidden_layers, vision.intermediate_size) == (256, 12, 3072)
    assert (text.hidden_size, text.num_hidden_layers, model.config.max_text_tokens) == (768, 12, 256)
    assert [tuple(layer[0].weight.shape) for layer in model.hidden] == [(768, 1536), (384, 768)]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"pooling": "max"}, "PolicyConfig: found pooling='max'; expected one of cls, mean"),
        ({"max_text_tokens": 17}, "PolicyConfig: found max_text_tokens=17; expected 2 to 16"),
        ({"freze_text": True}, "PolicyConfig: found unknown field 'freze_text'"),
    ],
)
def test_what_cannot_work_is_refused(config, message):
    with pytest.raises(ConfigError) as error:
        policy(**config)
    assert str(error.value).startswith(message)


def test_another_number_of_prompts_is_refused():
    with pytest.raises(ConfigError, match="input_ids: found 1 for 2 pictures; expected a prompt a picture"):
        policy()(torch.rand(2, 3, 16, 16), torch.tensor([[2, 7]]))
