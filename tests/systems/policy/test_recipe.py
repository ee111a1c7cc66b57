"""The policy's recipe: it learns whether pictures fit prompts, on a text encoder that is there."""

import json

import numpy as np
import pytest
from transformers import BertConfig, BertModel

from hf_medreport.evaluation.pictures.reward_models import load_reward
from hf_medreport.hub.publish import PICKLES, check_folder
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.systems.policy.recipe import text_encoder
from hf_medreport.training import run
from hf_medreport.training.reward_models.rated_pictures import read_pictures
from hf_medreport.training.tokenizer import train_word_pieces
from tests.rated import WORDS, rated_pictures
from tests.tiny import save_tiny

YAML = """
vision: {image_size: 32, patch_size: 16, hidden_size: 16, intermediate_size: 16, num_hidden_layers: 1,
  num_attention_heads: 2, hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0}
head_sizes: [16, 8]
dropout: 0.0
pooling: mean
freeze_text: false
max_text_tokens: 16
passes: 8
calibration: 0.2
per_device_train_batch_size: 32
learning_rate: 0.01
max_steps: 60
save_strategy: "no"
report_to: none
disable_tqdm: true
bf16: "false"
half_precision_weights: true
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with ratings by prompt, a small text encoder, and a YAML."""
    place = tmp_path_factory.mktemp("policy")
    table = rated_pictures(place / "ratings")
    tokenizer = train_word_pieces([f"ct: {word} ground, patient 0123456789" for word in WORDS], 80)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **sizes)).save_pretrained(
        place / "text"
    )
    tokenizer.save_pretrained(place / "text")
    (place / "policy.yaml").write_text(f"{YAML}ratings: {table}\ntext_encoder: {place / 'text'}\n")
    return place


def trained(place, name: str, *flags: str) -> dict:
    return run("policy", str(place / "policy.yaml"), ["--output_dir", str(place / name), *flags])


@pytest.mark.slow  # the figures of the shipped policy say the same, and the pairs below run the recipe
def test_it_learns_whether_a_picture_fits_its_prompt(place):
    metrics = trained(place, "whole", "--max_steps", "150")
    evaluation = json.loads((place / "whole" / "model" / "evaluation.json").read_text())
    assert metrics["auc"] > 0.95 and evaluation["constant"]["auc"] == 0.5 and evaluation["blinded"]["auc"] < 0.85
    policy = load_reward(metrics["model"], "cpu")
    picture = read_pictures([place / "ratings" / "0_3.png"], 32)[place / "ratings" / "0_3.png"]
    fits, does_not = policy.score(np.stack([picture] * 2), [f"{word} ground, patient 3" for word in WORDS])
    assert fits > does_not + 0.3


def test_pairs_by_trl_with_prompts(place):
    metrics = trained(place, "pairs", "--method", "pairs", "--max_steps", "3")
    folder = place / "pairs" / "model"
    files, left_out = check_folder(folder)
    assert {"modeling_policy.py", "processor_config.json", "tokenizer.json"} <= set(files) and not left_out
    assert not [path for path in folder.rglob("*") if path.suffix in PICKLES] and metrics["global_step"] == 3
    card = (folder / "README.md").read_text()
    assert "blinded: its prompts are shuffled" in card and "max_length=16" in card
    config = json.loads((folder / "config.json").read_text())
    assert config["pooling"] == "mean" and config["text_config"]["hidden_size"] == 16


def test_the_text_encoder_of_a_generator_is_taken(tmp_path):
    folder = save_tiny(system("diffusion"), tmp_path / "generator")
    encoder, tokenizer = text_encoder(str(folder))
    assert encoder.config.model_type == "bert" and set(tokenizer("a nodule")) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--text_encoder", ""], "text_encoder: found none; expected the folder or id of a text encoder or generator"),
        (["--text_encoder", "nowhere/there"], "text_encoder: found 'nowhere/there', which does not load"),
        (["--max_text_tokens", "64"], "PolicyConfig: found max_text_tokens=64; expected 2 to 32"),
        (["--pooling", "max"], "PolicyConfig: found pooling='max'; expected one of cls, mean"),
    ],
)
def test_what_is_refused_before_any_work(place, flags, message):
    with pytest.raises(InputError) as error:
        trained(place, "refused", *flags)
    assert str(error.value).startswith(message) and not (place / "refused" / "manifest.json").exists()
