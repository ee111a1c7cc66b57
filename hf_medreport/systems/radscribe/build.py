"""The model of RadScribe's recipe: one to go on from, one joined of a MedViLL and a T5, or one from scratch."""

from dataclasses import dataclass, field
from pathlib import Path

from transformers import AutoTokenizer, T5Config, ViTModel

from hf_medreport.modeling.configuration_medvill import FINDINGS, MedViLLConfig
from hf_medreport.modeling.configuration_radscribe import RadScribeConfig
from hf_medreport.modeling.modeling_radscribe import RadScribeForConditionalGeneration
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.label_text import label_text
from hf_medreport.processing.processing_medvill import film_processor, scale_of
from hf_medreport.processing.processing_radscribe import RadScribeProcessor
from hf_medreport.registry import register_auto_classes
from hf_medreport.systems.radscribe.convert import read_t5_tokenizer
from hf_medreport.systems.radscribe.convert_medvill import read_bert_tokenizer
from hf_medreport.training.going_on import check_kind
from hf_medreport.training.recipe import from_names, loading, texts_of
from hf_medreport.training.tokenizer import train_tokenizer, train_word_pieces

# Our names of the fields of the encoder's configuration that decide about its weights.
SIZES = {
    "image_encoder": "image_encoder",
    "image_size": "image_size",
    "num_image_embeds": "num_image_embeds",
    "max_label_tokens": "max_text_tokens",
}
MODES = ("mask_mode", "label_mode")
ENDS = ("bos_token_id", "eos_token_id", "pad_token_id")
T5_FAMILY = ("t5", "mt5")


