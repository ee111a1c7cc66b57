"""Configuration of layer-wise anatomical attention: image encoder, GPT-2, and a lung-heart prior in every layer."""

from transformers import AutoConfig, GPT2Config, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from .config_fields import refuse_misspelt_fields, refuse_other_values
from .configuration_anatomy_segmenter import AnatomySegmenterConfig

THESIS_ENCODER = {"num_register_tokens": 4, "image_size": 512}
THESIS_DECODER = {"n_positions": 2048}


class AnatomicalReportConfig(PreTrainedConfig):
    """What the report model is made of.

    Args:
        encoder: any vision model of transformers that gives patch tokens (DINOv3, DINOv2, ViT) or a feature map
            (ResNet, ConvNeXt). Default: DINOv3 ViT-S/16 with 4 registers, the thesis' encoder.
        decoder: a GPT-2 of any size. Default: GPT-2 base with 2,048 positions, since 1,024 of them hold the patches of
            a 512 px film.
        segmenter: the anatomy segmenter as a submodule; None (default) when the caller gives `anatomical_masks`,
            because the thesis' segmenter weights are not public. Reports never train it: its masks are thresholded.
        image_size: side in pixels of the square input; 512 in the thesis.
        mask_mode: `"soft"` (default: the thesis' best) adds the prior to the attention logits, `"strict"` also hides
            patches outside it, `"none"` is the ablation without it.
        bias_strength: factor on the prior; 1.0 in the thesis, 2.0 in the author's later rewrite.
        base_kernel, kernel_growth: blur widths by layer, see `anatomical_prior.kernel_schedule`; 3 and 2 in the thesis.
        freeze_encoder: True as in the thesis, whose encoder never got a gradient.
        freeze_decoder: False; the decoder and the projection are what is trained.
        legacy_decode: False. True loses the prior in cached generation as upstream's code does, for
            whoever needs upstream's generated text from converted weights; see the model's docstring.
        statement: what has to be said beside every report, for instance that the model is a test bench; it travels with
            the weights. Empty by default.
    """

    model_type = "anatomical_report"
    sub_configs_defaults = {
        "encoder": SubConfigSpec(config_class=AutoConfig, model_type="dinov3_vit", init_kwargs=THESIS_ENCODER),
        "decoder": SubConfigSpec(config_class=GPT2Config, init_kwargs=THESIS_DECODER),
        "segmenter": SubConfigSpec(config_class=AnatomySegmenterConfig, optional=True),
    }

    encoder: PreTrainedConfig | dict | None = None
    decoder: PreTrainedConfig | dict | None = None
    segmenter: PreTrainedConfig | dict | None = None
    image_size: int = 512
    mask_mode: str = "soft"
    bias_strength: float = 1.0
    base_kernel: int = 3
    kernel_growth: int = 2
    freeze_encoder: bool = True
    freeze_decoder: bool = False
    legacy_decode: bool = False
    statement: str = ""

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        refuse_other_values(self, "mask_mode", ("none", "soft", "strict"))
        super().__post_init__(**kwargs)


__all__ = ["AnatomicalReportConfig"]
