"""The recipe of HistGen: from feature files and reports, or from phantom slides; from scratch or from a checkpoint.

    hf-medreport train histgen --config examples/histgen_phantom.yaml
    hf-medreport train histgen --config examples/histgen_paper.yaml --annotation annotation.json --features dinov2_vitl

Writes `OUTPUT_DIR/MODEL_NAME` (a folder that loads anywhere, with its card and, where there is one, its patch encoder),
`checkpoint-N` (to resume from), `samples.jsonl` and `manifest.json`; from phantom slides also `patch_encoder-HASH` and
`bags-HASH`, which a resumed run finds again.
"""

import copy
import logging
import math
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, set_seed

from hf_medreport.data.collator import SlideReportCollator
from hf_medreport.data.drawn.bags import draw_bags, draw_tiles
from hf_medreport.data.slide_reports import SlideReports, ThinnedBags
from hf_medreport.evaluation.phantom.faithfulness import evaluate_faithfulness
from hf_medreport.evaluation.phantom.slides import evaluate_slides
from hf_medreport.files.writing import sha256
from hf_medreport.inference.loading import load
from hf_medreport.modeling.configuration_histgen import HistGenConfig
from hf_medreport.modeling.modeling_histgen import HistGenForConditionalGeneration
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.phantom.slide.grammar import write_slide_report
from hf_medreport.processing.feature_origin import KEYS, refuse_foreign
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import PatchEncoder, weights_revision
from hf_medreport.processing.processing_histgen import OWN_ENCODER, HistGenProcessor
from hf_medreport.systems.histgen.tokenizer import legacy_tokenizer, legacy_vocabulary
from hf_medreport.systems.histgen.train_patch_encoder import train_patch_encoder
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.recipe import (
    SAMPLES,
    TEST_BENCH,
    ReportDataArguments,
    ReportRecipeArguments,
    RunArguments,
    check_evaluation,
    fingerprint,
    finish,
    fit,
)
from hf_medreport.training.report_metrics import ReportMetrics, slide_facts
from hf_medreport.training.tokenizer import train_tokenizer
from hf_medreport.training.trainer import ReportTrainer

logger = logging.getLogger(__name__)

EVIDENCE_PART = 2  # one slide in so many: a map takes a gradient a sentence
LEGACY = "histgen"  # the name of the original's word-level tokenizer


@dataclass
class ModelArguments:
    """The model: a folder or id to go on from, or (in the YAML) a mapping of sizes to build from scratch."""

    model: str = field(default="", metadata={"help": "Folder or id; in the YAML a mapping of HistGenConfig's fields."})
    tokenizer: str | None = field(
        default=None,
        metadata={"help": f"Folder or id; '{LEGACY}' for the original's. Default: trained on the reports."},
    )
    vocabulary_size: int = field(default=4096, metadata={"help": "Of a trained tokenizer."})
    threshold: int = field(default=10, metadata={"help": f"Of '{LEGACY}': how often a word occurs; 10 as published."})
    patch_encoder: str | None = field(
        default=None,
        metadata={"help": "Folder, saved with the model; in the YAML a configuration to train on phantom tiles."},
    )
    tiles: str | None = field(
        default=None, metadata={"help": "In the YAML: TileImageProcessor's settings. Default: the original's."}
    )


@dataclass
class DataArguments(ReportDataArguments):
    """The data: an annotation with a folder of features, tables of feature files, or phantom slides."""

    annotation: str | None = field(default=None, metadata={"help": "HistGen's annotation.json."})
    features: str | None = field(default=None, metadata={"help": "Folder of the annotation's feature files."})
    train_data: list[str] = field(default_factory=list, metadata={"help": "CSV, JSONL or Parquet tables."})
    features_column: str = "features"
    allow_foreign_features: bool = field(
        default=False, metadata={"help": "Also features of several encoders, resolutions or sizes of tiles."}
    )
    text_column: str = "text"
    phantom_validation_cases: int = 60
    phantom_wordings: int = field(default=4, metadata={"help": "Reports a drawn slide is worded in."})
    slide_px: int = field(default=2048, metadata={"help": "Side of a drawn slide."})
    slide_mpp: float = field(default=1.0, metadata={"help": "Microns a px of a drawn slide."})
    drawing_processes: int | None = field(default=None, metadata={"help": "That draw slides. Default: one a core."})
    max_text_tokens: int = field(default=100, metadata={"help": "Longer reports are cut; 100 as published."})
    keep_patches: float = field(
        default=1.0, metadata={"help": "Smallest share of a bag's patches that a training step may see."}
    )


