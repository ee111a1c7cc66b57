"""The recipe of MedViLL's own pre-training: masked words and image-text matching, from films with reports.

    hf-medreport train medvill --config examples/medvill_phantom.yaml --output_dir runs/medvill
    torchrun --nproc_per_node 2 examples/train.py medvill --config examples/medvill_phantom.yaml

Writes `OUTPUT_DIR/MODEL_NAME` (the encoder as a folder that loads anywhere, with its card: what `train radscribe` takes
as `encoder`), `checkpoint-N` (to resume from; with the heads of both tasks) and `manifest.json`.
"""

from dataclasses import dataclass, field

from torch.utils.data import default_collate
from transformers import AutoTokenizer, BertForPreTraining, ViTModel, set_seed

from hf_medreport.data.drawn.films import PhantomReports, PhantomSource
from hf_medreport.modeling.configuration_medvill import MedViLLConfig
from hf_medreport.modeling.modeling_cxr_multitask import CxrMultitaskForConditionalGeneration
from hf_medreport.modeling.modeling_medvill import MedViLLForPreTraining
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_medvill import MedViLLProcessor, film_processor, scale_of
from hf_medreport.systems.radscribe import data as film_reports
from hf_medreport.systems.radscribe.data import check_data, inputs_of, labels_of, load_data
from hf_medreport.systems.radscribe.masked_pairs import MaskedPairs, best_guesses, pair_figures, pair_metrics
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import (
    ReportRecipeArguments,
    RunArguments,
    check_evaluation,
    finish,
    fit,
    texts_of,
)
from hf_medreport.training.tokenizer import train_word_pieces
from hf_medreport.training.trainer import ReportTrainer

SEED = 1  # of the films that the card's figures come from
VIT_SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "patch_size", "image_size")
VIT_SIZES += ("hidden_act", "layer_norm_eps", "qkv_bias")


@dataclass
class ModelArguments:
    """The model. BERT is a name to load, or a mapping of sizes (in the YAML) to build from scratch."""

    bert: str = field(default="", metadata={"help": "Folder or id of a BERT; in the YAML a mapping of its sizes."})
    tokenizer: str | None = field(
        default=None, metadata={"help": "Folder or id. Default: BERT's, or one trained on the reports."}
    )
    vocabulary_size: int = field(default=1024, metadata={"help": "Of a trained tokenizer."})
    image_encoder: str = field(default="vit", metadata={"help": "vit, resnet101, chexnet121 or bert_vit."})
    image_encoder_sizes: str | None = field(
        default=None, metadata={"help": "In the YAML: its sizes. Default: the published ones."}
    )
    image_weights: str | None = field(
        default=None,
        metadata={"help": "Folder or id of a ViT, or the folder that convert chexnet writes. Default: at random."},
    )
    image_size: int = field(default=512, metadata={"help": "Side of a film."})
    num_image_embeds: int = field(default=256, metadata={"help": "Image tokens; 180 as MedViLL was pre-trained."})
    fit: str = field(default="pad", metadata={"help": "How films become squares: pad, crop or stretch."})
    mask_mode: str = field(default="bar", metadata={"help": "bar, full or legacy."})


@dataclass
class DataArguments(film_reports.DataArguments):
    """The data; `max_text_tokens` is the model's."""

    max_text_tokens: int = field(default=253, metadata={"help": "Most pieces of a report; longer ones are cut."})


@dataclass
class RecipeArguments(ReportRecipeArguments):
    """Trainer's arguments with defaults for pre-training."""

    output_dir: str = "runs/medvill"
    predict_with_generate: bool = False  # it writes no reports


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model_arguments, data_arguments, arguments = read_arguments(
        (ModelArguments, DataArguments, RecipeArguments), config, flags
    )
    check_arguments(model_arguments, data_arguments, arguments)
    asked = RunArguments("medvill", config, model_arguments, data_arguments, arguments)
    set_seed(arguments.seed)
    train_set, validation_set, weights = load_data(
        data_arguments, model_arguments.image_size, arguments.eval_strategy != "no"
    )
    model, processor = build(model_arguments, data_arguments, train_set)
    lay_out(model, arguments.bf16, arguments.fp16)
    training = pairs_of(train_set, processor, arguments.seed, lambda: int(trainer.state.epoch or 0))
    validation = pairs_of(validation_set, processor, arguments.seed) if validation_set is not None else None
    asked.output.mkdir(parents=True, exist_ok=True)
    trainer = ReportTrainer(
        model=model,
        args=arguments,
        data_collator=default_collate,
        train_dataset=training,
        eval_dataset=validation,
        compute_metrics=pair_metrics,
        preprocess_logits_for_metrics=best_guesses,
        sample_weights=weights,
    )
    metrics = fit(trainer, asked, inputs_of(data_arguments))
    evaluation = evaluation_of(trainer, processor, asked)  # by all processes
    encoder = trainer.accelerator.unwrap_model(trainer.model).medvill  # without the heads of its tasks
    return finish(trainer, asked, metrics, encoder, processor, lambda folder: evaluation, described(asked))


