"""The rows of radscribe and of medvill, its encoder alone, whose room this is too."""

from hf_medreport.registry import System

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
TINY_T5 = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.0}
TINY_T5 |= {"eos_token_id": 0, "pad_token_id": 0, "decoder_start_token_id": 0}
MEDVILL_BIBTEX = """@article{moon2022multi,
  title = {Multi-Modal Understanding and Generation for Medical Images and Text via Vision-Language Pre-Training},
  author = {Moon, Jong Hak and Lee, Hyungyung and Shin, Woncheol and Kim, Young-Hak and Choi, Edward},
  journal = {IEEE Journal of Biomedical and Health Informatics},
  year = {2022},
  note = {arXiv 2105.11333}
}"""
BIBTEX = (
    """@misc{radscribe,
  title = {RadScribe},
  author = {{Nouvelle-Lune}},
  howpublished = {\\url{https://github.com/Nouvelle-Lune/RadScribe}}
}

"""
    + MEDVILL_BIBTEX
)

ROWS = (
    System(
        model_type="radscribe",
        kind="report",
        config="hf_medreport.modeling.configuration_radscribe:RadScribeConfig",
        model="hf_medreport.modeling.modeling_radscribe:RadScribeForConditionalGeneration",
        auto_classes=("AutoModel", "AutoModelForImageTextToText"),
        processor="hf_medreport.processing.processing_radscribe:RadScribeProcessor",
        pipeline="hf_medreport.processing.pipeline_image_to_text:MedicalReportPipeline",
        reads="film",
        given=("labels",),
        text_metrics=("bleu4", "meteor", "rougeL", "cider", "token_f1", "chexpert_f1"),
        check="hf_medreport.systems.radscribe.check:label_tokenizer",
        card="hf_medreport.systems.radscribe.card:radscribe_card",
        tiny={"encoder": TINY_MEDVILL, "decoder": TINY_T5},
        checkpoint="radscribe-tiny",
        extras=("cxr",),
        recipe="hf_medreport.systems.radscribe.recipe",
        converters={"radscribe": "hf_medreport.systems.radscribe.command:radscribe"},
        citation=BIBTEX,
    ),
    System(
        model_type="medvill",
        kind="encoder",
        config="hf_medreport.modeling.configuration_medvill:MedViLLConfig",
        model="hf_medreport.modeling.modeling_medvill:MedViLLModel",
        auto_classes=("AutoModel",),
        processor="hf_medreport.processing.processing_medvill:MedViLLProcessor",
        card="hf_medreport.systems.radscribe.card:medvill_card",
        tiny=TINY_MEDVILL,
        recipe="hf_medreport.systems.radscribe.pretrain_medvill",
        converters={"medvill": "hf_medreport.systems.radscribe.command:medvill"},
        citation=MEDVILL_BIBTEX,
    ),
)