@dataclass
class ModelArguments:
    """The model: one to go on from, or encoder and decoder, both names to load or both mappings (in the YAML) to build
    from scratch. What is not given is as the loaded model has it."""

    model: str | None = field(
        default=None,
        metadata={"help": "Folder or id of a RadScribe to go on from; encoder and decoder are then not read."},
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
    fit: str | None = field(
        default=None, metadata={"help": "How films become squares: pad, crop or stretch. Default: the same, or pad."}
    )
    mask_mode: str | None = field(default=None, metadata={"help": "full, bar or legacy. Default: the same, or full."})
    label_mode: str | None = field(
        default=None, metadata={"help": "none, oracle or predicted. Default: the same, or none."}
    )
    label_loss_weight: float | None = field(
        default=None, metadata={"help": "Of the label head's loss. Default: the same, or 1."}
    )


def build(arguments: ModelArguments, train_set) -> tuple[RadScribeForConditionalGeneration, RadScribeProcessor]:
    """Model and processor.

    Raises:
        InputError: parts that do not load, are of another kind or do not fit each other.
        ValueError: sizes that the configurations refuse.
    """
    parts = {"encoder": arguments.encoder, "decoder": arguments.decoder}
    if arguments.model:
        with loading(model=arguments.model):
            return load_whole(arguments)
    if from_names(**parts):
        with loading(**parts, image_weights=arguments.image_weights):
            return load_parts(arguments)
    return from_scratch(arguments, train_set)


def load_whole(arguments: ModelArguments) -> tuple:
    """A RadScribe to go on from."""
    register_auto_classes()
    check_kind("model", arguments.model, ("radscribe",))
    processor = RadScribeProcessor.from_pretrained(arguments.model)
    config = RadScribeConfig.from_pretrained(arguments.model)
    check_sizes(arguments.model, config.encoder, arguments)
    processor.label_names = list(config.encoder.label_names)
    changes = given(arguments, MODES) | processor.label_pieces()
    settings = config.to_dict() | given(arguments, ("label_loss_weight",))
    config = RadScribeConfig.from_dict(settings | {"encoder": config.encoder.to_dict() | changes})
    processor.image_processor = fit_films(processor.image_processor, arguments)
    return RadScribeForConditionalGeneration.from_pretrained(arguments.model, config=config), processor


def load_parts(arguments: ModelArguments) -> tuple:
    """A pretrained MedViLL, a pretrained T5 and, if one is named, a pretrained ViT in the former."""
    if arguments.encoder.endswith(".bin") or (Path(arguments.encoder) / "pytorch_model.bin").is_file():
        remedy = "hf-medreport convert medvill FOLDER/pytorch_model.bin --out NEW, and name NEW"
        raise InputError("encoder", "weights of the original MedViLL", "a converted folder", remedy)
    check_kind("encoder", arguments.encoder, ("medvill",))
    check_kind("decoder", arguments.decoder, T5_FAMILY)
    encoder = MedViLLConfig.from_pretrained(arguments.encoder)
    check_sizes(arguments.encoder, encoder, arguments)
    films = fit_films(FilmImageProcessor.from_pretrained(arguments.encoder), arguments)
    tokenizer = read_t5_tokenizer(arguments.tokenizer or arguments.decoder, T5Config.from_pretrained(arguments.decoder))
    label_tokenizer = read_bert_tokenizer(arguments.label_tokenizer or arguments.encoder, encoder, "label_tokenizer")
    names = list(encoder.label_names)
    processor = RadScribeProcessor(films, tokenizer, label_tokenizer, encoder.max_text_tokens, names)
    changes = given(arguments, MODES) | processor.label_pieces()
    MedViLLConfig.from_dict(encoder.to_dict() | changes)  # refuses what loading would only set
    model = RadScribeForConditionalGeneration.from_encoder_decoder_pretrained(
        arguments.encoder,
        arguments.decoder,
        **{f"encoder_{name}": value for name, value in changes.items()},
        **given(arguments, ("label_loss_weight",)),
    )
    if arguments.image_weights:
        load_image_weights(model.encoder, arguments.image_weights)
    return model, processor


def load_image_weights(encoder, name: str) -> None:
    """A pretrained ViT in the place of the encoder's."""
    if encoder.config.image_encoder != "vit":
        found = f"a ViT for image_encoder {encoder.config.image_encoder}"
        remedy = "put its weights in with hf-medreport convert medvill --image-weights"
        raise InputError("image_weights", found, "a MedViLL with a ViT", remedy)
    check_kind("image_weights", name, ("vit",))
    weights = ViTModel.from_pretrained(name, add_pooling_layer=False).state_dict()
    vit = encoder.image_encoder.vit
    if {key: value.shape for key, value in weights.items()} != {k: v.shape for k, v in vit.state_dict().items()}:
        remedy = "convert the MedViLL with these weights' sizes, or name others"
        raise InputError("image_weights", f"a ViT of other sizes ({Path(name).name})", "the encoder's sizes", remedy)
    vit.load_state_dict(weights)


def check_sizes(name: str, encoder: MedViLLConfig, arguments: ModelArguments) -> None:
    """Refuse sizes that a loaded encoder does not have."""
    for ours, field_name in SIZES.items():
        wanted, loaded = getattr(arguments, ours), getattr(encoder, field_name)
        if wanted is not None and wanted != loaded:
            found, remedy = f"{wanted} for {Path(name).name}", f"write {loaded}, or load an encoder that has {wanted}"
            raise InputError(ours, found, f"{loaded}, which it has", remedy)


def fit_films(films: FilmImageProcessor, arguments: ModelArguments) -> FilmImageProcessor:
    """The film processor of a loaded folder, with another fit where one is asked for."""
    return FilmImageProcessor.from_dict(films.to_dict() | given(arguments, ("fit",)))


def given(arguments: ModelArguments, names: tuple[str, ...]) -> dict:
    """Those of the arguments that are set."""
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def from_scratch(arguments: ModelArguments, train_set) -> tuple:
    """Random weights of the given sizes, with tokenizers of the reports where none are named."""
    sizes = {field_name: getattr(arguments, ours) for ours, field_name in SIZES.items()}
    encoder = {name: value for name, value in sizes.items() if value is not None} | arguments.encoder
    encoder |= given(arguments, MODES)
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
    films = film_processor(bare.image_size, scale_of(bare.image_encoder), **given(arguments, ("fit",)))
    processor = RadScribeProcessor(films, tokenizer, label_tokenizer, bare.max_text_tokens, names)
    of_bert = {"vocab_size": len(label_tokenizer), "pad_token_id": label_tokenizer.pad_token_id}
    encoder["bert"] = encoder.get("bert", {}) | of_bert
    encoder |= {name: getattr(label_tokenizer, name) for name in ("cls_token_id", "sep_token_id")}
    ends = {name: getattr(tokenizer, name) for name in ENDS} | {"decoder_start_token_id": tokenizer.pad_token_id}
    config = RadScribeConfig(
        encoder=encoder | processor.label_pieces(),
        decoder=arguments.decoder | ends | {"vocab_size": len(tokenizer)},
        **given(arguments, ("label_loss_weight",)),
    )
    return RadScribeForConditionalGeneration(config), processor
