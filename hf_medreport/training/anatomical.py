"""The recipe of system 002: from tables of films and reports, or from the phantom; from scratch or from checkpoints.

    hf-medreport train anatomical --config examples/anatomical_phantom.yaml --output_dir runs/anatomical
    torchrun --nproc_per_node 2 examples/train_anatomical.py --config examples/anatomical_phantom.yaml

Writes `OUTPUT_DIR/MODEL_NAME` (a folder that loads anywhere, with its card), `checkpoint-N` (to resume from),
`warm-up`, `samples.jsonl` and `manifest.json`.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import ConcatDataset
from transformers import (
    AutoConfig,
    AutoTokenizer,
    set_seed,
)

from hf_medreport.data.collator import ReportCollator
from hf_medreport.data.phantom import PhantomReports, PhantomSource
from hf_medreport.data.tables import ReportDataset
from hf_medreport.evaluation.evidence import evaluate_evidence
from hf_medreport.evaluation.phantom import evaluate_phantom
from hf_medreport.files.writing import write_json
from hf_medreport.hub.card import write_card
from hf_medreport.inference.loading import load
from hf_medreport.modeling.configuration_anatomical_report import AnatomicalReportConfig
from hf_medreport.modeling.modeling_anatomical_report import AnatomicalReportForConditionalGeneration
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_anatomical_report import AnatomicalReportProcessor
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import (
    TEST_BENCH,
    ReportRecipeArguments,
    check_evaluation,
    fingerprint,
    fit,
    print_skipped,
    save_model,
    tables_of,
    texts_of,
    write_manifest,
)
from hf_medreport.training.tokenizer import train_tokenizer
from hf_medreport.training.trainer import ReportMetrics, ReportTrainer, chest_facts
from hf_medreport.training.warm_up import warm_up_encoder, warm_up_segmenter, warmed

EVIDENCE_PART = 5  # one film in so many: a map takes a gradient a sentence


@dataclass
class ModelArguments:
    """The model. Encoder and decoder are both names to load, or both mappings (in the YAML) to build from scratch."""

    encoder: str = field(default="", metadata={"help": "Folder or id; in the YAML a mapping builds from scratch."})
    decoder: str = field(default="", metadata={"help": "The same, for a GPT-2."})
    segmenter: str | None = field(
        default=None, metadata={"help": "The same, for lung and heart masks; leave out where the data has masks."}
    )
    tokenizer: str | None = field(
        default=None, metadata={"help": "Folder or id. Default: the decoder's, or one trained on the reports."}
    )
    vocabulary_size: int = field(default=512, metadata={"help": "Of a trained tokenizer; enough for the phantom."})
    image_size: int = field(default=512, metadata={"help": "Side of the film in pixels; 512 in the thesis."})
    mask_mode: str = field(default="soft", metadata={"help": "none, soft or strict."})
    bias_strength: float = field(default=1.0, metadata={"help": "Factor on the prior."})
    freeze_encoder: bool = field(default=True, metadata={"help": "The thesis never trains it."})
    freeze_decoder: bool = field(default=False)
    position_expansion: str = field(default="linear", metadata={"help": "linear, copy_last or zeros."})


@dataclass
class DataArguments:
    """The data: tables of films and reports, or the phantom."""

    train_data: list[str] = field(default_factory=list, metadata={"help": "CSV, JSONL, Parquet or datasets folders."})
    train_weights: list[float] | None = field(
        default=None, metadata={"help": "How often each table is drawn; the thesis: MIMIC-CXR 0.7, CheXpert Plus 0.3."}
    )
    validation_data: str | None = field(default=None, metadata={"help": "One table."})
    image_column: str = "image"
    text_column: str = "text"
    mask_column: str | None = None
    phantom_films: int = field(default=0, metadata={"help": "Draw so many training films instead of reading tables."})
    phantom_validation_films: int = 100
    phantom_seed: int = 0
    max_text_tokens: int = field(
        default=100, metadata={"help": "Longer reports are cut; 100 new tokens in the thesis."}
    )
    skip_bad_rows: bool = field(default=False, metadata={"help": "Leave bad rows out and count them; else stop."})


@dataclass
class RecipeArguments(ReportRecipeArguments):
    """Trainer's arguments with defaults for reports, and the warm-up."""

    output_dir: str = "runs/anatomical"
    segmenter_steps: int = field(default=0, metadata={"help": "Warm-up of the segmenter; phantom only."})
    encoder_steps: int = field(default=0, metadata={"help": "Warm-up of the encoder on findings; phantom only."})
    warm_up_folder: str | None = field(
        default=None,
        metadata={"help": "Where warmed-up weights are kept and found again. Default: OUTPUT_DIR/warm-up."},
    )
    warm_up_batch_size: int = 32
    warm_up_rate: float = 2e-3
    evaluation_films: int = field(default=500, metadata={"help": "Phantom films that the card's figures come from."})


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model_arguments, data_arguments, arguments = read_arguments(
        (ModelArguments, DataArguments, RecipeArguments), config, flags
    )
    check_arguments(model_arguments, data_arguments, arguments)
    set_seed(arguments.seed)
    train_set, validation_set, weights = load_data(model_arguments, data_arguments)
    model, processor = build(model_arguments, train_set)
    lay_out(model, arguments.bf16, arguments.fp16)
    model.config.statement = TEST_BENCH if data_arguments.phantom_films else ""
    output = Path(arguments.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    settings = [model_arguments.encoder, model_arguments.segmenter, model_arguments.image_size]
    settings += [data_arguments.phantom_films, data_arguments.phantom_seed]
    warm_up(model, processor, train_set, arguments, Path(arguments.warm_up_folder or output / "warm-up"), settings)

    model.generation_config.max_new_tokens = data_arguments.max_text_tokens
    samples = output / "samples.jsonl"
    facts = chest_facts if data_arguments.phantom_films else None
    trainer = ReportTrainer(
        model=model,
        args=arguments,
        data_collator=ReportCollator(processor, data_arguments.max_text_tokens),
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=processor.tokenizer,
        compute_metrics=ReportMetrics(processor.tokenizer, samples, facts),
        sample_weights=weights,
    )
    if trainer.is_world_process_zero():
        write_manifest(output, len(train_set), tables_of(data_arguments), model_arguments, data_arguments, arguments)
    metrics = fit(trainer)
    if trainer.is_world_process_zero():
        folder = output / arguments.model_name
        trained = trainer.accelerator.unwrap_model(trainer.model)
        generation = {"max_new_tokens": data_arguments.max_text_tokens}
        save_model(trained, processor, folder, arguments.half_precision_weights, **generation)
        write_evaluation(folder, model_arguments, data_arguments, arguments, config)
        metrics["model"] = str(folder)
    return metrics


def check_arguments(model: ModelArguments, data: DataArguments, arguments: RecipeArguments) -> None:
    """Refuse, before any work, arguments that do not go together."""
    if bool(data.phantom_films) == bool(data.train_data):
        found = "both" if data.train_data else "neither"
        raise InputError("train_data, phantom_films", found, "one of them", "name tables, or draw phantom films")
    if arguments.segmenter_steps + arguments.encoder_steps and not data.phantom_films:
        raise InputError("segmenter_steps, encoder_steps", "a warm-up on tables", "phantom_films", "set both to 0")
    if arguments.segmenter_steps and not model.segmenter:
        raise InputError("segmenter_steps", "no segmenter to warm up", "a segmenter", "name one or set it to 0")
    if model.mask_mode != "none" and not (model.segmenter or (data.mask_column and data.train_data)):
        found = f"mask_mode '{model.mask_mode}' and no masks"
        raise InputError("mask_column, segmenter", found, "one of them", "name it, or set mask_mode to none")
    check_evaluation(arguments, data.validation_data, data.phantom_films)


def load_data(model: ModelArguments, data: DataArguments) -> tuple:
    """Training set, validation set or None, and the weight of each training record or None."""
    if data.phantom_films:
        source = {"seed": data.phantom_seed, "size": model.image_size}
        training = PhantomReports(PhantomSource(data.phantom_films, **source))
        return (
            training,
            PhantomReports(PhantomSource(data.phantom_validation_films, **source, split="validation")),
            None,
        )

    columns = {
        "image_column": data.image_column,
        "text_column": data.text_column,
        "mask_column": data.mask_column if model.mask_mode != "none" else None,  # not read where it is not used
        "on_bad": "skip" if data.skip_bad_rows else "raise",
    }
    tables = [ReportDataset(path, **columns) for path in data.train_data]
    validation = ReportDataset(data.validation_data, **columns) if data.validation_data else None
    print_skipped([*tables, *([validation] if validation else [])])
    if data.train_weights is None:
        return ConcatDataset(tables), validation, None
    if len(data.train_weights) != len(tables):
        found = f"{len(data.train_weights)} weights for {len(tables)} tables"
        raise InputError("train_weights", found, "one weight a table", "give as many weights as tables")
    pairs = zip(tables, data.train_weights, strict=True)
    return (
        ConcatDataset(tables),
        validation,
        [weight / len(table) for table, weight in pairs for _ in range(len(table))],
    )


def build(arguments: ModelArguments, train_set) -> tuple:
    """Model and processor."""
    settings = {
        "image_size": arguments.image_size,
        "mask_mode": arguments.mask_mode,
        "bias_strength": arguments.bias_strength,
        "freeze_encoder": arguments.freeze_encoder,
        "freeze_decoder": arguments.freeze_decoder,
    }
    parts = (arguments.encoder, arguments.decoder)
    if all(isinstance(part, str) for part in parts):
        try:
            tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer or arguments.decoder)
            model = AnatomicalReportForConditionalGeneration.from_encoder_decoder_pretrained(
                *parts, arguments.segmenter, arguments.position_expansion, **settings
            )
        except OSError as error:
            found = f"'{arguments.encoder}' and '{arguments.decoder}', of which one does not load"
            remedy = "check the names, or go online"
            raise InputError("encoder, decoder", found, "folders or repository ids", remedy) from error
    elif all(isinstance(part, dict) for part in parts):
        if arguments.tokenizer:
            tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
        else:
            tokenizer = train_tokenizer(texts_of(train_set), arguments.vocabulary_size)
        ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokenizer.eos_token_id)
        encoder = AutoConfig.for_model(**{"model_type": "dinov3_vit", **arguments.encoder})
        decoder = {**arguments.decoder, "vocab_size": len(tokenizer), **ends}
        config = AnatomicalReportConfig(encoder=encoder, decoder=decoder, segmenter=arguments.segmenter, **settings)
        model = AnatomicalReportForConditionalGeneration(config)
    else:
        raise InputError("encoder, decoder", "a name and a configuration", "two names or two configurations", "choose")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, AnatomicalReportProcessor(FilmImageProcessor(arguments.image_size), tokenizer)


