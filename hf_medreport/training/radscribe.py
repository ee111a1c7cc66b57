"""The recipe of system 004: from films with reports and labels, or from the phantom.

    hf-medreport train radscribe --config examples/radscribe_phantom.yaml --output_dir runs/radscribe
    torchrun --nproc_per_node 2 examples/train_radscribe.py --config examples/radscribe_phantom.yaml

A YAML with the original's keys is taken as it is, see `radscribe_yaml`. Writes `OUTPUT_DIR/MODEL_NAME` (a folder that
loads anywhere, with its card), `checkpoint-N` (to resume from), `warm-up`, `samples.jsonl` and `manifest.json`.
"""

import json
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from transformers import AutoTokenizer, ViTModel, set_seed

from hf_medreport.data.collator import LabelledCollator
from hf_medreport.evaluation.phantom import evaluate_phantom
from hf_medreport.hub.card import write_card
from hf_medreport.inference.loading import load
from hf_medreport.modeling.configuration_medvill import FINDINGS, MedViLLConfig
from hf_medreport.modeling.configuration_radscribe import RadScribeConfig
from hf_medreport.modeling.modeling_radscribe import RadScribeForConditionalGeneration
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.label_text import label_text
from hf_medreport.processing.processing_medvill import film_processor
from hf_medreport.processing.processing_radscribe import RadScribeProcessor
from hf_medreport.registry import register_auto_classes
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.decode_schedule import DecodeByEpoch
from hf_medreport.training.film_reports import DataArguments, check_data, labels_of, load_data
from hf_medreport.training.radscribe_freezing import FreezingByEpoch
from hf_medreport.training.radscribe_metrics import OriginalFigures
from hf_medreport.training.radscribe_trainer import RadScribeTrainer
from hf_medreport.training.radscribe_yaml import is_radscribe_yaml, translated
from hf_medreport.training.recipe import (
    TEST_BENCH,
    ReportRecipeArguments,
    check_evaluation,
    fingerprint,
    fit,
    save_model,
    tables_of,
    texts_of,
    write_manifest,
)
from hf_medreport.training.tokenizer import train_tokenizer, train_word_pieces
from hf_medreport.training.trainer import ReportMetrics, chest_facts
from hf_medreport.training.two_rates import GroupRates
from hf_medreport.training.warm_up import warm_up_encoder, warmed

# Our names of the fields of the encoder's configuration that decide about its weights.
SIZES = {
    "image_encoder": "image_encoder",
    "image_size": "image_size",
    "num_image_embeds": "num_image_embeds",
    "max_label_tokens": "max_text_tokens",
}
MODES = ("mask_mode", "label_mode")
ENDS = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclass
class ModelArguments:
    """The model: one to go on from, or encoder and decoder, both names to load or both mappings (in the YAML) to build
    from scratch."""

    model: str | None = field(
        default=None, metadata={"help": "Folder or id of a RadScribe whose weights and tokenizers the run starts from."}
    )
    encoder: str = field(
        default="",
        metadata={"help": "Folder or id of a MedViLL (train medvill, convert medvill); in the YAML its configuration."},
    )
    decoder: str = field(default="", metadata={"help": "Folder or id of a T5; in the YAML its sizes."})
    image_weights: str | None = field(
        default=None, metadata={"help": "Folder or id of a ViT, for a MedViLL whose image encoder is a ViT at random."}
    )
    tokenizer: str | None = field(
        default=None, metadata={"help": "Folder or id. Default: the decoder's, or one trained on the reports."}
    )
    label_tokenizer: str | None = field(
        default=None, metadata={"help": "Folder or id. Default: the encoder's, or one trained on label names."}
    )
    vocabulary_size: int = field(default=512, metadata={"help": "Of a trained tokenizer of reports."})
    image_encoder: str | None = field(
        default=None,
        metadata={"help": "vit, resnet101, chexnet121 or bert_vit. Default: the loaded encoder's, or vit."},
    )
    image_size: int | None = field(default=None, metadata={"help": "Side of a film. Default: the same, or 512."})
    num_image_embeds: int | None = field(default=None, metadata={"help": "Image tokens. Default: the same, or 256."})
    max_label_tokens: int | None = field(
        default=None, metadata={"help": "Most pieces of label text. Default: the same, or 253."}
    )
    fit: str = field(default="pad", metadata={"help": "How films become squares: pad, crop or stretch."})
    mask_mode: str = field(default="full", metadata={"help": "full, bar or legacy."})
    label_mode: str = field(default="none", metadata={"help": "none, oracle or predicted."})
    label_loss_weight: float = 1.0