def check_arguments(model: ModelArguments, data: DataArguments, arguments: RecipeArguments) -> None:
    """Refuse, before any work, arguments that do not go together."""
    check_data(data)
    if not model.bert:
        raise InputError("bert", "none", "a name, or sizes in the YAML", "see examples/medvill_paper.yaml")
    if model.image_weights and model.image_encoder not in ("vit", "chexnet121"):
        found = f"weights for {model.image_encoder}"
        raise InputError("image_weights", found, "a vit or chexnet121", "leave it out, or choose one of these")
    if model.image_weights and model.image_encoder_sizes:
        raise InputError("image_encoder_sizes", "sizes beside image_weights", "one of them", "the weights have theirs")
    if arguments.predict_with_generate:
        raise InputError("predict_with_generate", "true", "false", "leave it out: MedViLL writes no reports")
    if arguments.dataloader_persistent_workers:
        remedy = "leave it out: workers that live on do not learn that an epoch is over"
        raise InputError("dataloader_persistent_workers", "true", "false", remedy)
    check_evaluation(arguments, data.validation_data, data.phantom_cases)


def pairs_of(records, processor, seed: int, epoch=lambda: 0) -> MaskedPairs:
    """Both tasks on records whose CheXpert labels tell which reports say the same."""
    findings = [None if labels is None else frozenset(labels) for labels in labels_of(records)]
    return MaskedPairs(records, list(texts_of(records)), findings, processor, seed, epoch)


def build(arguments: ModelArguments, data: DataArguments, train_set) -> tuple[MedViLLForPreTraining, MedViLLProcessor]:
    """Model and processor."""
    bert, tokenizer = bert_of(arguments, train_set)
    sizes, seeing = image_encoder_of(arguments)
    fields = ("image_encoder", "image_size", "num_image_embeds", "mask_mode")
    config = MedViLLConfig(
        bert=bert if isinstance(bert, dict) else bert.config,
        image_encoder_sizes=sizes,
        max_text_tokens=data.max_text_tokens,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        **{name: getattr(arguments, name) for name in fields},
    )
    model = MedViLLForPreTraining(config)
    if not isinstance(bert, dict):
        model.medvill.bert.load_state_dict(bert.bert.state_dict(), strict=False)  # its pooler is ours, see below
        model.pooler.load_state_dict(bert.bert.pooler.state_dict())
        model.words.load_state_dict(bert.cls.predictions.state_dict())
    if seeing is not None:
        name = "vit" if arguments.image_encoder == "vit" else "densenet"
        getattr(model.medvill.image_encoder, name).load_state_dict(seeing.state_dict())
    films = film_processor(arguments.image_size, scale_of(arguments.image_encoder), arguments.fit)
    return model, MedViLLProcessor(films, tokenizer, data.max_text_tokens)


def bert_of(arguments: ModelArguments, train_set) -> tuple:
    """A pretrained BERT or the sizes of one, and its tokenizer."""
    if isinstance(arguments.bert, str):
        try:
            tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer or arguments.bert)
            bert = BertForPreTraining.from_pretrained(arguments.bert)
        except (OSError, ValueError) as error:
            found = f"'{arguments.bert}', which does not load"
            raise InputError("bert", found, "a folder or repository id", "check the name, or go online") from error
        if len(tokenizer) > bert.config.vocab_size:
            found = f"{len(tokenizer)} pieces for a BERT of {bert.config.vocab_size}"
            raise InputError("tokenizer", found, "BERT's own", "leave it out")
        return bert, tokenizer
    if arguments.tokenizer:
        tokenizer = AutoTokenizer.from_pretrained(arguments.tokenizer)
    else:
        tokenizer = train_word_pieces(texts_of(train_set), arguments.vocabulary_size)
    return {**arguments.bert, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}, tokenizer


def image_encoder_of(arguments: ModelArguments) -> tuple:
    """Sizes of the image encoder, None for the published ones, and a pretrained one or None."""
    name = arguments.image_weights
    if not name:
        return arguments.image_encoder_sizes, None
    try:
        if arguments.image_encoder == "vit":
            vit = ViTModel.from_pretrained(name, add_pooling_layer=False)
            return {size: getattr(vit.config, size) for size in VIT_SIZES}, vit
        pair = CxrMultitaskForConditionalGeneration.from_pretrained(name)
    except OSError as error:
        found = f"'{name}', which does not load"
        raise InputError("image_weights", found, "a folder or repository id", "check the name, or go online") from error
    return pair.config.encoder, pair.encoder


def evaluation_of(trainer: ReportTrainer, processor, asked: RunArguments) -> dict[str, dict]:
    """Figures of both tasks on phantom films that were not trained on; {} without phantoms."""
    evaluation, films = {}, asked.training.evaluation_cases
    for split in ("test", "held_back_style") if asked.data.phantom_cases else ():
        records = PhantomReports(PhantomSource(films, SEED, asked.model.image_size, split))
        trainer.compute_metrics = pair_figures
        scores = trainer.predict(pairs_of(records, processor, SEED), metric_key_prefix=split).metrics
        trainer.compute_metrics = pair_metrics
        figures = {task: scores[f"{split}_{task}"] for task in ("words", "match")}
        evaluation[split] = {"n": films, "seed": SEED, "command": asked.command, **figures}
    return evaluation


def described(asked: RunArguments) -> dict:
    """What the card says the model was made of."""
    model, data = asked.model, asked.data
    parts = ["random weights" if isinstance(model.bert, dict) else model.bert]
    return {
        "base": " and ".join(parts + ([model.image_weights] if model.image_weights else [])),
        "data": f"{data.phantom_cases} phantom films" if data.phantom_cases else ", ".join(data.train_data),
    }
