"""The rows of anatomical_report and of the anatomy_segmenter that it carries, whose room this is too."""

from hf_medreport.registry import System

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
TINY_GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
TINY_GPT2 |= {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
ONE_TOKEN = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
BIBTEX = """@misc{munizdeleon2025radiology,
  title = {Radiology Report Generation with Layer-Wise Anatomical Attention},
  author = {Mu\\~niz-De-Le\\'on, Emmanuel D. and Rosales-de-Golferichs, Jorge A. and Mu\\~noz-Rodr\\'iguez, Ana S. and
    Trejo-Castro, Alejandro I. and de Avila-Armenta, Eduardo and Mart\\'inez-Torteya, Antonio},
  year = {2025},
  eprint = {2512.16841},
  archivePrefix = {arXiv}
}"""

ROWS = (
    System(
        model_type="anatomical_report",
        kind="report",
        config="hf_medreport.modeling.configuration_anatomical_report:AnatomicalReportConfig",
        model="hf_medreport.modeling.modeling_anatomical_report:AnatomicalReportForConditionalGeneration",
        auto_classes=("AutoModel", "AutoModelForImageTextToText"),
        processor="hf_medreport.processing.processing_anatomical_report:AnatomicalReportProcessor",
        pipeline="hf_medreport.processing.pipeline_image_to_text:MedicalReportPipeline",
        reads="film",
        given=("mask",),
        card="hf_medreport.systems.anatomical.card:card",
        tiny={"image_size": 32, "encoder": TINY_VIT, "decoder": TINY_GPT2 | ONE_TOKEN, "segmenter": TINY_SEGMENTER},
        checkpoint="anatomical-tiny",
        default=True,
        recipe="hf_medreport.systems.anatomical.recipe",
        converters={"anatomical": "hf_medreport.systems.anatomical.command:anatomical"},
        citation=BIBTEX,
    ),
    System(
        model_type="anatomy_segmenter",
        kind="segmenter",
        config="hf_medreport.modeling.configuration_anatomy_segmenter:AnatomySegmenterConfig",
        model="hf_medreport.modeling.modeling_anatomy_segmenter:AnatomySegmenterForSemanticSegmentation",
        auto_classes=("AutoModel", "AutoModelForSemanticSegmentation"),
        processor="hf_medreport.processing.image_processing_film:FilmImageProcessor",
        image_processor="hf_medreport.processing.image_processing_film:FilmImageProcessor",
        tiny=TINY_SEGMENTER,
        citation=BIBTEX,
    ),
)
