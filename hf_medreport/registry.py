"""The table of systems: one row names everything the library knows of a system.

Names are resolved when first used, so importing this file imports neither torch nor transformers. Each kind has one
contract suite in `tests/contract/`; adding a row is all it takes to be tested.
"""

import importlib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError

CHECKPOINTS = Path(__file__).parent / "checkpoints"


@dataclass(frozen=True)
class System:
    """One system.

    Args:
        model_type: what its config.json says.
        kind: which contract it keeps: `"report"` (picture -> text), `"segmenter"` (picture -> masks), `"causal-lm"`
            (text -> text) or `"encoder"` (picture and text -> states).
        config, model, processor: `"module:Class"` below `hf_medreport`; no processor: a tokenizer of any class.
        auto_classes: the Auto classes that must load its folders, beside those of configuration and processor.
        pipeline: `"module:Class"` of its `image-to-text` pipeline; None where the kind has none.
        tiny: configuration small enough for tests.
        checkpoint: the shipped model's folder name in `checkpoints/`, None where none ships.
        recipe: the training recipe's module, None where there is none.
    """

    model_type: str
    kind: str
    config: str
    model: str
    auto_classes: tuple[str, ...]
    processor: str | None = None
    pipeline: str | None = None
    tiny: dict = field(default_factory=dict)
    checkpoint: str | None = None
    recipe: str | None = None

    def resolve(self, what: str):
        """The class named by the field `what`."""
        module, _, name = getattr(self, what).partition(":")
        return getattr(importlib.import_module(f"hf_medreport.{module}"), name)


TINY_SEGMENTER = {"unet_channels": [4, 8], "unet_size": 16}
TINY_VIT = {
    "model_type": "dinov3_vit",
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_register_tokens": 4,
    "patch_size": 8,
    "image_size": 32,
}
ONE_TOKEN = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
TINY_GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
TINY_GPT2 |= {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
TINY_BERT = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TINY_BERT |= {"intermediate_size": 48, "max_position_embeddings": 24}
TINY_BERT |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
TINY_MEDVILL = {
    "bert": TINY_BERT,
    "image_encoder": "vit",
    "image_encoder_sizes": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "patch_size": 8,
        "image_size": 16,
    },
    "image_size": 32,
    "num_image_embeds": 6,
    "max_text_tokens": 20,
    "cls_token_id": 2,
    "sep_token_id": 3,
}