@dataclass
class RecipeArguments(ReportRecipeArguments):
    """Trainer's arguments with defaults for reports, the patch encoder's training, and the published optimizer."""

    output_dir: str = "runs/histgen"
    encoder_slides: int = field(default=300, metadata={"help": "Drawn slides whose tiles teach the patch encoder."})
    encoder_steps: int = 0
    encoder_batch_size: int = 128
    encoder_rate: float = 2e-3
    published_optimizer: bool = field(
        default=False, metadata={"help": "Adam with L2 and amsgrad, gradients cut by value, x 0.8 each epoch."}
    )
    evaluation_cases: int = field(default=200, metadata={"help": "Drawn slides that the card's figures come from."})

    def __post_init__(self):
        if self.generation_num_beams is None:
            self.generation_num_beams = 3  # as published
        super().__post_init__()


class HistGenTrainer(ReportTrainer):
    """Adds the optimizer of the published script."""

    GRADIENT_VALUE, GAMMA = 0.1, 0.8

    def create_optimizer(self, model=None):
        if self.args.published_optimizer and self.optimizer is None:
            parameters = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            self.optimizer = torch.optim.Adam(
                parameters, lr=self.args.learning_rate, weight_decay=self.args.weight_decay, amsgrad=True
            )
            self.optimizer.register_step_pre_hook(
                lambda *_: torch.nn.utils.clip_grad_value_(parameters, self.GRADIENT_VALUE)
            )
        return super().create_optimizer()

    def create_scheduler(self, num_training_steps, optimizer=None):
        if self.args.published_optimizer and self.lr_scheduler is None:
            steps = math.ceil(num_training_steps / max(1, math.ceil(self.args.num_train_epochs)))
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer, lambda step: self.GAMMA ** (step // steps)
            )
        return super().create_scheduler(num_training_steps, optimizer)


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model_arguments, data_arguments, arguments = read_arguments(
        (ModelArguments, DataArguments, RecipeArguments), config, flags
    )
    check_arguments(model_arguments, data_arguments, arguments)
    asked = RunArguments("histgen", config, model_arguments, data_arguments, arguments)
    set_seed(arguments.seed)
    asked.output.mkdir(parents=True, exist_ok=True)
    tiles = TileImageProcessor(**(model_arguments.tiles or {}))
    encoder = patch_encoder_folder(model_arguments, data_arguments, arguments, tiles)
    train_set, validation_set = load_data(data_arguments, arguments, tiles, encoder)
    if train_set.silent:
        found = f"{len(train_set.silent)} feature files ({train_set.silent[0]}, ...) do not say {', '.join(KEYS)}"
        logger.warning("%s, or not all of it: whether they are of one kind is not known", found)
    set_seed(arguments.seed)
    model, processor = build(model_arguments, train_set, tiles, encoder, data_arguments.allow_foreign_features)
    if validation_set is not None and not data_arguments.allow_foreign_features:
        refuse_foreign("validation data", processor.learned_from, validation_set.learned_from)
    model.config.statement = TEST_BENCH if data_arguments.phantom_cases else ""
    generation = {"max_new_tokens": data_arguments.max_text_tokens}
    if arguments.generation_num_beams > 1:  # the best sum of log-probabilities, as published
        generation |= {"num_beams": arguments.generation_num_beams, "length_penalty": 0.0}
    model.generation_config.update(**generation)

    bags = ThinnedBags(train_set, data_arguments.keep_patches, arguments.seed, lambda: int(trainer.state.epoch or 0))
    facts = slide_facts if data_arguments.phantom_cases else None
    trainer = HistGenTrainer(
        model=model,
        args=arguments,
        data_collator=SlideReportCollator(processor, data_arguments.max_text_tokens, allow_foreign_features=True),
        train_dataset=bags,
        eval_dataset=validation_set,
        processing_class=processor.tokenizer,
        compute_metrics=ReportMetrics(processor.tokenizer, asked.output / SAMPLES, facts),
    )
    metrics = fit(trainer, asked, tables_of(data_arguments))
    if encoder is not None and arguments.half_precision_weights:
        halve(processor.patch_encoder)
    trained = trainer.accelerator.unwrap_model(trainer.model)
    evaluate = partial(evaluation_of, asked)
    return finish(trainer, asked, metrics, trained, processor, evaluate, described(asked), generation)


