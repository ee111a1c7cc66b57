"""The settings of the generator's three updates, as a YAML and flags give them."""

from dataclasses import dataclass, field

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.training.settings import CROSS_ATTENTION
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.precision import chosen_bf16

__all__ = ["UPDATES", "DDPOSettings", "PreferenceSettings", "UpdateSettings", "WeightedRegressionSettings"]
__all__ += ["read_update_settings", "update_settings_of"]

WEIGHTINGS = ("softmax", "rating")
# Least and most of a number, the bounds included; None: none.
BOUNDS = {
    "learning_rate": (0, None),
    "weight_decay": (0, None),
    "max_grad_norm": (0, None),
    "batch_size": (1, None),
    "gradient_accumulation_steps": (1, None),
    "lora_rank": (1, None),
    "lora_alpha": (0, None),
    "seed": (0, None),
    "save_steps": (1, None),
    "logging_steps": (1, None),
    "save_total_limit": (1, None),
    "rounds": (1, None),
    "prompts_per_round": (1, None),
    "samples_per_prompt": (1, None),
    "num_inference_steps": (2, 1000),
    "guidance_scale": (0, None),
    "steps_trained": (0, None),
    "inner_epochs": (1, None),
    "clip_range": (0, None),
    "advantage_clip": (0, None),
    "kl_weight": (0, None),
    "rewards_kept": (2, None),
    "rewards_needed": (2, None),
    "max_steps": (1, None),
    "prompt_dropout": (0, 1),
    "temperature": (0, None),
    "preference_strength": (0, None),
}


@dataclass
class UpdateSettings:
    """What all updates share: an adapter, its optimizer, what is kept of a run.

    Raises:
        InputError: a value that cannot be used.
    """

    lora_rank: int = field(default=8, metadata={"help": "Of the adapter that learns."})
    lora_alpha: int = field(default=0, metadata={"help": "Its scale times its rank. Default: its rank."})
    lora_targets: str = field(default=CROSS_ATTENTION, metadata={"help": "Regular expression of its layers' names."})
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    batch_size: int = field(default=16, metadata={"help": "Pictures, or pairs, that pass the U-Net at once."})
    gradient_accumulation_steps: int = field(default=1, metadata={"help": "Batches of a step of the optimizer."})
    bf16: str = field(default="false", metadata={"help": "true, false, or auto: what the machine does well."})
    fp16: bool = False
    seed: int = 0
    save_total_limit: int = field(default=1, metadata={"help": "Checkpoints kept."})

    def __post_init__(self):
        self.bf16 = chosen_bf16(self.bf16, self.fp16)
        if self.bf16 and self.fp16:
            raise InputError("fp16", "it beside `bf16`", "one of the two", "leave out the other")
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name, least)
            if not (value >= least and (most is None or value <= most)):  # NaN is neither
                expected = f"{least} or more" if most is None else f"{least} to {most}"
                raise InputError(name, f"{value:g}", expected, "correct it")


@dataclass
class DDPOSettings(UpdateSettings):
    """Denoising diffusion policy optimization.

    Learning costs more than drawing: with guidance each step of a picture takes two passes, there and back. So few of
    its steps are learned from at a time, chosen anew each time, which gives more steps of the optimizer for the same
    work; a narrow clip wants many.

    Raises:
        InputError: a value that cannot be used; more steps to learn from than draw, or more rewards needed than kept.
    """

    # So that some ratios of a round leave the clip range; where none does, the rate is too low to move anything.
    learning_rate: float = 3e-3
    rounds: int = field(default=12, metadata={"help": "In each of which pictures are drawn, rated and learned from."})
    prompts_per_round: int = field(default=8, metadata={"help": "Prompts of a round, by chance."})
    samples_per_prompt: int = field(default=8, metadata={"help": "Pictures of each."})
    num_inference_steps: int = field(default=10, metadata={"help": "Steps of DDIM by which pictures are drawn."})
    guidance_scale: float = field(default=3.0, metadata={"help": "By which they are drawn; 1 halves the work."})
    steps_trained: int = field(
        default=3, metadata={"help": "Of a picture's steps, how many by chance are learned from; 0 for all."}
    )
    inner_epochs: int = field(default=3, metadata={"help": "How often a round's pictures are learned from."})
    clip_range: float = field(default=1e-4, metadata={"help": "How far a ratio of probabilities from 1 counts."})
    advantage_clip: float = field(default=5.0, metadata={"help": "The most that an advantage counts, either way."})
    kl_weight: float = field(
        default=0.0, metadata={"help": "Of the distance to the generator without its adapter; 0 saves a pass."}
    )
    rewards_kept: int = field(default=32, metadata={"help": "Last rewards of a prompt, to which new ones are held."})
    rewards_needed: int = field(
        default=8, metadata={"help": "Rewards of a prompt below which those of the round are taken instead."}
    )

    def __post_init__(self):
        super().__post_init__()
        drawn = self.num_inference_steps - 1
        if self.steps_trained > drawn:
            expected = f"at most {drawn}: of {self.num_inference_steps} steps the last draws nothing"
            raise InputError("steps_trained", str(self.steps_trained), expected, "give 0 for all")
        if self.rewards_needed > self.rewards_kept:
            expected = f"at most {self.rewards_kept}, as `rewards_kept` says"
            raise InputError("rewards_needed", str(self.rewards_needed), expected, "keep more, or need fewer")