def warm_up(model, processor, records, arguments: RecipeArguments, folder: Path, settings: list) -> None:
    """Warm segmenter and encoder up, or take what an earlier run of the same settings left in `folder`."""
    batch_size, rate, seed = arguments.warm_up_batch_size, arguments.warm_up_rate, arguments.seed
    key = fingerprint([*settings, batch_size, rate, arguments.bf16, seed])

    def see(indices: list[int]) -> torch.Tensor:
        pixels = processor.image_processor([records[i]["image"] for i in indices], return_tensors="pt")["pixel_values"]
        return model.encoder(pixels).last_hidden_state.flatten(1)

    steps = arguments.segmenter_steps
    if steps:
        train_segmenter = partial(warm_up_segmenter, model.segmenter, records, processor, steps, batch_size, rate, seed)
        warmed(model.segmenter, folder / f"segmenter-{steps}-{key}.safetensors", train_segmenter, seed)
    steps = arguments.encoder_steps
    if steps:
        train_encoder = partial(
            warm_up_encoder, model.encoder, see, records, steps, batch_size, rate, seed, arguments.bf16
        )
        warmed(model.encoder, folder / f"encoder-{steps}-{key}.safetensors", train_encoder, seed)
    set_seed(seed)


def write_evaluation(folder: Path, model, data: DataArguments, arguments: RecipeArguments, config: str | None) -> None:
    """Score the saved folder on phantom films, where it was trained on them, and write its card from the scores."""
    evaluation = {}
    if data.phantom_films:
        pipe, n = load(folder), arguments.evaluation_films
        for split in ("test", "held_back_style"):
            evaluation[split] = evaluate_phantom(pipe, n=n, seed=1, split=split)
        balanced = evaluate_phantom(pipe, n=n, seed=1, prevalence="balanced")
        balanced["evidence"] = evaluate_evidence(pipe, n=max(1, n // EVIDENCE_PART), seed=1)
        evaluation["test, balanced"] = balanced
        write_json(folder / "evaluation.json", evaluation)
    scratch = isinstance(model.encoder, dict)
    write_card(
        folder,
        evaluation,
        model_name=arguments.model_name,
        base="random weights" if scratch else f"{model.encoder} and {model.decoder}",
        data=f"{data.phantom_films} phantom films" if data.phantom_films else ", ".join(data.train_data),
        command=f"hf-medreport train anatomical --config {config}",
    )