@dataclass
class RecipeArguments(ReportRecipeArguments):
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
    warm_up_folder: str | None = field(
        default=None,
        metadata={"help": "Where warmed-up weights are kept and found again. Default: OUTPUT_DIR/warm-up."},
    )
    warm_up_batch_size: int = 32
    warm_up_rate: float = 2e-3
    evaluation_films: int = field(default=500, metadata={"help": "Phantom films that the card's figures come from."})

    def rates(self) -> tuple[GroupRates, GroupRates]:
        """Of the encoder, of the decoder."""
        fields = ("lr", "min_lr", "weight_decay", "warmup_rate")
        encoder, decoder = (
            GroupRates(**{name: getattr(self, f"{part}_{name}") for name in fields}) for part in ("encoder", "decoder")
        )
        return encoder, decoder


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model_arguments, data_arguments, arguments = read_arguments(
        (ModelArguments, DataArguments, RecipeArguments), config, flags, translate=ours
    )
    check_arguments(data_arguments, arguments)
    rates = arguments.rates()
    set_seed(arguments.seed)
    train_set, validation_set, weights = load_data(
        data_arguments, model_arguments.image_size or 512, arguments.eval_strategy != "no"
    )
    check_labels(train_set, model_arguments.label_mode)
    model, processor = build(model_arguments, train_set)
    model.to(memory_format=torch.channels_last)  # convolutions are then several times faster in bfloat16
    model.config.statement = TEST_BENCH if data_arguments.phantom_films else ""
    output = Path(arguments.output_dir)
    output.mkdir(parents=True, exist_ok=True)
    if arguments.encoder_steps:
        warm_up(model, processor, train_set, model_arguments, data_arguments, arguments)

    generation = {"max_new_tokens": data_arguments.max_text_tokens}
    model.generation_config.update(**generation)
    trainer = RadScribeTrainer(
        model=model,
        args=arguments,
        data_collator=LabelledCollator(processor, model_arguments.label_mode, data_arguments.max_text_tokens),
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=processor.tokenizer,
        compute_metrics=ReportMetrics(
            processor.tokenizer, output / "samples.jsonl", metrics_of(processor, data_arguments, arguments)
        ),
        sample_weights=weights,
        rates=rates,
        callbacks=callbacks_of(arguments),
    )
    if trainer.is_world_process_zero():
        write_manifest(output, len(train_set), tables_of(data_arguments), model_arguments, data_arguments, arguments)
    metrics = fit(trainer)
    if trainer.is_world_process_zero():
        folder = output / arguments.model_name
        trained = trainer.accelerator.unwrap_model(trainer.model)
        save_model(trained, processor, folder, arguments.half_precision_weights, **generation)
        write_evaluation(folder, model_arguments, data_arguments, arguments, config)
        metrics["model"] = str(folder)
    return metrics


def ours(values: dict) -> dict:
    """What a YAML holds, in our names."""
    return translated(values) if is_radscribe_yaml(values) else values


def check_arguments(data: DataArguments, arguments: RecipeArguments) -> None:
    """Refuse, before any work, arguments that do not go together."""
    check_data(data)
    if arguments.encoder_steps and not data.phantom_films:
        raise InputError("encoder_steps", "a warm-up on tables", "phantom_films", "set it to 0")
    if arguments.encoder_freeze_epoch and not arguments.finetune:
        found = f"{arguments.encoder_freeze_epoch} without finetune"
        raise InputError("encoder_freeze_epoch", found, "finetune", "switch finetune on, or leave it out")
    check_evaluation(arguments, data.validation_data, data.phantom_films)


def check_labels(train_set, label_mode: str) -> None:
    """Refuse a label mode whose labels the data does not have."""
    if label_mode == "none":
        return
    unknown = [labels is None for labels in labels_of(train_set)]
    if all(unknown) or (label_mode == "oracle" and any(unknown)):
        found = f"{sum(unknown)} of {len(unknown)} records without labels"
        expected = "labels of all" if label_mode == "oracle" else "labels of some"
        raise InputError(f"label_mode {label_mode}", found, expected, "name labels_column, or set label_mode to none")


