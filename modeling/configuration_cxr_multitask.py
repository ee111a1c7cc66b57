"""Configuration of the multi-task chest X-ray: two views, two reconstructions, a classification and a report."""

from transformers import PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from .config_error import ConfigError
from .config_fields import refuse_misspelt_fields, refuse_other_values
from .configuration_anatomy_segmenter import AnatomySegmenterConfig
from .configuration_latent_gpt2 import LatentGPT2Config

DENSENET121 = {"growth_rate": 32, "block_config": [6, 12, 24, 16], "num_init_features": 64, "bn_size": 4}
# GPT-2's words and <start>, <end>, <pad>.
WORDS = {"vocab_size": 50260, "bos_token_id": 50257, "eos_token_id": 50258, "pad_token_id": 50259}
WEIGHTS = ("abnormal_weight", "frontal_weight", "lateral_weight", "text_weight")
RECONSTRUCTION_LOSSES = ("bce", "mse", "l1", "ssim", "mse+ssim")


class CxrMultitaskConfig(PreTrainedConfig):
    """What the multi-task model is made of.

    Args:
        encoder: sizes of the DenseNet that both views share; default DenseNet-121, CheXNet's.
        decoder: the GPT-2 that writes. Its `latent_size` is set here: both views' latents side by side. Default:
            GPT-2 base with three more words, <start>, <end> and <pad>.
        segmenter: the lung segmenter as a submodule, by whose mask the frontal film is cropped; None (default) where
            films come cropped or whole, because the notebook's segmenter weights are not public.
        image_size: side in pixels of what the encoder sees; 224 as published. Films of other sizes are resized, which
            is why a model that crops is best given larger ones.
        crop_margin: left around the lungs on every side, as a share of the film's side; the notebook names none.
        encoder_mean, encoder_std: of the three channels; 0 and 1 (default), since the notebook only divides by 255.
            Converted weights may ask for others.
        encoder_trainable_last_n: how many of the encoder's last layers are trained, counted as Keras lists them; 10 as
            published (the last dense layer and the final normalization). None trains all.
        latent_grid: cells a side over which a view is pooled to its latent. 1 (default) is the mean over the film,
            which gives the published width of 2,048; more cells keep where a finding lies, for encoders too small to
            code it in their channels.
        decoder_channels: widths of the five stages of both U-Net decoders; not published, common ones.
        use_skips: True. False is the ablation: with skips a decoder hardly needs the latent to reconstruct a film.
        classifier_channels, classifier_dropout: of the two hidden layers of the classification, as published.
        reconstruction_loss: `"bce"` (default), `"mse"`, `"l1"`, `"ssim"` or `"mse+ssim"`. Not published, but the
            published values (0.23 to 0.29 at an MSE of 0.0005) fit no MSE, and fit cross-entropy on pixels.
        abnormal_weight, frontal_weight, lateral_weight, text_weight: of the four losses. 1, 0.5, 0.5, 1 is what gives
            the published total from its published parts. A weight of 0 switches a task off.
        include_pad_in_loss: False. True also teaches the padding, as the published text loss of 0.0131 suggests.
        view_dropout: 0.1: the share of training cases in which one view's latent is withheld, so that the learned
            substitute of a missing view means something.
        statement: what has to be said beside every report; it travels with the weights. Empty by default.
    """

    model_type = "cxr_multitask"
    sub_configs_defaults = {
        "decoder": SubConfigSpec(config_class=LatentGPT2Config, init_kwargs=WORDS),
        "segmenter": SubConfigSpec(config_class=AnatomySegmenterConfig, optional=True),
    }

    encoder: dict | None = None
    decoder: PreTrainedConfig | dict | None = None
    segmenter: PreTrainedConfig | dict | None = None
    image_size: int = 224
    crop_margin: float = 0.05
    encoder_mean: list[float] | tuple[float, ...] = (0.0, 0.0, 0.0)
    encoder_std: list[float] | tuple[float, ...] = (1.0, 1.0, 1.0)
    encoder_trainable_last_n: int | None = 10
    latent_grid: int = 1
    decoder_channels: list[int] | tuple[int, ...] = (512, 256, 128, 64, 32)
    use_skips: bool = True
    classifier_channels: list[int] | tuple[int, ...] = (512, 256)
    classifier_dropout: list[float] | tuple[float, ...] = (0.3, 0.2)
    reconstruction_loss: str = "bce"
    abnormal_weight: float = 1.0
    frontal_weight: float = 0.5
    lateral_weight: float = 0.5
    text_weight: float = 1.0
    include_pad_in_loss: bool = False
    view_dropout: float = 0.1
    statement: str = ""

    def __post_init__(self, **kwargs):
        refuse_misspelt_fields(self, kwargs)
        refuse_other_values(self, "reconstruction_loss", RECONSTRUCTION_LOSSES)
        self.encoder = {**DENSENET121, **(self.encoder or {})}
        unknown = sorted(set(self.encoder) - set(DENSENET121))
        if unknown:
            raise ConfigError(
                "CxrMultitaskConfig",
                f"encoder field '{unknown[0]}'",
                ", ".join(DENSENET121),
                "correct the configuration",
            )
        if len(self.decoder_channels) != 5:
            raise ConfigError(
                "CxrMultitaskConfig",
                f"{len(self.decoder_channels)} decoder_channels",
                "5, one a doubling",
                "correct the configuration",
            )
        if self.image_size % 32 or self.image_size <= 0:
            raise ConfigError(
                "CxrMultitaskConfig",
                f"image_size={self.image_size}",
                "a multiple of 32, the encoder's stride",
                "choose 224 or another",
            )
        self._refuse_impossible_values()
        super().__post_init__(**kwargs)
        if self.include_pad_in_loss and self.decoder.pad_token_id is None:
            raise ConfigError(
                "CxrMultitaskConfig",
                "include_pad_in_loss and no padding token",
                "a pad_token_id of the decoder",
                "give the tokenizer one",
            )
        self.decoder.latent_size = 2 * self.view_latent_size

    def _refuse_impossible_values(self) -> None:
        """Raise ConfigError at numbers that would train something else than they say, or break much later."""
        last_n, dropout, channels = self.encoder_trainable_last_n, self.classifier_dropout, self.classifier_channels
        blocks = self.encoder["block_config"]
        rules = {name: (getattr(self, name) >= 0, "0 or more") for name in WEIGHTS}
        rules |= {
            "view_dropout": (0 <= self.view_dropout <= 1, "0 to 1"),
            "classifier_dropout": (
                len(dropout) == len(channels) and all(0 <= share <= 1 for share in dropout),
                f"{len(channels)} of 0 to 1, one a hidden layer",
            ),
            "latent_grid": (self.latent_grid >= 1, "1 or more"),
            "encoder_trainable_last_n": (last_n is None or last_n >= 0, "0 or more, or None for all"),
            "encoder_mean": (len(self.encoder_mean) == 3, "3, one a channel"),
            "encoder_std": (len(self.encoder_std) == 3 and min(self.encoder_std) > 0, "3 above 0, one a channel"),
        }
        if not any(getattr(self, name) for name in WEIGHTS):
            raise ConfigError(
                "CxrMultitaskConfig", f"0 in {', '.join(WEIGHTS)}", "one of them above 0", "choose a task"
            )
        for name, (holds, expected) in rules.items():
            if not holds:
                found = f"{name}={getattr(self, name)!r}"
                raise ConfigError("CxrMultitaskConfig", found, expected, "correct the configuration")
        if len(blocks) != 4 or min(blocks) < 1:
            raise ConfigError(
                "CxrMultitaskConfig", f"encoder block_config={blocks!r}", "4 of 1 or more", "correct the configuration"
            )

    @property
    def view_latent_size(self) -> int:
        """Width of one view's latent."""
        width = self.encoder["num_init_features"]
        for index, layers in enumerate(self.encoder["block_config"]):
            width = (width if index == 0 else width // 2) + layers * self.encoder["growth_rate"]
        return width * self.latent_grid**2


__all__ = ["CxrMultitaskConfig"]
