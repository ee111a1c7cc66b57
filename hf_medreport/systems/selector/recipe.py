"""The recipe of the selector, which scores how good a picture is.

    hf-medreport train selector --config examples/selector_phantom.yaml
    hf-medreport train selector --config examples/selector_phantom.yaml --method pairs --output_dir runs/selector_pairs

Writes `OUTPUT_DIR/MODEL_NAME` (a folder that loads anywhere, with its card and `evaluation.json`), checkpoints to
resume from, and `manifest.json`.
"""

from dataclasses import dataclass, field

from hf_medreport.modeling.configuration_selector import VISION, SelectorConfig
from hf_medreport.modeling.modeling_selector import SelectorModel
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.recipe import RunArguments
from hf_medreport.training.reward_models.arguments import (
    RatingArguments,
    RewardModelArguments,
    RewardRecipeArguments,
    check_arguments,
)
from hf_medreport.training.reward_models.recipe import go_on_from, train_on_ratings

SETTINGS = ("dropout", "loss", "min_snr", "min_contrast")  # of its configuration, beside sizes


@dataclass
class ModelArguments(RewardModelArguments):
    """The selector: one to go on from, or one from scratch."""

    head_sizes: list[int] = field(default_factory=lambda: [256, 64], metadata={"help": "Widths before the score."})
    min_snr: float = field(default=1.0, metadata={"help": "Of a picture that passes, its signal to noise ratio."})
    min_contrast: float = field(default=0.3, metadata={"help": "And its brightest less its darkest value in [0, 1]."})


@dataclass
class RecipeArguments(RewardRecipeArguments):
    """Trainer's arguments with defaults for the selector."""

    output_dir: str = "runs/selector"


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    classes = (ModelArguments, RatingArguments, RecipeArguments)
    model_arguments, data, arguments = read_arguments(classes, config, flags)
    check_arguments(model_arguments, data, arguments)
    asked = RunArguments("selector", config, model_arguments, data, arguments)
    return train_on_ratings(asked, lambda: (build(model_arguments), None))


def build(asked: ModelArguments) -> SelectorModel:
    """The model that is trained."""
    settings = {name: getattr(asked, name) for name in SETTINGS}
    if asked.model is not None:
        return go_on_from(asked, "selector", settings).model
    vision = {**VISION, **asked.vision}
    return SelectorModel(SelectorConfig(vision_config=vision, head_sizes=asked.head_sizes, **settings))