def check_arguments(model: ModelArguments, data: DataArguments, arguments: RecipeArguments) -> None:
    """Refuse, before any work, arguments that do not go together."""
    sources = [name for name in ("annotation", "train_data", "phantom_cases") if getattr(data, name)]
    if len(sources) != 1:
        found = " and ".join(sources) or "none of them"
        raise InputError("annotation, train_data, phantom_cases", found, "one of them", "choose one source")
    if data.annotation and not data.features:
        raise InputError("features", "none", "the folder of the annotation's feature files", "give `features`")
    if not model.model:
        raise InputError("model", "none", "sizes in the YAML, or a folder", "see examples/histgen_paper.yaml")
    trains_encoder = isinstance(model.patch_encoder, dict)
    if trains_encoder and not (data.phantom_cases and arguments.encoder_steps):
        found = "a configuration to train, and no phantom_cases or encoder_steps"
        raise InputError("patch_encoder", found, "both, or a folder", "name a trained encoder's folder")
    if data.phantom_cases and not model.patch_encoder:
        found = "none for phantom_cases"
        raise InputError("patch_encoder", found, "a folder, or a configuration to train", "name one")
    check_evaluation(arguments, data.validation_data or data.annotation, data.phantom_cases)
    if not 0 < data.keep_patches <= 1:
        raise InputError("keep_patches", f"{data.keep_patches:g}", "a share above 0, at most 1", "correct it")


def tables_of(data: DataArguments) -> list[Path]:
    """The files that the data comes from, features left out."""
    return [Path(path) for path in (data.annotation, *data.train_data, data.validation_data) if path]


def patch_encoder_folder(model: ModelArguments, data, arguments: RecipeArguments, tiles: TileImageProcessor):
    """The folder of the patch encoder, trained on phantom tiles where it is a configuration; None without one."""
    if not isinstance(model.patch_encoder, dict):
        return model.patch_encoder and Path(model.patch_encoder)
    settings = [model.patch_encoder, tiles.to_dict(), data.phantom_seed, data.slide_px, data.slide_mpp]
    settings += [getattr(arguments, name) for name in ("encoder_slides", "encoder_steps", "encoder_batch_size")]
    settings += [arguments.encoder_rate, arguments.bf16, arguments.seed]
    corpus = SlideCorpus(arguments.encoder_slides, data.phantom_seed, data.slide_px, data.slide_mpp)
    folder = Path(arguments.output_dir) / f"patch_encoder-{fingerprint([*settings, drawn_alike(corpus)])}"
    with arguments.main_process_first(desc="training the patch encoder"):
        if not folder.is_dir():
            train_patch_encoder(
                model.patch_encoder,
                *draw_tiles(corpus, tiles, data.drawing_processes),
                tiles,
                folder,
                steps=arguments.encoder_steps,
                batch_size=arguments.encoder_batch_size,
                rate=arguments.encoder_rate,
                seed=arguments.seed,
                bf16=arguments.bf16,
            )
    return folder


def load_data(
    data: DataArguments, arguments: RecipeArguments, tiles: TileImageProcessor, encoder: Path | None
) -> tuple:
    """Training set, and validation set or None."""
    on_bad = "skip" if data.skip_bad_rows else "raise"
    evaluates = arguments.eval_strategy != "no"
    if data.phantom_cases:
        with arguments.main_process_first(desc="drawing slides"):
            return (
                phantom_reports(data, arguments, tiles, encoder, "train", data.phantom_cases, data.phantom_wordings),
                phantom_reports(data, arguments, tiles, encoder, "validation", data.phantom_validation_cases, 1),
            )
    if data.annotation:
        options = {"on_bad": on_bad, "allow_foreign_features": data.allow_foreign_features}
        training = SlideReports.from_annotation(data.annotation, "train", data.features, **options)
        if not evaluates:
            return training, None
        width = training.width
        return training, SlideReports.from_annotation(data.annotation, "val", data.features, width, **options)
    columns = {"features_column": data.features_column, "text_column": data.text_column, "on_bad": on_bad}
    columns["allow_foreign_features"] = data.allow_foreign_features
    tables = [SlideReports.from_table(path, **columns) for path in data.train_data]
    records = [record for table in tables for record in table.records]
    training = tables[0] if len(tables) == 1 else SlideReports(records, tables[0].width, data.allow_foreign_features)
    validation = SlideReports.from_table(data.validation_data, width=training.width, **columns) if evaluates else None
    return training, validation


