"""Words and a modality as what a diffusion U-Net is conditioned on.

Any text encoder of transformers (PubMedBERT, ClinicalBERT, BioBERT, CLIP, T5 ...) gives a state a token and one pooled
state. What it adds to MINIM, which never reads its modality column, and to its successor, which lets the U-Net attend
to padding:

- a table of modalities; the modality is fused into tokens and pooled state by a Hadamard product,
  `x + W_o((W_x x) * (W_m m))`, with W_o zero at the start: the encoder is unchanged until it is trained;
- the mask of the tokens, for the U-Net's cross-attention;
- the null text (the empty prompt) and the null modality (id 0), for guidance.

    conditioner = MedicalTextConditioner.from_text_encoder("folder/of/PubMedBERT", modalities=[{"name": "cxr"}])
    tokens, pooled, mask = conditioner(input_ids, attention_mask, modality_ids).to_tuple()

This file imports no sibling: a component of a diffusers folder is downloaded from the Hub as one file.
"""

import difflib
import inspect
import os
import shutil
from dataclasses import dataclass

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.configuration_utils import SubConfigSpec
from transformers.utils import ModelOutput

POOLING = ("cls", "mean", "pooler")


class ConfigError(ValueError):
    """A configuration or an input that cannot be used: what, what was found, what was expected, what to do."""

    def __init__(self, name: str, found: str, expected: str, remedy: str):
        self.name, self.found, self.expected, self.remedy = name, found, expected, remedy
        super().__init__(f"{name}: found {found}; expected {expected}; {remedy}")

    def __reduce__(self):  # survives the way back from a worker
        return type(self), (self.name, self.found, self.expected, self.remedy)


class MedicalTextConditionerConfig(PreTrainedConfig):
    """What the conditioner is made of.

    Args:
        text_config: the text encoder's configuration, with its `model_type`; default: a BERT.
        modalities: one a modality, as `{"name": "cxr", "aliases": ["X-Ray"], "template": "Chest X-ray: {prompt}",
            "gray": True}`; name alone is needed. Pictures of a gray one are drawn without color. None at all (default):
            no modality is read, and nothing is fused.
        max_length: most tokens of a prompt; 256.
        cross_attention_dim: width of the tokens that are returned, by a projection; None (default): the encoder's.
        pooling: what stands for the whole prompt: `"cls"` (the first state, default), `"mean"` (of all states but
            padding) or `"pooler"` (what the encoder itself pools, such as CLIP's last token).
        attend_padding: False. True pads every prompt to `max_length` and hides nothing, as Stable Diffusion was
            trained.
    """

    model_type = "medical_text_conditioner"
    sub_configs_defaults = {"text_config": SubConfigSpec(config_class=AutoConfig, model_type="bert")}

    text_config: PreTrainedConfig | dict | None = None
    modalities: list[dict] | tuple[dict, ...] = ()
    max_length: int = 256
    cross_attention_dim: int | None = None
    pooling: str = "cls"
    attend_padding: bool = False

    def __post_init__(self, **kwargs):
        fields = inspect.signature(type(self)).parameters
        for key in kwargs:
            nearest = difflib.get_close_matches(key, fields, n=1, cutoff=0.8)
            if nearest:
                raise ConfigError(
                    type(self).__name__, f"unknown field '{key}'", "one of its fields", f"did you mean '{nearest[0]}'?"
                )
        super().__post_init__(**kwargs)
        self.modalities = [dict(modality) for modality in self.modalities]
        if self.pooling not in POOLING:
            self._refuse(f"pooling={self.pooling!r}", f"one of {', '.join(POOLING)}")
        if self.max_length < 2:
            self._refuse(f"max_length={self.max_length}", "2 or more, for the encoder's own marks take two")
        places = getattr(self.text_config, "max_position_embeddings", None)
        if places is not None and self.max_length > places:
            self._refuse(f"max_length={self.max_length}", f"at most {places}, the text encoder's positions")
        taken = {}
        for modality in self.modalities:
            if not modality.get("name") or set(modality) - {"name", "aliases", "template", "gray"}:
                self._refuse(f"modality {modality!r}", "a name, and aliases, a template, gray where there are some")
            if "{prompt}" not in (modality.get("template") or "{prompt}"):
                self._refuse(f"template {modality['template']!r}", "one with {prompt} in it")
            for name in {_plain(each) for each in (modality["name"], *(modality.get("aliases") or ()))}:
                if name in taken:
                    self._refuse(f"'{name}' of '{modality['name']}' and '{taken[name]}'", "a name of one modality")
                taken[name] = modality["name"]

    def _refuse(self, found: str, expected: str) -> None:
        raise ConfigError("MedicalTextConditionerConfig", found, expected, "correct the configuration")


