"""Configuration of a GPT-2 that is told in every layer what an image's latent says (the multi-task chest X-ray)."""

from transformers import GPT2Config

from .config_fields import refuse_misspelt_fields, refuse_other_values

INJECTIONS = ("pre_block", "post_block", "embedding_only")


class LatentGPT2Config(GPT2Config):
    """GPT-2's fields, and how the latent reaches its layers.

    Args:
        latent_size: width of the latent; 2,048 is two DenseNet-121 views side by side.
        latent_injection: `"pre_block"` (default) adds the projected latent to the hidden states before every block:
            since a block is pre-norm with a residual, the latent stays in the stream and each layer reads it anew.
            `"post_block"` adds it after every block; `"embedding_only"` once, to the embeddings: the ablation.
        per_layer_projection: False, one projection that all layers share, as in the published system; True gives
            every layer its own.
        zero_init_projection: False. True starts the projection at zero, so that a pretrained GPT-2 begins as itself.
    """

    model_type = "latent_gpt2"

    latent_size: int = 2048
    latent_injection: str = "pre_block"
    per_layer_projection: bool = False
    zero_init_projection: bool = False

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        refuse_other_values(self, "latent_injection", INJECTIONS)
        kwargs.pop("model_type", None)  # a plain GPT-2's, whose configuration may be read as this one
        super().__post_init__(**kwargs)


__all__ = ["LatentGPT2Config"]