def build(arguments: ModelArguments, train_set) -> tuple:
    """Model and processor."""
    parts = (arguments.encoder, arguments.decoder)
    try:
        if arguments.model:
            return load_whole(arguments)
        if all(isinstance(part, str) and part for part in parts):
            return load_parts(arguments)
    except OSError as error:
        named = (arguments.model, *parts, arguments.image_weights)
        found = f"{', '.join(repr(name) for name in named if name)}, of which one does not load"
        remedy = "check the names, or go online"
        raise InputError("model, encoder, decoder", found, "folders or repository ids", remedy) from error
    if all(isinstance(part, dict) for part in parts):
        return from_scratch(arguments, train_set)
    kinds = ["a configuration" if isinstance(part, dict) else "a name" if part else "none" for part in parts]
    raise InputError("encoder, decoder", " and ".join(kinds), "two names or two configurations", "choose")


def load_whole(arguments: ModelArguments) -> tuple:
    """A RadScribe to go on from; its modes are the run's."""
    register_auto_classes()
    processor = RadScribeProcessor.from_pretrained(arguments.model)
    config = RadScribeConfig.from_pretrained(arguments.model)
    check_encoder(arguments.model, config.encoder, arguments)
    for name in MODES:
        setattr(config.encoder, name, getattr(arguments, name))
    return RadScribeForConditionalGeneration.from_pretrained(arguments.model, config=config), processor


def load_parts(arguments: ModelArguments) -> tuple:
    """A pretrained MedViLL, a pretrained T5 and, if one is named, a pretrained ViT in the former."""
    if (Path(arguments.encoder) / "pytorch_model.bin").is_file():
        remedy = "hf-medreport convert medvill FOLDER/pytorch_model.bin --out NEW, and name NEW"
        raise InputError("encoder", "weights of the original MedViLL", "a converted folder", remedy)
    encoder = MedViLLConfig.from_pretrained(arguments.encoder)
    check_encoder(arguments.encoder, encoder, arguments)
    films = FilmImageProcessor.from_pretrained(arguments.encoder)
    films.fit = arguments.fit
    tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer or arguments.decoder)
    label_tokenizer = AutoTokenizer.from_pretrained(arguments.label_tokenizer or arguments.encoder)
    processor = RadScribeProcessor(
        films, tokenizer, label_tokenizer, encoder.max_text_tokens, list(encoder.label_names)
    )
    changes = {name: getattr(arguments, name) for name in MODES} | processor.label_pieces()
    model = RadScribeForConditionalGeneration.from_encoder_decoder_pretrained(
        arguments.encoder,
        arguments.decoder,
        **{f"encoder_{name}": value for name, value in changes.items()},
        label_loss_weight=arguments.label_loss_weight,
    )
    if arguments.image_weights:
        if encoder.image_encoder != "vit":
            found = f"a ViT for image_encoder {encoder.image_encoder}"
            remedy = "put its weights in with hf-medreport convert medvill --image-weights"
            raise InputError("image_weights", found, "a MedViLL with a ViT", remedy)
        vit = ViTModel.from_pretrained(arguments.image_weights, add_pooling_layer=False)
        model.encoder.image_encoder.vit.load_state_dict(vit.state_dict())
    return model, processor


def check_encoder(name: str, encoder: MedViLLConfig, arguments: ModelArguments) -> None:
    """Refuse sizes that a loaded encoder does not have."""
    for ours, field_name in SIZES.items():
        given, loaded = getattr(arguments, ours), getattr(encoder, field_name)
        if given is not None and given != loaded:
            remedy = f"leave {ours} out, or load an encoder that has it"
            raise InputError(ours, f"{given} for {Path(name).name}", f"{loaded}, which it has", remedy)