def phantom_reports(
    data: DataArguments, arguments: RecipeArguments, tiles, encoder: Path, split: str, count: int, wordings: int
) -> SlideReports:
    """Drawn slides as bags on disk, each with its report in several wordings."""
    corpus = SlideCorpus(count, data.phantom_seed, data.slide_px, data.slide_mpp, split)
    revision = PatchEncoder.from_pretrained(encoder).revision
    settings = [revision, tiles.to_dict(), data.phantom_seed, data.slide_px, data.slide_mpp, drawn_alike(corpus)]
    bags = f"bags-{fingerprint(settings)}"
    files = draw_bags(corpus, encoder, tiles, Path(arguments.output_dir) / bags, data.drawing_processes)
    records = []
    for index, file in enumerate(files):
        case = corpus[index]
        texts = [case.report]
        for number in range(1, wordings):
            rng = np.random.default_rng((data.phantom_seed, index, number))
            texts.append(write_slide_report(case.facts, rng, corpus.wordings))
        records += [(case.case_id, [file], text) for text in texts]
    return SlideReports(records)


def drawn_alike(corpus: SlideCorpus) -> str:
    """A digest of a piece of the first slide: other code that draws would make other bags."""
    middle = corpus.size // 2
    return sha256(corpus[0].drawing.region(middle, middle, 128, 128).tobytes())


def build(
    arguments: ModelArguments,
    train_set: SlideReports,
    tiles: TileImageProcessor,
    encoder: Path | None,
    allow_foreign: bool = False,
) -> tuple:
    """Model and processor, which says what the training bags say; what they do not say stays as a base model says it.

    Raises:
        ForeignFeatures: the bags are not of the base model's kind, or not the patch encoder's.
    """
    if isinstance(arguments.model, dict):
        tokenizer = reports_tokenizer(arguments, train_set)
        sizes = {"feature_size": train_set.width, **arguments.model}
        if sizes["feature_size"] != train_set.width:
            found = f"feature_size {sizes['feature_size']} for features of width {train_set.width}"
            raise InputError("model", found, "equal widths", "correct feature_size or leave it out")
        model = HistGenForConditionalGeneration(HistGenConfig(**sizes, vocab_size=len(tokenizer)))
        processor = HistGenProcessor(tiles, tokenizer, model.config.region_size)
    else:
        try:
            model = HistGenForConditionalGeneration.from_pretrained(arguments.model)
            processor = HistGenProcessor.from_pretrained(arguments.model)
        except (OSError, ValueError) as error:
            found, expected = f"'{arguments.model}', which does not load", "a HistGen folder or id"
            raise InputError("model", found, expected, "check the name, or go online") from error
        if model.config.feature_size != train_set.width:
            found = f"features of width {train_set.width} for a model of {model.config.feature_size}"
            raise InputError("model", found, "equal widths", "tile with the model's own patch encoder")
    if not allow_foreign:
        refuse_foreign("training data", processor.learned_from, train_set.learned_from)
    processor.learned_from = {**processor.learned_from, **train_set.learned_from}
    if encoder is not None:
        processor.patch_encoder = PatchEncoder.from_pretrained(encoder)
        if not allow_foreign:
            made = {"encoder_revision": [processor.patch_encoder.revision]}
            refuse_foreign("patch_encoder", processor.learned_from, made, "with which the bags were made", OWN_ENCODER)
    return model, processor


def halve(encoder: PatchEncoder) -> None:
    """Half precision where the weights lose nothing by it: by these its features are known."""
    halves = copy.deepcopy(encoder.model).half()
    if weights_revision(halves) == encoder.revision:
        encoder.model = halves


def reports_tokenizer(arguments: ModelArguments, train_set: SlideReports):
    """The tokenizer named, or one made of the training reports."""
    if arguments.tokenizer == LEGACY:
        return legacy_tokenizer(legacy_vocabulary(train_set.texts(), arguments.threshold))
    if arguments.tokenizer:
        return AutoTokenizer.from_pretrained(arguments.tokenizer)
    return train_tokenizer(train_set.texts(), arguments.vocabulary_size, digits=True)


def evaluation_of(asked: RunArguments, folder: Path) -> dict:
    """Scores of the saved folder on phantom slides."""
    data, count = asked.data, asked.training.evaluation_cases
    pipe, options = load(folder), {"seed": 1, "size": data.slide_px, "mpp": data.slide_mpp}
    evaluation = {
        split: evaluate_slides(pipe, n=count, split=split, **options) for split in ("test", "held_back_style")
    }
    evaluation["test"]["evidence"] = evaluate_faithfulness(pipe, n=max(1, count // EVIDENCE_PART), **options)
    return evaluation


def described(asked: RunArguments) -> dict:
    """What the card says the model was made of."""
    model, data = asked.model.model, asked.data
    read = ", ".join(map(str, tables_of(data)))
    return {
        "base": "random weights" if isinstance(model, dict) else model,
        "data": f"{data.phantom_cases} phantom slides" if data.phantom_cases else read,
    }
