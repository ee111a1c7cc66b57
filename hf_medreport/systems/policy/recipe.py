"""The recipe of the policy, which scores how well a picture fits its prompt.

    hf-medreport train policy --config examples/policy_phantom.yaml
    hf-medreport train policy --config examples/policy_phantom.yaml --method pairs --output_dir runs/policy_pairs

Writes `OUTPUT_DIR/MODEL_NAME` (a folder that loads anywhere, with its card and `evaluation.json`), checkpoints to
resume from, and `manifest.json`.
"""

from dataclasses import dataclass, field
from pathlib import Path

from transformers import AutoModel, AutoTokenizer

from hf_medreport.inference.generators import generator_folder, is_generator
from hf_medreport.modeling.configuration_policy import VISION, PolicyConfig
from hf_medreport.modeling.modeling_policy import PolicyModel
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import register_auto_classes, system_of
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.recipe import RunArguments, loading
from hf_medreport.training.reward_models.arguments import (
    RatingArguments,
    RewardModelArguments,
    RewardRecipeArguments,
    check_arguments,
)
from hf_medreport.training.reward_models.recipe import go_on_from, train_on_ratings

NAMES = ["input_ids", "attention_mask"]  # of what the tokenizer gives
SIZES = (
    "head_sizes",
    "pooling",
    "max_text_tokens",
    "product_size",
)  # of its configuration; a model to go on from keeps its own
SETTINGS = ("dropout", "loss", "freeze_text", "contrast")


@dataclass
class ModelArguments(RewardModelArguments):
    """The policy: one to go on from, or one from scratch on a text encoder that is there."""

    text_encoder: str | None = field(
        default=None, metadata={"help": "Folder or id of a text encoder, or of a generator, whose encoder is taken."}
    )
    head_sizes: list[int] = field(default_factory=lambda: [768, 384], metadata={"help": "Widths before the score."})
    pooling: str = field(default="cls", metadata={"help": "What stands for a prompt: cls or mean."})
    max_text_tokens: int = field(default=256, metadata={"help": "Longer prompts are cut."})
    freeze_text: bool = field(default=True, metadata={"help": "Whether the text encoder stays as it is."})
    product_size: int = field(default=0, metadata={"help": "Width of a product of picture and prompt beside them."})
    contrast: float = field(
        default=0.0, metadata={"help": "Weight of a loss that asks which of a batch's prompts a good picture fits."}
    )


@dataclass
class RecipeArguments(RewardRecipeArguments):
    """Trainer's arguments with defaults for the policy."""

    output_dir: str = "runs/policy"


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    classes = (ModelArguments, RatingArguments, RecipeArguments)
    model_arguments, data, arguments = read_arguments(classes, config, flags)
    check_arguments(model_arguments, data, arguments)
    asked = RunArguments("policy", config, model_arguments, data, arguments)
    return train_on_ratings(asked, lambda: build(model_arguments))


def build(asked: ModelArguments) -> tuple[PolicyModel, object]:
    """The model that is trained, and its tokenizer.

    Raises:
        InputError: no text encoder, or one that does not load.
    """
    settings = {name: getattr(asked, name) for name in SETTINGS}
    if asked.model is not None:
        reward = go_on_from(asked, "policy", settings)
        reward.model.text.requires_grad_(not asked.freeze_text)
        return reward.model, reward.tokenizer
    if not asked.text_encoder:
        remedy = "name it, or a `model` to go on from"
        raise InputError("text_encoder", "none", "the folder or id of a text encoder or generator", remedy)
    encoder, tokenizer = text_encoder(asked.text_encoder)
    sizes = {name: getattr(asked, name) for name in SIZES}
    vision, text = {**VISION, **asked.vision}, encoder.config.to_dict()
    model = PolicyModel(PolicyConfig(vision_config=vision, text_config=text, **sizes, **settings))
    model.text.load_state_dict(encoder.state_dict(), strict=False)  # its pooler is not used
    return model, tokenizer


def text_encoder(name: str) -> tuple:
    """A text encoder and its tokenizer; of a generator those that it is conditioned by.

    Raises:
        InputError: nothing of the kind there.
    """
    register_auto_classes()
    places = [name, name]
    if is_generator(name):
        places = [str(Path(generator_folder(name)) / part) for part in ("text_encoder", "tokenizer")]
    with loading(text_encoder=name):
        encoder = AutoModel.from_pretrained(places[0]).float()
        tokenizer = AutoTokenizer.from_pretrained(places[1], model_input_names=NAMES)
    return encoder.encoder if system_of(encoder).kind == "conditioner" else encoder, tokenizer
