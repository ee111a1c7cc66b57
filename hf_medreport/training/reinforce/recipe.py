"""The recipe of learning from rewards: any trained report model goes on, by what its own reports earn.

    hf-medreport train reinforce --model anatomical-tiny --config examples/reinforce_phantom.yaml

Writes what every recipe writes: `OUTPUT_DIR/MODEL_NAME` (a folder that loads anywhere, scored on phantoms where these
were trained on, with its card), `checkpoint-N`, `samples.jsonl` and `manifest.json`.
"""

import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from transformers import set_seed

from hf_medreport.evaluation.phantom.films import evaluate_phantom
from hf_medreport.evaluation.phantom.slides import evaluate_slides
from hf_medreport.inference.loading import load
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system_of
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import (
    SAMPLES,
    TEST_BENCH,
    ReportRecipeArguments,
    RunArguments,
    check_evaluation,
    check_source,
    finish,
    fit,
    tables_of,
    texts_of,
)
from hf_medreport.training.reinforce.adapter import Adapter
from hf_medreport.training.reinforce.data import CaseCollator, DataArguments, open_records
from hf_medreport.training.reinforce.objective import METHODS
from hf_medreport.training.reinforce.rewards import named_rewards
from hf_medreport.training.reinforce.trainer import ReinforceTrainer, Settings
from hf_medreport.training.report_metrics import ReportMetrics, chest_facts, slide_facts

DEFAULT_REWARDS = {"slide": "slide_composite"}  # of what a model reads; of films and pairs the composite


@dataclass
class ModelArguments:
    """The model that goes on, and what of it learns."""

    model: str = field(default="", metadata={"help": "A shipped report model's name, a folder, or a repository id."})
    adapter_rank: int = field(default=0, metadata={"help": "Of a LoRA adapter, merged at the end; 0 trains it all."})
    adapter_targets: list[str] = field(
        default_factory=list, metadata={"help": "Layers with an adapter, by last name. Default: all linear ones."}
    )


@dataclass
class ReinforceArguments(ReportRecipeArguments):
    """Trainer's arguments with defaults for reports, and how is learned from rewards."""

    output_dir: str = "runs/reinforce"
    method: str = field(default="group-relative", metadata={"help": f"{' or '.join(METHODS)}."})
    samples: int = field(default=4, metadata={"help": "Reports that are sampled of a case in a step."})
    kl: float = field(default=0.02, metadata={"help": "Weight of a report's KL to the start model; 0: none."})
    temperature: float = field(default=1.0, metadata={"help": "Scores are divided by it, then sampled from."})
    rewards: list[str] = field(
        default_factory=list,
        metadata={"help": "Of `report_reward`. Default: composite, of slides slide_composite."},
    )
    reward_weights: list[float] = field(default_factory=list, metadata={"help": "One a reward. Default: 1 each."})


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model_arguments, data, arguments = read_arguments(
        (ModelArguments, DataArguments, ReinforceArguments), config, flags
    )
    check_arguments(model_arguments, data, arguments)
    asked = RunArguments("reinforce", config, model_arguments, data, arguments)
    set_seed(arguments.seed)
    pipe = load(model_arguments.model, device="cpu")
    asked.output.mkdir(parents=True, exist_ok=True)
    reads, takes = system_of(pipe.model).reads, pipe.model.takes()
    trainer = trainer_of(pipe, asked, *open_records(data, reads, takes, pipe.processor, asked.output))
    metrics = fit(trainer, asked, [*tables_of(data), *weights_files(model_arguments.model)])
    trained = trainer.accelerator.unwrap_model(trainer.model)
    if trainer.adapter is not None:
        trained = trainer.adapter.merged()
    described = {"base": model_arguments.model, "data": _described(data)}
    return finish(trainer, asked, metrics, trained, pipe.processor, partial(evaluation_of, asked), described)


