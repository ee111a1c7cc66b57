"""Configuration of the lung and heart segmenter that gives layer-wise anatomical attention its anatomical prior."""

from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from .config_fields import refuse_misspelt_fields, refuse_other_values


class AnatomySegmenterConfig(PreTrainedConfig):
    """What the segmenter is made of.

    Args:
        architecture: `"unet"` (default: small enough for a CPU) or `"convnext"`, the thesis' head on ConvNeXt features.
        backbone: configuration of the feature extractor, `"convnext"` only; the thesis takes
            `facebook/dinov3-convnext-small-pretrain-lvd1689m`.
        head_channels: widths of the four head stages before the logits; 512, 256, 128, 64 in the thesis.
        unet_channels: widths of the U-Net from the finest level down; three levels see 1/4 of the working image.
        unet_size: side in pixels at which the U-Net works; 64 is what the thesis' head puts out, and enough for a
            prior that is blurred on a grid of 32.
        num_channels: channels of the image; films are repeated to 3 for encoders made for photographs.
    """

    model_type = "anatomy_segmenter"
    sub_configs_defaults = {
        "backbone": SubConfigSpec(config_class=AutoConfig, model_type="dinov3_convnext", optional=True)
    }

    architecture: str = "unet"
    backbone: PreTrainedConfig | dict | None = None
    head_channels: list[int] | tuple[int, ...] = (512, 256, 128, 64)
    unet_channels: list[int] | tuple[int, ...] = (8, 16, 32)
    unet_size: int = 64
    num_channels: int = 3

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        refuse_other_values(self, "architecture", ("unet", "convnext"))
        if self.architecture == "convnext" and self.backbone is None:
            self.backbone = {"model_type": "dinov3_convnext"}
        kwargs.setdefault("num_labels", 2)
        super().__post_init__(**kwargs)
        self.id2label = {0: "lung", 1: "heart"}
        self.label2id = {"lung": 0, "heart": 1}


__all__ = ["AnatomySegmenterConfig"]
