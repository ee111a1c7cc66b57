"""The arguments of the generator's recipe, as a YAML and flags give them, and which of them contradict each other."""

import json
import math
import os
from dataclasses import asdict, dataclass, field

import torch

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError
from hf_medreport.training.precision import chosen_bf16

__all__ = ["CROSS_ATTENTION", "DataArguments", "ModelArguments", "Stage", "TrainingArguments", "stages_of"]

# Cross-attention everywhere, self-attention of the middle, and the last convolution; not every `proj_out`.
PROJECTIONS = r"(to_q|to_k|to_v|to_out\.0)"
CROSS_ATTENTION = rf"(.*\.attn2\.{PROJECTIONS})|(mid_block\..*\.attn1\.{PROJECTIONS})|conv_out"
# What a recipe calls a schedule or a prediction -> what diffusers calls it.
SCHEDULES = {"linear": "linear", "scaled_linear": "scaled_linear", "cosine": "squaredcos_cap_v2"}
PREDICTIONS = {"epsilon": "epsilon", "v": "v_prediction", "x0": "sample"}
RATES = ("constant", "cosine", "linear")
PARTS = ("unet", "text_encoder", "vae")  # that may be quantized


@dataclass
class ModelArguments:
    """The model: another generator to go on from, or sizes of a new one."""

    base: str | None = field(
        default=None, metadata={"help": "Folder or id of a generator of ours, or of a Stable Diffusion."}
    )
    improvements: str = field(
        default="", metadata={"help": "In the YAML: switches of the U-Net, such as skip_gates: true."}
    )
    unet: str = field(default="", metadata={"help": "In the YAML, without `base`: sizes of a new U-Net."})
    codec: str = field(
        default="", metadata={"help": "In the YAML, without `base` and `vae`: patch_size, components of a new codec."}
    )
    codec_pictures: int = field(default=1000, metadata={"help": "Training pictures that a new codec is fitted on."})
    vae: str | None = field(default=None, metadata={"help": "Folder or id of an AutoencoderKL for a new U-Net."})
    text_encoder: str = field(
        default="", metadata={"help": "Folder or id; in the YAML a BERT's sizes. Default: that of `base`."}
    )
    vocabulary_size: int = field(default=1000, metadata={"help": "Of a tokenizer trained on the prompts."})
    max_length: int = field(default=256, metadata={"help": "Most tokens of a prompt."})
    train_text_encoder: str = field(
        default="auto", metadata={"help": "true, false, or auto: one that was read stays as it is, a new one learns."}
    )
    noise_schedule: str | None = field(
        default=None, metadata={"help": "linear, scaled_linear or cosine. Default: that of `base`, or scaled_linear."}
    )
    zero_snr: bool = field(default=False, metadata={"help": "Let the last noise level be noise alone."})
    prediction: str | None = field(
        default=None, metadata={"help": "epsilon, v or x0. Default: that of `base`, or epsilon."}
    )
    lora_rank: int = field(default=0, metadata={"help": "Train an adapter of this rank; 0 trains the U-Net itself."})
    lora_alpha: int = field(default=0, metadata={"help": "Its scale times its rank. Default: its rank."})
    lora_targets: str = field(default=CROSS_ATTENTION, metadata={"help": "Regular expression of its layers' names."})
    adapter: str | None = field(default=None, metadata={"help": "Folder of an adapter to go on from."})
    quantize: list[str] = field(
        default_factory=list, metadata={"help": "Frozen parts in four bits: unet, text_encoder, vae."}
    )
    merge_adapter: bool = field(default=False, metadata={"help": "Save a whole model too, the adapter merged into it."})


@dataclass
class DataArguments:
    """The data: tables of pictures and texts, or drawn films."""

    train_data: str | None = field(
        default=None, metadata={"help": "A table of path, text and modality: CSV, JSONL or Parquet."}
    )
    validation_data: str | None = field(default=None, metadata={"help": "The same, for the validation loss."})
    image_root: str | None = field(default=None, metadata={"help": "Where relative paths begin. Default: the table's."})
    phantom_cases: int = field(default=0, metadata={"help": "Draw so many training films instead of reading tables."})
    phantom_validation_cases: int = field(default=0, metadata={"help": "Draw so many for the validation loss."})
    phantom_seed: int = 0
    modalities: str | None = field(default=None, metadata={"help": "A YAML of modalities. Default: this library's."})
    fit: str = field(default="pad", metadata={"help": "How pictures become squares: pad or crop."})
    drawn: str | None = field(default=None, metadata={"help": "Where drawn films are kept. Default: OUTPUT_DIR/drawn."})
    augment_prompts: bool = field(
        default=False, metadata={"help": "Say the same in other words and orders; never another side or number."}
    )
    shuffle_buffer: int = field(default=10_000, metadata={"help": "Rows that are shuffled at a time."})