@dataclass
class StepSettings(UpdateSettings):
    """What the updates on given pictures share."""

    max_steps: int = field(default=300, metadata={"help": "Steps of the optimizer."})
    save_steps: int = field(default=100, metadata={"help": "Steps between checkpoints."})
    logging_steps: int = field(default=20, metadata={"help": "Steps between lines of the history."})


@dataclass
class WeightedRegressionSettings(StepSettings):
    """Regression weighted by rewards or ratings.

    Raises:
        InputError: a value that cannot be used.
    """

    weighting: str = field(
        default="softmax",
        metadata={"help": "softmax: exp(reward x temperature), normalized; rating: rating x expert level / 3."},
    )
    temperature: float = field(default=5.0, metadata={"help": "Of softmax: how much more a better picture counts."})
    prompt_dropout: float = field(default=0.1, metadata={"help": "How often a picture is seen without its words."})

    def __post_init__(self):
        super().__post_init__()
        if self.weighting not in WEIGHTINGS:
            remedy = did_you_mean(self.weighting, WEIGHTINGS, "choose one of these")
            raise InputError("weighting", f"'{self.weighting}'", f"one of {', '.join(WEIGHTINGS)}", remedy)


@dataclass
class PreferenceSettings(StepSettings):
    """Direct preference optimization; each step passes the U-Net four times a pair, twice there and back."""

    preference_strength: float = field(
        default=500.0, metadata={"help": "Beta of Diffusion-DPO: the larger, the closer it stays to the start."}
    )


UPDATES = {"ddpo": DDPOSettings, "weighted_regression": WeightedRegressionSettings, "preference": PreferenceSettings}


def read_update_settings(update: str, config: str | None = None, flags: list[str] | None = None) -> UpdateSettings:
    """The settings of an update from a YAML and flags.

    Args:
        update: of `UPDATES`.
        config: a YAML file of `field: value`, or None.
        flags: `["--field", "value", ...]`.

    Raises:
        InputError: no such update, or see `read_arguments`.
    """
    return read_arguments((_known(update),), config, flags or [])[0]


def update_settings_of(update: str, values: dict) -> UpdateSettings:
    """The settings of an update from a part of another YAML, whose numbers may have come as words ("1e-3").

    Raises:
        InputError: no such update or setting, or a value that cannot be used.
    """
    known = _known(update).__dataclass_fields__
    for name in values:
        if name not in known:
            remedy = did_you_mean(name, known, "see the settings of the update")
            raise InputError("update_settings", f"unknown field '{name}'", f"a setting of {update}", remedy)
    flags = [f"--{name}={value}" for name, value in values.items()]
    return read_update_settings(update, None, flags)


def _known(update: str) -> type[UpdateSettings]:
    if update not in UPDATES:
        remedy = did_you_mean(update, UPDATES, "choose one of these")
        raise InputError("update", f"'{update}'", f"one of {', '.join(UPDATES)}", remedy)
    return UPDATES[update]
