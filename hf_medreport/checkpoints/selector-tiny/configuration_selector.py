"""Configuration of the selector, which scores how good a picture is."""

from transformers import ViTConfig
from transformers.configuration_utils import SubConfigSpec

from .configuration_picture_reward import PictureRewardConfig

# A ViT of 6 layers on gray pictures of 256 px, as the seed has it.
VISION = {"image_size": 256, "num_channels": 1, "num_hidden_layers": 6, "intermediate_size": 2048}
VISION |= {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}


class SelectorConfig(PictureRewardConfig):
    """What the selector is made of: the fields of `PictureRewardConfig`, and

    Args:
        min_snr: the least signal to noise ratio of a picture; 1.0 as in the seed, by another definition, see
            `modeling_selector`. 0 lets every picture pass.
        min_contrast: the least distance of its brightest from its darkest gray value in [0, 1]; 0.3 as in the seed.
    """

    model_type = "selector"
    sub_configs_defaults = {"vision_config": SubConfigSpec(config_class=ViTConfig, init_kwargs=VISION)}

    min_snr: float = 1.0
    min_contrast: float = 0.3

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.min_snr < 0:
            self.refuse(f"min_snr={self.min_snr}", "0 or more")
        if not 0 <= self.min_contrast <= 1:
            self.refuse(f"min_contrast={self.min_contrast}", "0 to 1")


__all__ = ["SelectorConfig"]
