"""The arguments of a recipe that learns from ratings, and what is refused of them before any work."""

from dataclasses import dataclass, field
from pathlib import Path

from hf_medreport.processing.input_error import InputError
from hf_medreport.training.recipe import ReportRecipeArguments

__all__ = ["METHODS", "RatingArguments", "RewardModelArguments", "RewardRecipeArguments", "check_arguments"]

METHODS = ("regression", "pairs")


@dataclass
class RewardModelArguments:
    """The model: one to go on from, or one from scratch."""

    model: str | None = field(
        default=None, metadata={"help": "Folder or shipped name of a trained one to go on from; its sizes are its own."}
    )
    vision: dict = field(
        default_factory=dict, metadata={"help": "In the YAML: fields of ViTConfig, on top of the seed's sizes."}
    )
    dropout: float = field(default=0.1, metadata={"help": "In the head."})
    loss: str = field(default="bce", metadata={"help": "Of regression: bce, mse, or the seed's legacy_abs_loss."})


@dataclass
class RatingArguments:
    """The ratings."""

    ratings: str | None = field(
        default=None, metadata={"help": "Table: image_path, rating, modality, expert_level, prompt, and rater."}
    )
    image_root: str | None = field(default=None, metadata={"help": "Folder of the pictures. Default: the table's."})
    held_out: float = field(
        default=0.2, metadata={"help": "Share of the prompts that are scored and never trained on."}
    )
    calibration: float = field(
        default=0.1, metadata={"help": "Share of the prompts on which scores are fitted to ratings; 0: not fitted."}
    )
    held_out_raters: list[str] = field(
        default_factory=list, metadata={"help": "Whose ratings are never trained on. Default: nobody's."}
    )
    passes: int = field(default=1, metadata={"help": "How often each is seen, moved in another way each time."})
    shift: int = field(default=2, metadata={"help": "By how many px a picture is moved at most."})
    most_pairs: int = field(default=20000, metadata={"help": "Pairs to train on at most, drawn by chance."})
    split_seed: int = field(default=0, metadata={"help": "Says which prompts are held out."})


@dataclass
class RewardRecipeArguments(ReportRecipeArguments):
    """Trainer's arguments with defaults for ratings."""

    predict_with_generate: bool = False
    num_train_epochs: float = 1  # `passes` says how often
    method: str = field(default="regression", metadata={"help": "regression on ratings, or pairs (by TRL)."})
    lora_rank: int = field(default=0, metadata={"help": "Train an adapter of so many ranks on `model`; 0: all of it."})


def check_arguments(model: RewardModelArguments, data: RatingArguments, arguments: RewardRecipeArguments) -> None:
    """Refuse, before any work, what cannot be trained.

    Raises:
        InputError: no ratings, an unknown method, shares that leave nothing, or an adapter on nothing.
    """
    if not data.ratings:
        raise InputError("ratings", "none", "a table of ratings", "name it")
    if not Path(data.ratings).exists():
        raise InputError("ratings", f"no file {Path(data.ratings).name}", "a table of ratings", "check the path")
    if arguments.method not in METHODS:
        raise InputError("method", f"'{arguments.method}'", " or ".join(METHODS), "name one of the two")
    for name in ("held_out", "calibration"):
        if not 0 <= getattr(data, name) < 1:
            remedy = "give a share such as 0.2"
            raise InputError(name, str(getattr(data, name)), "0 or more and less than 1", remedy)
    if data.held_out + data.calibration >= 1:
        found = f"{data.held_out} and {data.calibration}"
        raise InputError("held_out, calibration", found, "less than 1 together", "leave some prompts to train on")
    for name, value, least in (
        ("passes", data.passes, 1),
        ("shift", data.shift, 0),
        ("most_pairs", data.most_pairs, 1),
    ):
        if value < least:
            raise InputError(name, str(value), f"at least {least}", "correct it")
    if arguments.lora_rank < 0:
        raise InputError("lora_rank", str(arguments.lora_rank), "0 or more", "correct it")
    if arguments.lora_rank and model.model is None:
        found = f"{arguments.lora_rank} without `model`"
        raise InputError("lora_rank", found, "a trained model to adapt", "name it, or leave the rank out")
    if arguments.lora_rank and (arguments.resume or arguments.resume_from_checkpoint):
        remedy = "begin anew with `overwrite`"
        raise InputError("resume", "it beside `lora_rank`", "a run that trains the whole model", remedy)
    if arguments.eval_strategy != "no":
        raise InputError("eval_strategy", str(arguments.eval_strategy), "no", "leave it out: it is scored at the end")