SYSTEMS = (
    System(
        model_type="anatomical_report",
        kind="report",
        config="modeling.configuration_anatomical_report:AnatomicalReportConfig",
        model="modeling.modeling_anatomical_report:AnatomicalReportForConditionalGeneration",
        auto_classes=("AutoModel", "AutoModelForImageTextToText"),
        processor="processing.processing_anatomical_report:AnatomicalReportProcessor",
        pipeline="processing.pipeline_image_to_text:MedicalReportPipeline",
        tiny={
            "image_size": 32,
            "encoder": TINY_VIT,
            "decoder": TINY_GPT2 | ONE_TOKEN,
            "segmenter": TINY_SEGMENTER,
        },
        checkpoint="anatomical-tiny",
        recipe="training.anatomical",
    ),
    System(
        model_type="histgen",
        kind="report",
        config="modeling.configuration_histgen:HistGenConfig",
        model="modeling.modeling_histgen:HistGenForConditionalGeneration",
        auto_classes=("AutoModel", "AutoModelForImageTextToText"),
        processor="processing.processing_histgen:HistGenProcessor",
        pipeline="processing.pipeline_image_to_text:MedicalReportPipeline",
        tiny={
            "feature_size": 16,
            "visual_size": 24,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "region_size": 4,
            "memory_slots": 12,
            "memory_top_k": 5,
            "num_prototypes": 6,
            "dropout": 0.0,
            "attention_dropout": 0.0,
            "projection_dropout": 0.0,
        },
        checkpoint="histgen-tiny",
        recipe="training.histgen",
    ),
    System(
        model_type="cxr_multitask",
        kind="report",
        config="modeling.configuration_cxr_multitask:CxrMultitaskConfig",
        model="modeling.modeling_cxr_multitask:CxrMultitaskForConditionalGeneration",
        auto_classes=("AutoModel", "AutoModelForImageTextToText"),
        processor="processing.processing_cxr_multitask:CxrMultitaskProcessor",
        pipeline="processing.pipeline_image_to_text:MedicalReportPipeline",
        tiny={
            "image_size": 64,
            "encoder": {"growth_rate": 4, "block_config": [2, 2, 2, 2], "num_init_features": 8, "bn_size": 2},
            "decoder": TINY_GPT2 | ONE_TOKEN,
            "segmenter": TINY_SEGMENTER,
            "decoder_channels": [16, 8, 8, 8, 4],
            "classifier_channels": [16, 8],
            "classifier_dropout": [0.0, 0.0],
            "view_dropout": 0.0,
            "encoder_trainable_last_n": None,
        },
        checkpoint="cxr-multitask-tiny",
        recipe="training.cxr_multitask",
    ),
    System(
        model_type="radscribe",
        kind="report",
        config="modeling.configuration_radscribe:RadScribeConfig",
        model="modeling.modeling_radscribe:RadScribeForConditionalGeneration",
        auto_classes=("AutoModel", "AutoModelForImageTextToText"),
        processor="processing.processing_radscribe:RadScribeProcessor",
        pipeline="processing.pipeline_image_to_text:MedicalReportPipeline",
        tiny={
            "encoder": TINY_MEDVILL,
            "decoder": {
                "d_model": 32,
                "d_ff": 48,
                "d_kv": 8,
                "num_layers": 2,
                "num_heads": 4,
                "dropout_rate": 0.0,
                "eos_token_id": 0,
                "pad_token_id": 0,
                "decoder_start_token_id": 0,
            },
        },
        checkpoint="radscribe-tiny",
        recipe="training.radscribe",
    ),
    System(
        model_type="medvill",
        kind="encoder",
        config="modeling.configuration_medvill:MedViLLConfig",
        model="modeling.modeling_medvill:MedViLLModel",
        auto_classes=("AutoModel",),
        processor="processing.processing_medvill:MedViLLProcessor",
        tiny=TINY_MEDVILL,
        recipe="training.medvill",
    ),
    System(
        model_type="anatomy_segmenter",
        kind="segmenter",
        config="modeling.configuration_anatomy_segmenter:AnatomySegmenterConfig",
        model="modeling.modeling_anatomy_segmenter:AnatomySegmenterForSemanticSegmentation",
        auto_classes=("AutoModel", "AutoModelForSemanticSegmentation"),
        processor="processing.image_processing_film:FilmImageProcessor",
        tiny=TINY_SEGMENTER,
    ),
    System(
        model_type="latent_gpt2",
        kind="causal-lm",
        config="modeling.configuration_latent_gpt2:LatentGPT2Config",
        model="modeling.modeling_latent_gpt2:LatentGPT2LMHeadModel",
        auto_classes=("AutoModel", "AutoModelForCausalLM"),
        tiny={**TINY_GPT2, **ONE_TOKEN, "latent_size": 8},
    ),
    System(
        model_type="report_transformer",
        kind="causal-lm",
        config="modeling.configuration_report_transformer:ReportTransformerConfig",
        model="modeling.modeling_report_transformer:ReportTransformerForCausalLM",
        auto_classes=("AutoModel", "AutoModelForCausalLM"),
        tiny={
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 64,
            "dropout": 0.0,
            **ONE_TOKEN,
        },
    ),
)


def find_system(model_type: object) -> System | None:
    """The row of what a config.json gives as model type; None of a system that this library does not have."""
    return next((row for row in SYSTEMS if row.model_type == model_type), None)


def system(model_type: str) -> System:
    """The row of a model type; InputError names the nearest one for an unknown type."""
    known = {row.model_type: row for row in SYSTEMS}
    if model_type not in known:
        hint = did_you_mean(model_type, known, "use one of these, or load it with its own library")
        raise InputError("model_type", f"'{model_type}'", f"one of {', '.join(known)}", hint)
    return known[model_type]


@cache
def register_auto_classes() -> None:
    """Teach transformers' Auto classes our own, so that a folder loads with the installed code and no remote code."""
    import transformers

    for row in SYSTEMS:
        config, model = row.resolve("config"), row.resolve("model")
        transformers.AutoConfig.register(row.model_type, config)
        for name in row.auto_classes:
            getattr(transformers, name).register(config, model)
        if row.kind in ("report", "encoder"):
            transformers.AutoProcessor.register(config, row.resolve("processor"))
    from hf_medreport.processing.image_processing_film import FilmImageProcessor
    from hf_medreport.processing.image_processing_tile import TileImageProcessor

    # Found by the class name that a folder gives; the configuration is only the key it is filed under.
    for model_type, image_processor in (("anatomy_segmenter", FilmImageProcessor), ("histgen", TileImageProcessor)):
        backends = dict.fromkeys(("pil", "torchvision"), image_processor)  # one class whatever is installed
        config = system(model_type).resolve("config")
        transformers.AutoImageProcessor.register(config, image_processor_classes=backends)