def from_scratch(arguments: ModelArguments, train_set) -> tuple:
    """Random weights of the given sizes, with tokenizers of the reports where none are named."""
    sizes = {field_name: getattr(arguments, ours) for ours, field_name in SIZES.items()}
    encoder = {name: value for name, value in sizes.items() if value is not None} | arguments.encoder
    encoder |= {name: getattr(arguments, name) for name in MODES}
    names = list(encoder.get("label_names", FINDINGS))
    if arguments.tokenizer:
        tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    else:
        tokenizer = train_tokenizer(texts_of(train_set), arguments.vocabulary_size)
    if arguments.label_tokenizer:
        label_tokenizer = AutoTokenizer.from_pretrained(arguments.label_tokenizer)
    else:
        label_tokenizer = train_word_pieces([label_text(names)], vocabulary_size=arguments.vocabulary_size)
    bare = MedViLLConfig(**{**encoder, "label_mode": "none"})  # label pieces come from the processor
    films = film_processor(bare.image_encoder, bare.image_size, arguments.fit)
    processor = RadScribeProcessor(films, tokenizer, label_tokenizer, bare.max_text_tokens, names)
    of_bert = {"vocab_size": len(label_tokenizer), "pad_token_id": label_tokenizer.pad_token_id}
    encoder["bert"] = encoder.get("bert", {}) | of_bert
    encoder |= {name: getattr(label_tokenizer, name) for name in ("cls_token_id", "sep_token_id")}
    ends = {name: getattr(tokenizer, name) for name in ENDS} | {"decoder_start_token_id": tokenizer.pad_token_id}
    config = RadScribeConfig(
        encoder=encoder | processor.label_pieces(),
        decoder=arguments.decoder | ends | {"vocab_size": len(tokenizer)},
        label_loss_weight=arguments.label_loss_weight,
    )
    return RadScribeForConditionalGeneration(config), processor


def metrics_of(processor, data: DataArguments, arguments: RecipeArguments):
    """What validation scores beside BLEU: facts of phantoms, and the original's figures under its names."""
    original = OriginalFigures(processor.tokenizer, arguments.concepts)

    def scores(generated: list[str], references: list[str]) -> dict[str, float]:
        facts = chest_facts(generated, references) if data.phantom_films else {}
        return facts | original(generated, references)

    return scores


def callbacks_of(arguments: RecipeArguments) -> list:
    """Phases of freezing and the schedule of decoding, where they are asked for."""
    callbacks = [FreezingByEpoch(arguments.encoder_freeze_epoch)] if arguments.finetune else []
    return callbacks + ([DecodeByEpoch(arguments)] if arguments.decode_schedule else [])


def warm_up(model, processor, records, model_arguments: ModelArguments, data: DataArguments, arguments) -> None:
    """Warm the encoder up, BERT included, or take what an earlier run of the same settings left."""
    encoder, config = model.encoder, model.config.encoder
    settings = [config.to_dict(), data.phantom_films, data.phantom_seed, model_arguments.fit, arguments.bf16]
    settings += [arguments.seed, arguments.warm_up_batch_size, arguments.warm_up_rate]

    def see(indices: list[int]) -> torch.Tensor:
        films = processor.image_processor([records[index]["image"] for index in indices], return_tensors="pt")
        labels = processor.label_inputs([[]] * len(indices)) if config.label_mode == "oracle" else ()
        states = encoder(films["pixel_values"], *labels).last_hidden_state
        return states[:, : 1 + config.num_image_embeds].flatten(1)

    folder = Path(arguments.warm_up_folder or Path(arguments.output_dir) / "warm-up")
    options = {"steps": arguments.encoder_steps, "batch_size": arguments.warm_up_batch_size}
    options |= {"rate": arguments.warm_up_rate, "seed": arguments.seed}
    done = folder / f"encoder-{arguments.encoder_steps}-{fingerprint(settings)}.safetensors"
    stage = partial(warm_up_encoder, encoder, see, records, bf16=arguments.bf16, **options)
    model.eval()
    warmed(encoder, done, stage, arguments.seed)
    set_seed(arguments.seed)


def write_evaluation(
    folder: Path, model: ModelArguments, data: DataArguments, arguments: RecipeArguments, config: str | None
) -> None:
    """Score the saved folder on phantom films, where it was trained on them, and write its card from the scores."""
    evaluation = {}
    if data.phantom_films:
        pipe, n = load(folder), arguments.evaluation_films
        for split in ("test", "held_back_style"):
            evaluation[split] = evaluate_phantom(pipe, n=n, seed=1, split=split)
        (folder / "evaluation.json").write_text(json.dumps(evaluation, indent=2) + "\n", encoding="utf-8")
    write_model_card(folder, evaluation, model, data, arguments, config)


def write_model_card(
    folder: Path, evaluation: dict, model: ModelArguments, data: DataArguments, arguments, config, tables=None
) -> None:
    """The card of a folder that this recipe made; `tables` as in `write_card`."""
    scratch = isinstance(model.encoder, dict)
    write_card(
        folder,
        evaluation,
        model_name=arguments.model_name,
        base="random weights" if scratch else f"{model.encoder} and {model.decoder}",
        data=f"{data.phantom_films} phantom films" if data.phantom_films else ", ".join(data.train_data),
        command=f"hf-medreport train radscribe --config {config}",
        tables=tables,
    )
