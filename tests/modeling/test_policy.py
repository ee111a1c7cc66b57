"""The policy: it reads the prompt and not its padding, and its text encoder stays as it was."""

import math

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
        ({"product_size": -1}, "PolicyConfig: found product_size=-1; expected 0 or more"),
        ({"contrast": -1.0}, "PolicyConfig: found contrast=-1.0; expected 0 or more"),
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


def test_the_contrast_asks_for_a_picture_s_own_prompt_by_hand():
    """Whatever is seen and read, all prompts score alike: a chance of one in as many as differ."""
    model, ids = policy(contrast=2.0).train(), torch.tensor([[2, 7], [2, 8], [2, 9], [2, 8]])
    torch.nn.init.zeros_(model.score.weight)
    pictures, ratings = torch.rand(4, 3, 16, 16), torch.tensor([1.0, 0.5, 0.0, 0.0])
    # Of the first picture four prompts differ; the second's stands twice, so three do. The others were rated 1.
    expected = (math.log(4) + 0.5 * math.log(3)) / 1.5
    seen, read = model.see(model.gray(pictures)), model.read(ids, torch.ones_like(ids))
    assert model.contrast_loss(seen, read, ids, ratings).item() == pytest.approx(expected, rel=1e-5)
    loss = model(pictures, ids, labels=ratings).loss.item()
    assert loss == pytest.approx(math.log(2) + 2 * expected, rel=1e-5)
    assert model.eval()(pictures, ids, labels=ratings).loss.item() == pytest.approx(math.log(2), rel=1e-5)


def test_a_product_stands_beside_both_states():
    model = policy(product_size=6)
    seen, read = torch.rand(2, 8), torch.rand(2, 12)
    states = model.together(seen, read)
    torch.testing.assert_close(states[:, 20:], model.of_picture(seen) * model.of_prompt(read))
    assert torch.equal(states[:, :20], torch.cat([seen, read], dim=1))
    score = model(torch.rand(2, 3, 16, 16), torch.tensor([[2, 7], [2, 8]])).scores
    assert score.shape == (2,) and model.config.product_size == 6


def test_a_text_encoder_that_was_saved_in_half_precision_is_built_as_the_rest(tmp_path):
    model = policy(text_config={**TEXT, "dtype": "float16", "model_type": "bert"}, product_size=4)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    model.half().save_pretrained(tmp_path)
    loaded = PolicyModel.from_pretrained(tmp_path, dtype=torch.float32)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert loaded(torch.rand(1, 3, 16, 16), torch.tensor([[2, 7]])).scores.dtype == torch.float32
