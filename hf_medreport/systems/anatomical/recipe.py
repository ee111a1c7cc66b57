"""The recipe of layer-wise anatomical attention: from tables of films or the phantom, from scratch or from checkpoints.

    hf-medreport train anatomical --config examples/anatomical_phantom.yaml --output_dir runs/anatomical
    torchrun --nproc_per_node 2 examples/train.py anatomical --config examples/anatomical_phantom.yaml

Writes `OUTPUT_DIR/MODEL_NAME` (a folder that loads anywhere, with its card), `checkpoint-N` (to resume from),
`warm-up`, `samples.jsonl` and `manifest.json`.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import ConcatDataset
from transformers import AutoConfig, AutoTokenizer, set_seed

from hf_medreport.data.collator import ReportCollator
from hf_medreport.data.drawn.films import PhantomReports, PhantomSource
from hf_medreport.data.tables import ReportDataset
from hf_medreport.evaluation.phantom.evidence import evaluate_evidence
from hf_medreport.evaluation.phantom.films import evaluate_phantom
from hf_medreport.inference.loading import load
from hf_medreport.modeling.configuration_anatomical_report import AnatomicalReportConfig
from hf_medreport.modeling.modeling_anatomical_report import AnatomicalReportForConditionalGeneration
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_anatomical_report import AnatomicalReportProcessor
from hf_medreport.registry import register_auto_classes
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.going_on import as_loaded, check_kind, given_names
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import (
    SAMPLES,
    TEST_BENCH,
    FilmDataArguments,
    RunArguments,
    WarmUpArguments,
    check_evaluation,
    check_source,
    finish,
    fit,
    from_names,
    loading,
    log_skipped,
    tables_of,
    texts_of,
)
from hf_medreport.training.report_metrics import ReportMetrics, chest_facts
from hf_medreport.training.tokenizer import train_tokenizer
from hf_medreport.training.trainer import ReportTrainer
from hf_medreport.training.warm_up import warm_up, warm_up_encoder, warm_up_segmenter

# Of the model's arguments: what its configuration has under the same name.
SETTINGS = ("image_size", "mask_mode", "bias_strength", "freeze_encoder", "freeze_decoder")
EVIDENCE_PART = 5  # one film in so many: a map takes a gradient a sentence


@dataclass
class ModelArguments:
    """The model: one to go on from, or encoder and decoder, both names to load or both mappings (in the YAML) to build
    from scratch."""

    model: str | None = field(
        default=None,
        metadata={
            "help": "Folder or id of a trained one to go on from; encoder, decoder, segmenter, tokenizer are its own."
        },
    )
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
class DataArguments(FilmDataArguments):
    """The data: tables of films and reports, or the phantom."""

    train_weights: list[float] | None = field(
        default=None, metadata={"help": "How often each table is drawn; the thesis: MIMIC-CXR 0.7, CheXpert Plus 0.3."}
    )
    image_column: str = "image"
    text_column: str = "text"
    mask_column: str | None = None
    max_text_tokens: int = field(
        default=100, metadata={"help": "Longer reports are cut; 100 new tokens in the thesis."}
    )


@dataclass
class RecipeArguments(WarmUpArguments):
    """Trainer's arguments with defaults for reports, and the warm-up."""

    output_dir: str = "runs/anatomical"
    segmenter_steps: int = field(default=0, metadata={"help": "Warm-up of the segmenter; phantom only."})


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model_arguments, data_arguments, arguments = read_arguments(
        (ModelArguments, DataArguments, RecipeArguments), config, flags
    )
    if model_arguments.model:
        model_arguments = of_model(model_arguments, given_names(config, flags))
    check_arguments(model_arguments, data_arguments, arguments)
    asked = RunArguments("anatomical", config, model_arguments, data_arguments, arguments)
    set_seed(arguments.seed)
    train_set, validation_set, weights = load_data(model_arguments, data_arguments)
    model, processor = build(model_arguments, train_set)
    lay_out(model, arguments.bf16, arguments.fp16)
    model.config.statement = TEST_BENCH if data_arguments.phantom_cases else ""
    asked.output.mkdir(parents=True, exist_ok=True)
    learn_to_see(model, processor, train_set, asked)

    generation = {"max_new_tokens": data_arguments.max_text_tokens}
    model.generation_config.update(**generation)
    facts = chest_facts if data_arguments.phantom_cases else None
    trainer = ReportTrainer(
        model=model,
        args=arguments,
        data_collator=ReportCollator(processor, data_arguments.max_text_tokens),
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=processor.tokenizer,
        compute_metrics=ReportMetrics(processor.tokenizer, asked.output / SAMPLES, facts),
        sample_weights=weights,
    )
    metrics = fit(trainer, asked, tables_of(data_arguments))
    trained = trainer.accelerator.unwrap_model(trainer.model)
    evaluate = partial(evaluation_of, asked)
    return finish(trainer, asked, metrics, trained, processor, evaluate, described(asked), generation)


