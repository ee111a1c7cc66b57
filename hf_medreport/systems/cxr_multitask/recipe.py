"""The recipe of the multi-task chest X-ray: from tables of two views, classifications and reports, or from the phantom.

    hf-medreport train cxr_multitask --config examples/cxr_multitask_phantom.yaml --output_dir runs/cxr_multitask
    torchrun --nproc_per_node 2 examples/train.py cxr_multitask --config examples/cxr_multitask_phantom.yaml

Writes `OUTPUT_DIR/MODEL_NAME` (a folder that loads anywhere, with its card), `checkpoint-N` (to resume from),
`warm-up`, `samples.jsonl` and `manifest.json`.
"""

from dataclasses import dataclass, field
from functools import partial
from math import inf
from pathlib import Path

import torch
from torch.utils.data import ConcatDataset
from transformers import AutoTokenizer, set_seed

from hf_medreport.data.collator import StudyCollator, study_case
from hf_medreport.data.drawn.films import PhantomReports, PhantomSource
from hf_medreport.data.tables import ReportDataset
from hf_medreport.evaluation.phantom.films import evaluate_phantom
from hf_medreport.inference.loading import load
from hf_medreport.modeling.configuration_cxr_multitask import CxrMultitaskConfig
from hf_medreport.modeling.modeling_cxr_multitask import CxrMultitaskForConditionalGeneration
from hf_medreport.processing.image_processing_film import UNSCALED, FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_cxr_multitask import CxrMultitaskProcessor
from hf_medreport.processing.report_tokens import FRAME, add_report_tokens
from hf_medreport.registry import register_auto_classes
from hf_medreport.systems.cxr_multitask.trainer import MultitaskTrainer, StagedUnfreezing, layers_at, read_stages
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
from hf_medreport.training.warm_up import warm_up, warm_up_encoder, warm_up_segmenter

WEIGHTS = {"reconstruction": ("frontal_weight", "lateral_weight"), "classification": ("abnormal_weight",)}
WEIGHTS |= {"report": ("text_weight",)}  # task -> its losses' weights
# Of the model's arguments: what its configuration has under the same name; the sizes decide about weights' shapes.
SIZES = ("image_size", "latent_grid", "decoder_channels", "classifier_channels", "use_skips")
MODES = ("view_dropout", "reconstruction_loss", "include_pad_in_loss")
CONDITIONING = ("latent_injection", "per_layer_projection", "zero_init_projection")


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
    encoder: str = field(
        default="", metadata={"help": "Folder or id, such as convert chexnet writes; in the YAML sizes of a DenseNet."}
    )
    decoder: str = field(default="", metadata={"help": "Folder or id of a GPT-2; in the YAML its sizes."})
    segmenter: str | None = field(
        default=None, metadata={"help": "The same, to crop frontal films to the lungs; leave out for cropped films."}
    )
    tokenizer: str | None = field(
        default=None, metadata={"help": "Folder or id. Default: the decoder's, or one trained on the reports."}
    )
    vocabulary_size: int = field(default=512, metadata={"help": "Of a trained tokenizer, without its three tokens."})
    film_size: int = field(
        default=224, metadata={"help": "Side to which films are read; larger where some is cropped."}
    )
    image_size: int = field(default=224, metadata={"help": "Side of what the encoder sees."})
    latent_grid: int = field(default=1, metadata={"help": "Cells a side that a view's latent is pooled over."})
    latent_injection: str = field(default="pre_block", metadata={"help": "pre_block, post_block or embedding_only."})
    per_layer_projection: bool = field(default=False, metadata={"help": "Of the latent, in place of a shared one."})
    zero_init_projection: bool = field(default=False, metadata={"help": "Start without the latent, as plain GPT-2."})
    decoder_channels: list[int] = field(default_factory=lambda: [512, 256, 128, 64, 32])
    classifier_channels: list[int] = field(default_factory=lambda: [512, 256])
    use_skips: bool = field(default=True, metadata={"help": "Between encoder and U-Net decoders."})
    view_dropout: float = field(default=0.1, metadata={"help": "Share of cases that learn with one view withheld."})
    encoder_trainable_last_n: int | None = field(default=10, metadata={"help": "Layers of the encoder; -1: all."})
    reconstruction_loss: str = field(default="bce", metadata={"help": "bce, mse, l1, ssim or mse+ssim."})
    tasks: list[str] = field(
        default_factory=lambda: list(WEIGHTS), metadata={"help": "Learned: reconstruction, classification, report."}
    )
    abnormal_weight: float = 1.0
    frontal_weight: float = 0.5
    lateral_weight: float = 0.5
    text_weight: float = 1.0
    include_pad_in_loss: bool = False


