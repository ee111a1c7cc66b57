"""The rows of cxr_multitask and of latent_gpt2, its decoder alone, whose room this is too."""

from hf_medreport.registry import System

TINY_GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
TINY_GPT2 |= {"resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0}
ONE_TOKEN = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
BIBTEX = """@misc{chestxraymultitask,
  title = {chest-xray-multitask-ai},
  author = {{Daniel-Sensei}},
  howpublished = {\\url{https://github.com/Daniel-Sensei/chest-xray-multitask-ai}}
}"""

ROWS = (
    System(
        model_type="cxr_multitask",
        kind="report",
        config="hf_medreport.modeling.configuration_cxr_multitask:CxrMultitaskConfig",
        model="hf_medreport.modeling.modeling_cxr_multitask:CxrMultitaskForConditionalGeneration",
        auto_classes=("AutoModel", "AutoModelForImageTextToText"),
        processor="hf_medreport.processing.processing_cxr_multitask:CxrMultitaskProcessor",
        pipeline="hf_medreport.processing.pipeline_image_to_text:MedicalReportPipeline",
        reads="pair",
        given=("mask",),
        text_metrics=("bleu4", "rougeL"),
        tasks=(
            "hf_medreport.evaluation.phantom.tasks:evaluate_multitask",
            "hf_medreport.evaluation.phantom.tasks:tasks_table",
        ),
        card="hf_medreport.systems.cxr_multitask.card:card",
        tiny={
            "image_size": 64,
            "encoder": {"growth_rate": 4, "block_config": [2, 2, 2, 2], "num_init_features": 8, "bn_size": 2},
            "decoder": TINY_GPT2 | ONE_TOKEN,
            "segmenter": {"unet_channels": [4, 8], "unet_size": 16},
            "decoder_channels": [16, 8, 8, 8, 4],
            "classifier_channels": [16, 8],
            "classifier_dropout": [0.0, 0.0],
            "view_dropout": 0.0,
            "encoder_trainable_last_n": None,
        },
        checkpoint="cxr-multitask-tiny",
        default=True,
        extras=("cxr",),
        recipe="hf_medreport.systems.cxr_multitask.recipe",
        converters={"chexnet": "hf_medreport.systems.cxr_multitask.command:chexnet"},
        citation=BIBTEX,
    ),
    System(
        model_type="latent_gpt2",
        kind="causal-lm",
        config="hf_medreport.modeling.configuration_latent_gpt2:LatentGPT2Config",
        model="hf_medreport.modeling.modeling_latent_gpt2:LatentGPT2LMHeadModel",
        auto_classes=("AutoModel", "AutoModelForCausalLM"),
        tiny=TINY_GPT2 | ONE_TOKEN | {"latent_size": 8},
        citation=BIBTEX,
    ),
)