def check_arguments(model: ModelArguments, data: DataArguments, arguments: RecipeArguments) -> None:
    """Refuse, before any work, arguments that do not go together."""
    check_source(data)
    if not model.model:
        from_names(encoder=model.encoder, decoder=model.decoder)
    if arguments.segmenter_steps + arguments.encoder_steps and not data.phantom_cases:
        raise InputError("segmenter_steps, encoder_steps", "a warm-up on tables", "phantom_cases", "set both to 0")
    if arguments.segmenter_steps and not model.segmenter:
        raise InputError("segmenter_steps", "no segmenter to warm up", "a segmenter", "name one or set it to 0")
    if model.mask_mode != "none" and not (model.segmenter or (data.mask_column and data.train_data)):
        found = f"mask_mode '{model.mask_mode}' and no masks"
        raise InputError("mask_column, segmenter", found, "one of them", "name it, or set mask_mode to none")
    check_evaluation(arguments, data.validation_data, data.phantom_cases)


def load_data(model: ModelArguments, data: DataArguments) -> tuple:
    """Training set, validation set or None, and the weight of each training record or None."""
    if data.phantom_cases:
        source = {"seed": data.phantom_seed, "size": model.image_size}
        validation = PhantomSource(data.phantom_validation_cases, **source, split="validation")
        return PhantomReports(PhantomSource(data.phantom_cases, **source)), PhantomReports(validation), None

    columns = {
        "image_column": data.image_column,
        "text_column": data.text_column,
        "mask_column": data.mask_column if model.mask_mode != "none" else None,  # not read where it is not used
        "on_bad": "skip" if data.skip_bad_rows else "raise",
        **data.of_films,
    }
    tables = [ReportDataset(path, **columns) for path in data.train_data]
    validation = ReportDataset(data.validation_data, **columns) if data.validation_data else None
    log_skipped([*tables, *([validation] if validation else [])])
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


def of_model(arguments: ModelArguments, given: set[str]) -> ModelArguments:
    """The arguments of a model that is gone on from: what is not `given` is as it has it."""
    register_auto_classes()
    with loading(model=arguments.model):
        check_kind("model", arguments.model, ("anatomical_report",))
        config = AnatomicalReportConfig.from_pretrained(arguments.model)
    loaded = {name: getattr(config, name) for name in SETTINGS}
    loaded["segmenter"] = config.segmenter and config.segmenter.to_dict()
    return as_loaded(arguments, given - {"segmenter"}, loaded, ("image_size",))


def build(arguments: ModelArguments, train_set) -> tuple:
    """Model and processor."""
    settings = {name: getattr(arguments, name) for name in SETTINGS}
    if arguments.model:
        with loading(model=arguments.model):
            processor = AnatomicalReportProcessor.from_pretrained(arguments.model)
            config = AnatomicalReportConfig.from_pretrained(arguments.model, **settings)
            model = AnatomicalReportForConditionalGeneration.from_pretrained(
                arguments.model, config=config, dtype=torch.float32
            )
        return model, processor
    parts = {"encoder": arguments.encoder, "decoder": arguments.decoder}
    if from_names(**parts):
        with loading(**parts):
            tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer or arguments.decoder)
            model = AnatomicalReportForConditionalGeneration.from_encoder_decoder_pretrained(
                *parts.values(), arguments.segmenter, arguments.position_expansion, **settings
            )
    else:
        if arguments.tokenizer:
            tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
        else:
            tokenizer = train_tokenizer(texts_of(train_set), arguments.vocabulary_size)
        ends = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), tokenizer.eos_token_id)
        encoder = AutoConfig.for_model(**{"model_type": "dinov3_vit", **arguments.encoder})
        decoder = {**arguments.decoder, "vocab_size": len(tokenizer), **ends}
        config = AnatomicalReportConfig(encoder=encoder, decoder=decoder, segmenter=arguments.segmenter, **settings)
        model = AnatomicalReportForConditionalGeneration(config)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, AnatomicalReportProcessor(FilmImageProcessor(arguments.image_size), tokenizer)


def learn_to_see(model, processor, records, asked: RunArguments) -> None:
    """Warm segmenter and encoder up."""

    def see(indices: list[int]) -> torch.Tensor:
        pixels = processor.image_processor([records[i]["image"] for i in indices], return_tensors="pt")["pixel_values"]
        return model.encoder(pixels).last_hidden_state.flatten(1)

    bf16 = asked.training.bf16
    stages = {
        "segmenter": (model.segmenter, partial(warm_up_segmenter, model.segmenter, records, processor)),
        "encoder": (model.encoder, partial(warm_up_encoder, model.encoder, see, records, bf16=bf16)),
    }
    begun_from = [asked.model.model] if asked.model.model else []
    names = ("encoder", "segmenter", "image_size")
    warm_up(stages, [*begun_from, *(getattr(asked.model, name) for name in names)], asked)


def evaluation_of(asked: RunArguments, folder: Path) -> dict:
    """Scores of the saved folder on phantom films."""
    pipe, n = load(folder), asked.training.evaluation_cases
    evaluation = {split: evaluate_phantom(pipe, n=n, seed=1, split=split) for split in ("test", "held_back_style")}
    balanced = evaluate_phantom(pipe, n=n, seed=1, prevalence="balanced")
    balanced["evidence"] = evaluate_evidence(pipe, n=max(1, n // EVIDENCE_PART), seed=1)
    return evaluation | {"test, balanced": balanced}


def described(asked: RunArguments) -> dict:
    """What the card says the model was made of."""
    model, data = asked.model, asked.data
    parts = "random weights" if isinstance(model.encoder, dict) else f"{model.encoder} and {model.decoder}"
    return {
        "base": model.model or parts,
        "data": f"{data.phantom_cases} phantom films" if data.phantom_cases else ", ".join(data.train_data),
    }