@dataclass
class TrainingArguments:
    """The training.

    Raises:
        InputError: a value that cannot be used.
    """

    output_dir: str = "runs/diffusion"
    model_name: str = field(default="model", metadata={"help": "Of the final folder, and in its card."})
    resolution: int = field(default=256, metadata={"help": "Side of a picture."})
    max_steps: int = field(default=0, metadata={"help": "Steps of the optimizer."})
    stages: list[str] = field(
        default_factory=list,
        metadata={
            "help": "In the YAML, instead of resolution and max_steps: mappings of resolution, steps and what else "
            "differs between stages."
        },
    )
    per_device_train_batch_size: int = 16
    gradient_accumulation_steps: int = 1
    learning_rate: float = 1e-5
    warmup_steps: int = field(default=0, metadata={"help": "In which the rate rises; of each stage."})
    lr_scheduler_type: str = field(default="constant", metadata={"help": "constant, cosine or linear, in each stage."})
    weight_decay: float = 0.01
    adam_beta1: float = 0.9
    adam_beta2: float = 0.999
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    min_snr_gamma: float | None = field(default=None, metadata={"help": "5 is usual. Default: all levels count alike."})
    noise_offset: float = 0.0
    input_perturbation: float = 0.0
    prompt_dropout: float = field(
        default=0.1, metadata={"help": "How often a picture is seen without words and modality."}
    )
    modality_dropout: float = field(default=0.1, metadata={"help": "How often it is seen without its modality alone."})
    ema_decay: float = field(default=0.9999, metadata={"help": "Of the averaged weights; 0 keeps no average."})
    bf16: str = field(default="false", metadata={"help": "true, false, or auto: what the machine does well."})
    fp16: bool = False
    gradient_checkpointing: bool = False
    seed: int = 0
    logging_steps: int = 50
    eval_steps: int = field(default=0, metadata={"help": "Steps between validation losses; 0 for none."})
    validation_items: int = field(default=256, metadata={"help": "Of which the loss is taken, at most."})
    sample_steps: int = field(default=0, metadata={"help": "Steps between grids of samples; 0 for none."})
    sample_prompts: list[str] = field(
        default_factory=list, metadata={"help": "In the YAML: texts, or mappings of prompt and modality."}
    )
    sample_guidance: float = field(default=3.0, metadata={"help": "Of samples, and the finished model's own."})
    sample_inference_steps: int = 20
    save_steps: int = 500
    save_total_limit: int | None = field(default=None, metadata={"help": "Checkpoints kept. Default: all."})
    dataloader_num_workers: int = 0
    half_precision_weights: bool = field(default=False, metadata={"help": "Save the model's weights in float16."})
    resume: bool = field(default=False, metadata={"help": "Go on with the run in output_dir, if there is one."})
    resume_from_checkpoint: str | None = field(default=None, metadata={"help": "A checkpoint to go on from, or true."})
    allow_changed_settings: bool = field(
        default=False, metadata={"help": "Go on though settings or tables are not those that the run was begun with."}
    )
    overwrite: bool = field(default=False, metadata={"help": "Remove what an older run wrote to output_dir."})

    def __post_init__(self):
        self.bf16 = chosen_bf16(self.bf16, self.fp16)
        if self.bf16 and self.fp16:
            raise InputError("fp16", "it beside `bf16`", "one of the two", "leave out the other")

    @property
    def process_index(self) -> int:
        """Of this process among those that train together."""
        return int(os.environ.get("RANK", "0"))

    @property
    def precision(self) -> torch.dtype:
        """What the passes are calculated in; weights that are trained are float32."""
        return torch.bfloat16 if self.bf16 else torch.float16 if self.fp16 else torch.float32

    def to_json_string(self) -> str:
        """For the manifest."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Stage:
    """A part of the training with a resolution of its own; what a stage of the YAML does not say is the run's."""

    resolution: int
    steps: int
    per_device_train_batch_size: int
    gradient_accumulation_steps: int
    learning_rate: float
    warmup_steps: int
    noise_offset: float

    def rate(self, number: int, schedule: str) -> float:
        """The learning rate of a step, counted from 0 in its stage: it rises in the warm-up, then stays, or falls to
        nothing along half a cosine or a line."""
        if number < self.warmup_steps:
            return self.learning_rate * (number + 1) / (self.warmup_steps + 1)
        part = (number - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        share = {"constant": 1.0, "cosine": 0.5 * (1 + math.cos(math.pi * part)), "linear": 1 - part}[schedule]
        return self.learning_rate * share


def stages_of(arguments: TrainingArguments) -> list[Stage]:
    """The stages of a run in their order; one where none are named.

    Raises:
        InputError: a stage that is no mapping, lacks a field or has an unknown one, or a number below what works.
    """
    shared = {name: getattr(arguments, name) for name in Stage.__dataclass_fields__ if hasattr(arguments, name)}
    if not arguments.stages:
        return [_checked(Stage(steps=arguments.max_steps, **shared), "max_steps")]
    if arguments.max_steps:
        raise InputError("max_steps", "it beside `stages`", "one of the two", "leave it out: each stage has its steps")
    stages = []
    for number, values in enumerate(arguments.stages, 1):
        name = f"stages, number {number}"
        if not isinstance(values, dict) or not {"resolution", "steps"} <= set(values):
            raise InputError(
                name, f"{values}", "a mapping with resolution and steps", "see examples/diffusion_staged.yaml"
            )
        for key in values:
            if key not in Stage.__dataclass_fields__:
                remedy = did_you_mean(key, Stage.__dataclass_fields__, "leave it out")
                raise InputError(name, f"unknown field '{key}'", "a field of a stage", remedy)
        kinds = {key: Stage.__dataclass_fields__[key].type for key in values}
        try:
            values = {key: kind(values[key]) for key, kind in kinds.items()}
        except (TypeError, ValueError):
            raise InputError(name, f"{values}", "numbers", "correct it") from None
        stages.append(_checked(Stage(**shared | {"steps": 0} | values), f"{name}, steps"))
    return stages


def _checked(stage: Stage, steps: str) -> Stage:
    for name, value in (
        (steps, stage.steps),
        ("resolution", stage.resolution),
        ("per_device_train_batch_size", stage.per_device_train_batch_size),
        ("gradient_accumulation_steps", stage.gradient_accumulation_steps),
    ):
        if value < 1:
            raise InputError(name, f"{value}", "1 or more", "give a number")
    return stage
