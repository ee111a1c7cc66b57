"""The recipe of RadScribe: from films with reports and labels, or from the phantom.

    hf-medreport train radscribe --config examples/radscribe_phantom.yaml --output_dir runs/radscribe
    torchrun --nproc_per_node 2 examples/train.py radscribe --config examples/radscribe_phantom.yaml

A YAML with the original's keys is taken as it is, see `radscribe_yaml`. Writes `OUTPUT_DIR/MODEL_NAME` (a folder that
loads anywhere, with its card), `checkpoint-N` (to resume from), `warm-up`, `samples.jsonl` and `manifest.json`.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from transformers import set_seed

from hf_medreport.data.collator import LabeledCollator
from hf_medreport.evaluation.phantom.films import evaluate_phantom
from hf_medreport.inference.loading import load
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe.build import ModelArguments, build
from hf_medreport.systems.radscribe.data import DataArguments, check_data, inputs_of, labels_of, load_data
from hf_medreport.systems.radscribe.decode_schedule import DecodeByEpoch
from hf_medreport.systems.radscribe.freezing import FreezingByEpoch
from hf_medreport.systems.radscribe.original.metrics import OriginalFigures
from hf_medreport.systems.radscribe.original.yaml import is_radscribe_yaml, translated
from hf_medreport.systems.radscribe.trainer import RadScribeTrainer
from hf_medreport.systems.radscribe.two_rates import GroupRates
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import (
    SAMPLES,
    TEST_BENCH,
    RunArguments,
    WarmUpArguments,
    check_evaluation,
    finish,
    fit,
    from_names,
)
from hf_medreport.training.report_metrics import ReportMetrics, chest_facts
from hf_medreport.training.warm_up import warm_up, warm_up_encoder


@dataclass
class RecipeArguments(WarmUpArguments):
    """Trainer's arguments with defaults for reports, two rates, phases of freezing, and the warm-up."""

    output_dir: str = "runs/radscribe"
    encoder_lr: float = field(default=5e-5, metadata={"help": "Highest rate of the encoder."})
    encoder_min_lr: float = 1e-5
    encoder_weight_decay: float = 0.01
    encoder_warmup_rate: float = field(default=0.1, metadata={"help": "Share of the updates in which it climbs."})
    decoder_lr: float = field(default=1e-4, metadata={"help": "Highest rate of the decoder."})
    decoder_min_lr: float = 2e-5
    decoder_weight_decay: float = 0.005
    decoder_warmup_rate: float = 0.1
    early_stopping_threshold: float = 0.001
    finetune: bool = field(default=False, metadata={"help": "Train the image encoder's tail alone, then BERT too."})
    encoder_freeze_epoch: int = field(default=0, metadata={"help": "With finetune: when BERT is trained too."})
    decode_schedule: bool = field(default=False, metadata={"help": "Generate as the original does, by epoch."})
    concepts: str | None = field(default=None, metadata={"help": "Table of a concept linker, for CLINICAL_ figures."})
    encoder_steps: int = field(default=0, metadata={"help": "Warm-up of the image encoder on findings; phantom only."})

    def rates(self) -> tuple[GroupRates, GroupRates]:
        """Of the encoder, of the decoder; InputError names the field of a rate that cannot be."""
        return self._rates("encoder"), self._rates("decoder")

    def _rates(self, part: str) -> GroupRates:
        fields = ("lr", "min_lr", "weight_decay", "warmup_rate")
        try:
            return GroupRates(**{name: getattr(self, f"{part}_{name}") for name in fields})
        except InputError as error:
            raise InputError(f"{part}_{error.name}", error.found, error.expected, error.remedy) from error


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model_arguments, data_arguments, arguments = read_arguments(
        (ModelArguments, DataArguments, RecipeArguments), config, flags, translate=ours
    )
    check_arguments(model_arguments, data_arguments, arguments)
    asked = RunArguments("radscribe", config, model_arguments, data_arguments, arguments)
    rates, callbacks = arguments.rates(), callbacks_of(arguments)
    set_seed(arguments.seed)
    train_set, validation_set, weights = load_data(
        data_arguments, model_arguments.image_size or 512, arguments.eval_strategy != "no"
    )
    model, processor = build(model_arguments, train_set)
    label_mode = model.config.encoder.label_mode
    check_labels(train_set, validation_set, label_mode)
    lay_out(model, arguments.bf16, arguments.fp16)
    if data_arguments.phantom_cases:
        model.config.statement = TEST_BENCH
    asked.output.mkdir(parents=True, exist_ok=True)
    if arguments.encoder_steps:
        learn_to_see(model, processor, train_set, asked)

    generation = {"max_new_tokens": data_arguments.max_text_tokens}
    model.generation_config.update(**generation)
    scores = metrics_of(processor, data_arguments, arguments, label_mode)
    trainer = RadScribeTrainer(
        model=model,
        args=arguments,
        data_collator=LabeledCollator(processor, label_mode, data_arguments.max_text_tokens),
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=processor.tokenizer,
        compute_metrics=ReportMetrics(processor.tokenizer, asked.output / SAMPLES, scores),
        sample_weights=weights,
        rates=rates,
        callbacks=callbacks,
    )
    metrics = fit(trainer, asked, inputs_of(data_arguments))
    trained = trainer.accelerator.unwrap_model(trainer.model)
    evaluate = partial(evaluation_of, asked)
    return finish(trainer, asked, metrics, trained, processor, evaluate, described(asked), generation)