@dataclass
class DataArguments(FilmDataArguments):
    """The data: tables of films, classifications and reports, or the phantom."""

    frontal_column: str = "frontal"
    lateral_column: str | None = "lateral"  # null in the YAML: frontal films alone
    text_column: str = "impression"
    label_column: str | None = "label"  # null in the YAML: no classifications
    mask_column: str | None = None
    max_text_tokens: int = field(default=128, metadata={"help": "Longer reports are cut."})


@dataclass
class RecipeArguments(WarmUpArguments):
    """Trainer's arguments with defaults for reports, staged unfreezing, and the warm-up."""

    output_dir: str = "runs/cxr_multitask"
    dataloader_drop_last: bool = field(default=True, metadata={"help": "Batch norm wants two cases or more."})
    unfreezing: list[str] = field(
        default_factory=list,
        metadata={"help": "STEP:LAYERS ...: how many of the encoder's last layers train from when."},
    )
    segmenter_steps: int = field(default=0, metadata={"help": "Warm-up of the segmenter; phantom only."})


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model_arguments, data_arguments, arguments = read_arguments(
        (ModelArguments, DataArguments, RecipeArguments), config, flags
    )
    stages = read_stages(arguments.unfreezing)
    if model_arguments.model:
        model_arguments = of_model(model_arguments, given_names(config, flags))
    check_arguments(model_arguments, data_arguments, arguments)
    asked = RunArguments("cxr_multitask", config, model_arguments, data_arguments, arguments)
    set_seed(arguments.seed)
    train_set, validation_set = load_data(model_arguments, data_arguments, arguments)
    model, processor = build(model_arguments, train_set)
    check_sizes(model, train_set, data_arguments, arguments)
    lay_out(model, arguments.bf16, arguments.fp16)
    model.config.statement = TEST_BENCH if data_arguments.phantom_cases else ""
    asked.output.mkdir(parents=True, exist_ok=True)
    learn_to_see(model, processor, train_set, asked)
    if stages:  # the optimizer takes what is trainable when it is made
        model.unfreeze(max((layers for _, layers in stages), key=lambda count: inf if count is None else count))

    generation = {"max_new_tokens": data_arguments.max_text_tokens}
    model.generation_config.update(**generation)
    facts = chest_facts if data_arguments.phantom_cases else None
    trainer = MultitaskTrainer(
        model=model,
        args=arguments,
        data_collator=StudyCollator(processor, data_arguments.max_text_tokens),
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=processor.tokenizer,
        compute_metrics=ReportMetrics(processor.tokenizer, asked.output / SAMPLES, facts),
        callbacks=[StagedUnfreezing(stages)] if stages else None,
    )
    metrics = fit(trainer, asked, tables_of(data_arguments))
    trained = trainer.accelerator.unwrap_model(trainer.model)
    if stages:  # also where a finished run was resumed, which took no step
        trained.unfreeze(layers_at(stages, metrics["global_step"] - 1))
    evaluate = partial(evaluation_of, asked)
    return finish(trainer, asked, metrics, trained, processor, evaluate, described(asked), generation)