def check_arguments(model: ModelArguments, data: DataArguments, arguments: ReinforceArguments) -> None:
    """Refuse, before any work, what cannot be or does not go together."""
    if not model.model:
        raise InputError("model", "none", "a trained report model", "name a shipped one, a folder or an id")
    if arguments.method not in METHODS:
        raise InputError("method", f"'{arguments.method}'", " or ".join(METHODS), "choose one of them")
    least = 2 if arguments.method == "group-relative" else 1
    if arguments.samples < least:
        expected = "2 or more: a group of one has no spread" if least == 2 else "1 or more"
        raise InputError("samples", f"{arguments.samples} for {arguments.method}", expected, "raise it")
    for name in ("kl", "temperature"):
        value = getattr(arguments, name)
        if not (math.isfinite(value) and (value > 0 or name == "kl" and value == 0)):
            raise InputError(name, f"{value:g}", "a number above 0" + (", or 0" if name == "kl" else ""), "correct it")
    if model.adapter_targets and not model.adapter_rank:
        raise InputError("adapter_targets", "layers, and adapter_rank 0", "both", "set a rank, or leave them out")
    if data.max_text_tokens < 0:
        raise InputError("max_text_tokens", str(data.max_text_tokens), "1 or more, or 0", "correct it")
    if arguments.rewards:
        named_rewards(arguments.rewards, arguments.reward_weights, ())
    check_source(data)
    check_evaluation(arguments, data.validation_data, data.phantom_cases)


def trainer_of(pipe, asked: RunArguments, train_set, validation_set) -> ReinforceTrainer:
    """The trainer of a loaded model on the records that `open_records` gives."""
    model, processor, data, arguments = pipe.model, pipe.processor, asked.data, asked.training
    reads, takes = system_of(model).reads, model.takes()
    names = arguments.rewards or [DEFAULT_REWARDS.get(reads, "composite")]
    rewards = named_rewards(names, arguments.reward_weights, texts_of(train_set))
    length = data.max_text_tokens or model.generation_config.max_new_tokens or model.generation_config.max_length
    lay_out(model, arguments.bf16, arguments.fp16)
    model.config.statement = TEST_BENCH if data.phantom_cases else getattr(model.config, "statement", "")
    rank = asked.model.adapter_rank
    adapter = Adapter(model, rank, asked.model.adapter_targets) if rank else None
    facts = (slide_facts if reads == "slide" else chest_facts) if data.phantom_cases else None

    def scores(generated: list[str], references: list[str]) -> dict[str, float]:
        totals, _ = rewards(generated, references, [True] * len(generated))
        judged = [value for value in totals if not math.isnan(value)]
        found = facts(generated, references) if facts is not None else {}
        return found | ({"reward": sum(judged) / len(judged)} if judged else {})

    return ReinforceTrainer(
        model=model,
        args=arguments,
        data_collator=CaseCollator(processor, reads, takes, length),
        train_dataset=train_set,
        eval_dataset=validation_set if arguments.eval_strategy != "no" else None,
        processing_class=processor.tokenizer,
        compute_metrics=ReportMetrics(processor.tokenizer, asked.output / SAMPLES, scores),
        settings=Settings(arguments.method, arguments.samples, arguments.kl, arguments.temperature, length),
        rewards=rewards,
        processor=processor,
        adapter=adapter,
    )


def weights_files(model: str) -> list[Path]:
    """The start model's weights where it lies in a folder: a run is resumed from the same, or refused."""
    return sorted(Path(model).glob("*.safetensors"))


def evaluation_of(asked: RunArguments, folder: Path) -> dict:
    """Scores of the saved folder on phantoms."""
    pipe, n, data = load(folder), asked.training.evaluation_cases, asked.data
    splits = ("test", "held_back_style")
    if system_of(pipe.model).reads == "slide":
        drawn = {"seed": 1, "size": data.slide_px, "mpp": data.slide_mpp}
        return {split: evaluate_slides(pipe, n=n, split=split, **drawn) for split in splits}
    return {split: evaluate_phantom(pipe, n=n, seed=1, split=split) for split in splits}


def _described(data: DataArguments) -> str:
    return f"{data.phantom_cases} phantom cases" if data.phantom_cases else ", ".join(data.train_data)