def ours(values: dict) -> dict:
    """What a YAML holds, in our names."""
    return translated(values) if is_radscribe_yaml(values) else values


def check_arguments(model: ModelArguments, data: DataArguments, arguments: RecipeArguments) -> None:
    """Refuse, before any work, arguments that do not go together."""
    check_data(data)
    if not model.model:
        from_names(encoder=model.encoder, decoder=model.decoder)
    if arguments.encoder_steps and not data.phantom_cases:
        raise InputError("encoder_steps", "a warm-up on tables", "phantom_cases", "set it to 0")
    if arguments.encoder_freeze_epoch and not arguments.finetune:
        found = f"{arguments.encoder_freeze_epoch} without finetune"
        raise InputError("encoder_freeze_epoch", found, "finetune", "switch finetune on, or leave it out")
    if arguments.concepts and not Path(arguments.concepts).is_file():
        raise InputError("concepts", f"no file {Path(arguments.concepts).name}", "a table", "check the path")
    check_evaluation(arguments, data.validation_data, data.phantom_cases)


def check_labels(train_set, validation_set, label_mode: str) -> None:
    """Refuse a label mode whose labels the data does not have."""
    if label_mode == "none":
        return
    told = label_mode == "oracle"
    for name, records in (("train_data", train_set), ("validation_data", validation_set if told else None)):
        unknown = [labels is None for labels in labels_of(records)] if records is not None else []
        if any(unknown) if told else (unknown and all(unknown)):
            found = f"{sum(unknown)} of {len(unknown)} records without labels, and label_mode {label_mode}"
            expected = "labels of all" if told else "labels of some"
            raise InputError(name, found, expected, "name labels_column, or set label_mode to none")


def metrics_of(processor, data: DataArguments, arguments: RecipeArguments, label_mode: str):
    """What validation scores beside BLEU: facts of phantoms, the original's figures under its names, and the flag
    `oracle_labels` where they are of a model that is given labels of the very references."""
    original = OriginalFigures(processor.tokenizer, arguments.concepts)
    told = {"oracle_labels": 1.0} if label_mode == "oracle" else {}

    def scores(generated: list[str], references: list[str]) -> dict[str, float]:
        facts = chest_facts(generated, references) if data.phantom_cases else {}
        return told | facts | original(generated, references)

    return scores


def callbacks_of(arguments: RecipeArguments) -> list:
    """Phases of freezing and the schedule of decoding, where they are asked for."""
    callbacks = [FreezingByEpoch(arguments.encoder_freeze_epoch)] if arguments.finetune else []
    return callbacks + ([DecodeByEpoch(arguments)] if arguments.decode_schedule else [])


def learn_to_see(model, processor, records, asked: RunArguments) -> None:
    """Warm the image encoder up."""
    encoder, config = model.encoder.image_encoder, model.config.encoder

    def see(indices: list[int]) -> torch.Tensor:
        films = processor.image_processor([records[index]["image"] for index in indices], return_tensors="pt")
        features, _ = model.encoder.image_features(films["pixel_values"])
        return encoder.tokens(features)[0]

    settings = [config.image_encoder, config.image_encoder_sizes, config.image_size, config.num_image_embeds]
    stage = partial(warm_up_encoder, encoder, see, records, bf16=asked.training.bf16)
    model.eval()
    warm_up({"encoder": (encoder, stage)}, [*settings, processor.image_processor.fit], asked)


def evaluation_of(asked: RunArguments, folder: Path) -> dict:
    """Scores of the saved folder on phantom films."""
    pipe, n = load(folder), asked.training.evaluation_cases
    return {split: evaluate_phantom(pipe, n=n, seed=1, split=split) for split in ("test", "held_back_style")}


def described(asked: RunArguments) -> dict:
    """What the card says the model was made of."""
    model, data = asked.model, asked.data
    parts = "random weights" if isinstance(model.encoder, dict) else f"{model.encoder} and {model.decoder}"
    return {
        "base": model.model or parts,
        "data": f"{data.phantom_cases} phantom films" if data.phantom_cases else ", ".join(data.train_data),
    }
