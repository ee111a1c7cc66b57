"""Configuration of the policy, which scores how well a picture fits its prompt."""

from transformers import AutoConfig, PreTrainedConfig, ViTConfig
from transformers.configuration_utils import SubConfigSpec

from .config_fields import refuse_other_values
from .configuration_picture_reward import PictureRewardConfig

# A ViT-B on gray pictures of 256 px, as the seed has it.
VISION = {"image_size": 256, "num_channels": 1}
VISION |= {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}


class PolicyConfig(PictureRewardConfig):
    """What the policy is made of: the fields of `PictureRewardConfig`, and

    Args:
        text_config: any text encoder of transformers; default: a BERT base, the seed's BiomedBERT.
        pooling: what stands for the prompt: `"cls"` (default), the first state, or `"mean"`, that of all its tokens.
        max_text_tokens: most tokens of a prompt; 256 in the seed.
        freeze_text: True as in the seed: the text encoder is not trained.
        product_size: width of a product of both states that stands beside them; 0 (default) as in the seed: none.
        contrast: weight of a second loss in training on ratings: which of the batch's prompts a picture rated above 1
            belongs to; 0 (default) as in the seed: none.
    """

    model_type = "policy"
    sub_configs_defaults = {
        "vision_config": SubConfigSpec(config_class=ViTConfig, init_kwargs=VISION),
        "text_config": SubConfigSpec(config_class=AutoConfig, model_type="bert"),
    }

    text_config: PreTrainedConfig | dict | None = None
    head_sizes: list[int] | tuple[int, ...] = (768, 384)
    pooling: str = "cls"
    max_text_tokens: int = 256
    freeze_text: bool = True
    product_size: int = 0
    contrast: float = 0.0

    def __post_init__(self, **kwargs):
        refuse_other_values(self, "pooling", ("cls", "mean"))
        super().__post_init__(**kwargs)
        for name in ("product_size", "contrast"):
            if getattr(self, name) < 0:
                self.refuse(f"{name}={getattr(self, name)}", "0 or more")
        places = getattr(self.text_config, "max_position_embeddings", None)
        if places is not None and not 2 <= self.max_text_tokens <= places:
            self.refuse(f"max_text_tokens={self.max_text_tokens}", f"2 to {places}, the text encoder's positions")


__all__ = ["PolicyConfig"]