@dataclass
class ConditionerOutput(ModelOutput):
    """What a batch of prompts is to the U-Net.

    Attributes:
        tokens: (batch, tokens, cross_attention_dim or the encoder's width).
        pooled: (batch, the encoder's width).
        mask: (batch, tokens), 1 where the U-Net may look.
    """

    tokens: torch.Tensor | None = None
    pooled: torch.Tensor | None = None
    mask: torch.Tensor | None = None


class HadamardFusion(nn.Module):
    """`x + W_o((W_x x) * (W_m m))`, the identity while W_o is zero."""

    def __init__(self, width: int):
        super().__init__()
        self.of_text = nn.Linear(width, width)
        self.of_modality = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        # Both factors of about 1, or their product would teach the last layer next to nothing.
        self.of_text.spread_at_start = self.of_modality.spread_at_start = width**-0.5
        self.out.spread_at_start = 0.0

    def forward(self, text: torch.Tensor, modality: torch.Tensor) -> torch.Tensor:
        """`text` (batch, ..., width); `modality` broadcasts to it."""
        return text + self.out(self.of_text(text) * self.of_modality(modality))


class MedicalTextConditioner(PreTrainedModel):
    """A text encoder, a table of modalities, and their fusion."""

    config_class = MedicalTextConditionerConfig
    base_model_prefix = "conditioner"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config: MedicalTextConditionerConfig):
        super().__init__(config)
        self.encoder = _auto_class(config.text_config).from_config(config.text_config)
        if config.pooling != "pooler" and getattr(self.encoder, "pooler", None) is not None:
            self.encoder.pooler = None  # as with add_pooling_layer=False: what is never used is not trained
        width = config.text_config.hidden_size
        if config.modalities:
            self.modality = nn.Embedding(len(config.modalities) + 1, width)
            self.modality.spread_at_start = 1.0
            self.fuse_tokens, self.fuse_pooled = HadamardFusion(width), HadamardFusion(width)
        if config.cross_attention_dim is not None:
            self.projection = nn.Linear(width, config.cross_attention_dim)
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if hasattr(module, "spread_at_start"):
            init.normal_(module.weight, std=module.spread_at_start)

    @classmethod
    def from_text_encoder(
        cls, encoder: str | os.PathLike | PreTrainedModel, *, modalities=(), **config
    ) -> "MedicalTextConditioner":
        """A conditioner around a pretrained text encoder.

        Args:
            encoder: its folder or repo id, or the loaded model (as the `text_encoder` of a Stable Diffusion).
            modalities: as in the configuration.
            config: other fields of `MedicalTextConditionerConfig`. `max_length` is cut to the encoder's positions.

        Raises:
            ConfigError: the weights lack some of the encoder's.
        """
        if isinstance(encoder, PreTrainedModel):
            text_config, weights = encoder.config, encoder.state_dict()
        else:
            text_config = AutoConfig.from_pretrained(encoder)
            text_config = getattr(text_config, "text_config", text_config)  # of a whole CLIP
            weights = _auto_class(text_config).from_pretrained(encoder, config=text_config).state_dict()
        places = getattr(text_config, "max_position_embeddings", None)
        wanted = config.pop("max_length", 256)
        config["max_length"] = wanted if places is None else min(wanted, places)
        model = cls(cls.config_class(text_config=text_config.to_dict(), modalities=modalities, **config))
        missing = model.encoder.load_state_dict(weights, strict=False).missing_keys
        if missing:
            raise ConfigError("encoder", f"no weights '{missing[0]}'", "a whole text encoder", "name another")
        return model.eval()

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs) -> None:
        """Write weights, configuration and this file, so that `AutoModel` loads the folder with `trust_remote_code`."""
        own = os.path.splitext(os.path.basename(inspect.getsourcefile(type(self))))[0]
        self.config.auto_map = {
            "AutoConfig": f"{own}.{self.config_class.__name__}",
            "AutoModel": f"{own}.{type(self).__name__}",
        }
        super().save_pretrained(save_directory, **kwargs)
        shutil.copyfile(inspect.getsourcefile(type(self)), os.path.join(save_directory, f"{own}.py"))

    def get_input_embeddings(self) -> nn.Module:
        return self.encoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.encoder.set_input_embeddings(value)

    def modality_id(self, name: str | None) -> int:
        """The number of a modality by its name or an alias, in any case and with blanks or hyphens; 0 of None.

        Raises:
            ConfigError: there is none of that name; the nearest is told.
        """
        if name is None:
            return 0
        ids = {}
        for number, modality in enumerate(self.config.modalities, 1):
            ids |= dict.fromkeys(map(_plain, (modality["name"], *(modality.get("aliases") or ()))), number)
        if _plain(name) in ids:
            return ids[_plain(name)]
        known = ", ".join(modality["name"] for modality in self.config.modalities)
        if not known:
            raise ConfigError("modality", f"'{name}'", "none, for this model reads no modality", "leave it out")
        nearest = difflib.get_close_matches(_plain(name), ids, n=1)
        remedy = "use one of these"
        if nearest:
            remedy = f"did you mean '{self.config.modalities[ids[nearest[0]] - 1]['name']}'?"
        raise ConfigError("modality", f"'{name}'", f"one of {known}", remedy)

    def is_gray(self, name: str | None) -> bool:
        """Whether pictures of a modality have no color; False where none is named.

        Raises:
            ConfigError: there is none of that name.
        """
        number = self.modality_id(name)
        return bool(number and self.config.modalities[number - 1].get("gray"))

    def in_words(self, prompt: str, modality: str | None) -> str:
        """A prompt in its modality's template; an empty prompt stays empty, for it is the null text."""
        number = self.modality_id(modality)
        template = self.config.modalities[number - 1].get("template") if number else None
        return template.replace("{prompt}", prompt) if template and prompt.strip() else prompt

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        modality_ids: torch.Tensor | None = None,
    ) -> ConditionerOutput:
        """States of prompts.

        Args:
            input_ids: (batch, tokens).
            attention_mask: (batch, tokens), 0 on padding; None: there is none.
            modality_ids: (batch,) of `modality_id`; None: the null modality.
        """
        if self.config.attend_padding or attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        # Stable Diffusion calls its CLIP without a mask: the same kernel, the same bits.
        mask = None if self.config.attend_padding else attention_mask
        states = self.encoder(input_ids=input_ids, attention_mask=mask)
        tokens = states.last_hidden_state
        if self.config.pooling == "pooler":
            pooled = states.pooler_output
        elif self.config.pooling == "cls":
            pooled = tokens[:, 0]
        else:
            weights = attention_mask.to(tokens.dtype).unsqueeze(-1)
            pooled = (tokens * weights).sum(1) / weights.sum(1).clamp(min=1)
        if self.config.modalities:
            if modality_ids is None:
                modality_ids = input_ids.new_zeros(len(input_ids))
            modality = self.modality(modality_ids)
            tokens, pooled = self.fuse_tokens(tokens, modality[:, None]), self.fuse_pooled(pooled, modality)
        if self.config.cross_attention_dim is not None:
            tokens = self.projection(tokens)
        return ConditionerOutput(tokens=tokens, pooled=pooled, mask=attention_mask)


def _auto_class(text_config: PreTrainedConfig):
    """What builds and loads a text encoder: for T5 its encoder alone, where there is such a choice."""
    return AutoModelForTextEncoding if type(text_config) in AutoModelForTextEncoding._model_mapping else AutoModel


def _plain(name: str) -> str:
    """A modality's name as it is compared: "X-Ray", "x ray" and "XRay" are one."""
    return "".join(letter for letter in str(name).casefold() if letter.isalnum())


__all__ = ["ConditionerOutput", "MedicalTextConditioner", "MedicalTextConditionerConfig"]