def check_arguments(model: ModelArguments, data: DataArguments, arguments: RecipeArguments) -> None:
    """Refuse, before any work, arguments that do not go together."""
    check_source(data)
    if not model.model:
        from_names(encoder=model.encoder, decoder=model.decoder)
    unknown = [task for task in model.tasks if task not in WEIGHTS]
    if unknown or not model.tasks:
        found = f"'{unknown[0]}'" if unknown else "none"
        remedy = "it is called 'classification' now" if "verdict" in unknown[:1] else "correct it"
        raise InputError("tasks", found, f"one or more of {', '.join(WEIGHTS)}", remedy)
    if arguments.segmenter_steps + arguments.encoder_steps and not data.phantom_cases:
        raise InputError("segmenter_steps, encoder_steps", "a warm-up on tables", "phantom_cases", "set both to 0")
    if arguments.segmenter_steps and not model.segmenter:
        raise InputError("segmenter_steps", "no segmenter to warm up", "a segmenter", "name one or set it to 0")
    if arguments.per_device_train_batch_size < 2:
        found = str(arguments.per_device_train_batch_size)
        raise InputError("per_device_train_batch_size", found, "2 or more, for batch norm", "raise it")
    check_evaluation(arguments, data.validation_data, data.phantom_cases)


def check_sizes(model, train_set, data: DataArguments, arguments: RecipeArguments) -> None:
    """Refuse what would only come out in training, or never: longer reports than positions, no whole batch."""
    positions = model.config.decoder.n_positions
    if data.max_text_tokens > positions:
        found, expected = str(data.max_text_tokens), f"at most {positions}, the decoder's positions"
        raise InputError("max_text_tokens", found, expected, "lower it")
    batch = arguments.train_batch_size * arguments.world_size
    if arguments.dataloader_drop_last and len(train_set) < batch:
        found, expected = f"{len(train_set)} records", f"a batch of {batch} or more"
        raise InputError("training data", found, expected, "lower per_device_train_batch_size")


def load_data(model: ModelArguments, data: DataArguments, arguments: RecipeArguments) -> tuple:
    """Training set, and validation set or None."""
    evaluates = arguments.eval_strategy != "no"
    if data.phantom_cases:
        source = {"seed": data.phantom_seed, "size": model.film_size, "lateral": True}
        validation = PhantomSource(data.phantom_validation_cases, **source, split="validation")
        training = PhantomReports(PhantomSource(data.phantom_cases, **source))
        return training, PhantomReports(validation) if evaluates else None
    columns = {
        "image_column": data.frontal_column,
        "lateral_column": data.lateral_column,
        "text_column": data.text_column,
        "label_column": data.label_column,
        "mask_column": data.mask_column,
        "on_bad": "skip" if data.skip_bad_rows else "raise",
        **data.of_films,
    }
    tables = [ReportDataset(path, **columns) for path in data.train_data]
    validation = ReportDataset(data.validation_data, **columns) if evaluates else None
    log_skipped([*tables, *([validation] if validation else [])])
    return ConcatDataset(tables), validation


def of_model(arguments: ModelArguments, given: set[str]) -> ModelArguments:
    """The arguments of a model that is gone on from: what is not `given` is as it has it."""
    register_auto_classes()
    with loading(model=arguments.model):
        check_kind("model", arguments.model, ("cxr_multitask",))
        config = CxrMultitaskConfig.from_pretrained(arguments.model)
        films = FilmImageProcessor.from_pretrained(arguments.model)
    weights = [name for names in WEIGHTS.values() for name in names]
    loaded = {name: getattr(config, name) for name in (*SIZES, *MODES, *weights)}
    loaded |= {name: getattr(config.decoder, name) for name in CONDITIONING} | {"film_size": films.size}
    loaded["encoder_trainable_last_n"] = -1 if (last := config.encoder_trainable_last_n) is None else last
    loaded["tasks"] = [task for task, names in WEIGHTS.items() if any(getattr(config, name) for name in names)]
    loaded["segmenter"] = config.segmenter and config.segmenter.to_dict()
    return as_loaded(arguments, given - {"segmenter"}, loaded, (*SIZES, *CONDITIONING, "film_size"))


def build(arguments: ModelArguments, train_set) -> tuple:
    """Model and processor."""
    settings = {name: getattr(arguments, name) for name in (*SIZES, *MODES)}
    layers = arguments.encoder_trainable_last_n
    settings["encoder_trainable_last_n"] = None if layers == -1 else layers
    for task, weights in WEIGHTS.items():
        settings |= {name: getattr(arguments, name) if task in arguments.tasks else 0.0 for name in weights}
    if arguments.model:
        with loading(model=arguments.model):
            processor = CxrMultitaskProcessor.from_pretrained(arguments.model)
            config = CxrMultitaskConfig.from_pretrained(arguments.model, **settings)
            model = CxrMultitaskForConditionalGeneration.from_pretrained(
                arguments.model, config=config, dtype=torch.float32
            )
        return model, processor
    conditioning = {name: getattr(arguments, name) for name in CONDITIONING}
    parts = {"encoder": arguments.encoder, "decoder": arguments.decoder}
    if from_names(**parts):
        with loading(**parts):
            tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer or arguments.decoder)
            conditioning = {f"decoder_{name}": value for name, value in conditioning.items()}
            model = CxrMultitaskForConditionalGeneration.from_encoder_decoder_pretrained(
                *parts.values(), arguments.segmenter, **settings, **conditioning
            )
        add_report_tokens(tokenizer)
        model.resize_token_embeddings(len(tokenizer))
    else:
        if arguments.tokenizer:
            tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
        else:
            tokenizer = train_tokenizer(texts_of(train_set), arguments.vocabulary_size)
        add_report_tokens(tokenizer)
        ends = {f"{name}_id": getattr(tokenizer, f"{name}_id") for name in FRAME}
        decoder = {**arguments.decoder, **conditioning, **ends, "vocab_size": len(tokenizer)}
        config = CxrMultitaskConfig(
            encoder=arguments.encoder, decoder=decoder, segmenter=arguments.segmenter, **settings
        )
        model = CxrMultitaskForConditionalGeneration(config)
    add_report_tokens(tokenizer, model.config.decoder, model.generation_config)
    return model, CxrMultitaskProcessor(FilmImageProcessor(arguments.film_size, **UNSCALED), tokenizer)


def learn_to_see(model, processor, records, asked: RunArguments) -> None:
    """Warm segmenter and encoder up."""

    def see(indices: list[int]) -> torch.Tensor:
        batch = processor([study_case(records[index]) for index in indices])
        views = {name: batch[name] for name in ("pixel_values", "lateral_pixel_values", "views")}
        return model.latent_of(model.encode_views(**views))

    bf16 = asked.training.bf16
    stages = {
        "segmenter": (model.segmenter, partial(warm_up_segmenter, model.segmenter, records, processor)),
        "encoder": (model.encoder, partial(warm_up_encoder, model.encoder, see, records, bf16=bf16)),
    }
    names = ("encoder", "segmenter", "film_size", "image_size", "latent_grid")
    begun_from = [asked.model.model] if asked.model.model else []
    model.eval()  # no view is withheld yet
    warm_up(stages, [*begun_from, *(getattr(asked.model, name) for name in names)], asked)
    model.freeze()


def evaluation_of(asked: RunArguments, folder: Path) -> dict:
    """Scores of the saved folder on phantom cases."""
    pipe, n = load(folder), asked.training.evaluation_cases
    evaluation = {split: evaluate_phantom(pipe, n=n, seed=1, split=split) for split in ("test", "held_back_style")}
    return evaluation | {"test, balanced": evaluate_phantom(pipe, n=n, seed=1, prevalence="balanced")}


def described(asked: RunArguments) -> dict:
    """What the card says the model was made of."""
    model, data = asked.model, asked.data
    drawn = f"{data.phantom_cases} phantom cases of two views"
    parts = "random weights" if isinstance(model.encoder, dict) else f"{model.encoder} and {model.decoder}"
    return {
        "base": model.model or parts,
        "data": drawn if data.phantom_cases else ", ".join(data.train_data),
    }
