"""diffusers' conditional U-Net with improvements for medical pictures, each switched on by its configuration.

With none switched on it is `UNet2DConditionModel`, and Stable Diffusion's weights load by name. Each improvement starts
as the identity (its last weights are zero), so a pretrained U-Net goes on from where it was:

| switch | what it adds |
|---|---|
| `skip_gates` | attention gates (Oktay et al., 2018) on the skips: `x + gamma (a x - x)`, a in (0, 1) a pixel |
| `pyramid_levels` | attention from every place to the feature pooled to 1, 2, 4 cells a side, after PMTrans |
| `extra_transformer_levels` | a transformer with self- and cross-attention where Stable Diffusion has none |
| `fpn_width` | a feature pyramid (Lin et al., 2017) over all scales of the decoder, added to the last feature |
| `class_embed_type="projection"` | the pooled prompt, added to the time embedding |

    unet = MedicalUNet2DConditionModel.from_stock("sd/unet", skip_gates=True, fpn_width=64)
    noise = unet(latents, timestep, tokens, class_labels=pooled, encoder_attention_mask=mask).sample

Residuals of ControlNets and adapters are not taken. Read such a folder with this class: the stock class drops what it
does not know with a log line.

This file imports no sibling: a component of a diffusers folder is downloaded from the Hub as one file.
"""

import inspect
import os

import torch
import torch.nn.functional as F
from diffusers import Transformer2DModel, UNet2DConditionModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from diffusers.utils.peft_utils import apply_lora_scale
from torch import nn

# The switches beside the stock configuration. A place is "down.I" (after that down block), "mid" or "up.I".
SWITCHES = {
    "skip_gates": False,
    "gate_width": 64,  # channels in which a gate compares skip and decoder
    "gate_channels": False,  # whether a gate also weighs channels, by squeeze and excitation
    "pyramid_levels": (),  # places
    "pyramid_grids": (1, 2, 4),  # cells a side
    "extra_transformer_levels": (),  # places
    "fpn_width": 0,  # channels; 0: no feature pyramid
}
PYRAMID_WIDTH = 256  # most channels of its queries, keys and values
NEW = ("gates.", "pyramids.", "extra_transformers.", "fpn.", "class_embedding.")  # what stock weights may lack


class ConfigError(ValueError):
    """A configuration or an input that cannot be used: what, what was found, what was expected, what to do."""

    def __init__(self, name: str, found: str, expected: str, remedy: str):
        self.name, self.found, self.expected, self.remedy = name, found, expected, remedy
        super().__init__(f"{name}: found {found}; expected {expected}; {remedy}")

    def __reduce__(self):  # survives the way back from a worker
        return type(self), (self.name, self.found, self.expected, self.remedy)


def zeroed(module: nn.Module) -> nn.Module:
    """The module with all of its parameters zero."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


class SkipGate(nn.Module):
    """`x + gamma (a x - x)`, `a = sigmoid(psi(relu(theta x + phi g)))` a pixel; with `channels_too` times a weight a
    channel. Gamma, one a channel, starts at 0."""

    def __init__(self, channels: int, signal: int, width: int, channels_too: bool):
        super().__init__()
        self.theta, self.phi = nn.Conv2d(channels, width, 1), nn.Conv2d(signal, width, 1)
        self.psi = nn.Conv2d(width, 1, 1)
        if channels_too:
            self.squeeze, self.excite = nn.Conv2d(channels, width, 1), nn.Conv2d(width, channels, 1)
        self.channels_too = channels_too
        self.gamma = nn.Parameter(torch.zeros(channels, 1, 1))

    def attention(self, skip: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
        """(batch, 1 or channels, height, width), in (0, 1)."""
        weights = torch.sigmoid(self.psi(F.relu(self.theta(skip) + self.phi(signal))))
        if self.channels_too:
            mean = skip.mean((2, 3), keepdim=True)
            weights = weights * torch.sigmoid(self.excite(F.relu(self.squeeze(mean))))
        return weights

    def forward(self, skip: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
        """`skip` (batch, channels, height, width) of the encoder, `signal` of the decoder, at the same places."""
        return skip * (1 + self.gamma * (self.attention(skip, signal) - 1))


class PyramidAttention(nn.Module):
    """Queries from every place; keys and values from the feature pooled to grids of a few cells a side."""

    def __init__(self, channels: int, heads: int, grids: tuple[int, ...], groups: int):
        super().__init__()
        width = max(heads, min(channels, PYRAMID_WIDTH) // heads * heads)
        self.heads, self.grids = heads, tuple(grids)
        self.norm = nn.GroupNorm(groups, channels)
        self.to_q, self.to_kv = nn.Linear(channels, width), nn.Linear(channels, 2 * width)
        self.to_out = zeroed(nn.Linear(width, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, channels, height, width), any size."""
        y = self.norm(x)
        cells = torch.cat([F.adaptive_avg_pool2d(y, grid).flatten(2) for grid in self.grids], 2).transpose(1, 2)
        queries = self._heads(self.to_q(y.flatten(2).transpose(1, 2)))
        keys, values = map(self._heads, self.to_kv(cells).chunk(2, -1))
        seen = F.scaled_dot_product_attention(queries, keys, values)
        seen = seen.transpose(1, 2).flatten(2)  # (batch, heads, places, dim) -> (batch, places, width)
        return x + self.to_out(seen).transpose(1, 2).unflatten(2, x.shape[-2:])

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (batch, n, width) -> (batch, heads, n, dim)


class FeaturePyramid(nn.Module):
    """Each scale of the decoder by a 1x1 to one width, added up from coarse to fine, smoothed, added to the finest."""

    def __init__(self, channels: list[int], width: int):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(each, width, 1) for each in channels)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)
        self.out = zeroed(nn.Conv2d(width, channels[-1], 1))

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """Features from coarse to fine, each (batch, channels, height, width) of its own size."""
        total = self.lateral[0](levels[0])
        for lateral, level in zip(self.lateral[1:], levels[1:], strict=True):
            total = lateral(level) + F.interpolate(total, size=level.shape[-2:], mode="nearest")
        return levels[-1] + self.out(F.silu(self.smooth(total)))


class MedicalUNet2DConditionModel(UNet2DConditionModel):
    """The stock U-Net with `SWITCHES`.

    Args:
        kwargs: the configuration of `UNet2DConditionModel`, and any of `SWITCHES`.

    Raises:
        ConfigError: a switch that cannot be, or a stock setting that this forward does not serve.
    """

    def __init__(self, **kwargs):
        switches = {name: kwargs.pop(name, default) for name, default in SWITCHES.items()}
        super().__init__(**kwargs)
        self.register_to_config(**switches)
        self.gradient_checkpointing = False
        self._refuse_impossible_values()
        config, channels = self.config, list(self.config.block_out_channels)
        up = channels[::-1]
        places = {f"down.{index}": width for index, width in enumerate(channels)} | {"mid": channels[-1]}
        places |= {f"up.{index}": width for index, width in enumerate(up)}
        # diffusers' old name: what the configuration calls a head's size is the number of heads.
        heads = config.num_attention_heads or config.attention_head_dim
        heads = heads if isinstance(heads, int) else heads[0]
        if config.skip_gates:
            self.gates = self._skip_gates(channels, up)
        if config.pyramid_levels:
            self.pyramids = self._at_places(
                "pyramid_levels",
                places,
                lambda width: PyramidAttention(width, heads, config.pyramid_grids, config.norm_num_groups),
            )
        if config.extra_transformer_levels:
            self.extra_transformers = self._at_places(
                "extra_transformer_levels", places, lambda width: self._transformer(width, heads)
            )
        if config.fpn_width:
            self.fpn = FeaturePyramid(up, config.fpn_width)
        if config.class_embed_type == "projection":
            zeroed(self.class_embedding.linear_2)

    def _refuse_impossible_values(self) -> None:
        config = self.config
        for name, served in (("addition_embed_type", None), ("class_embeddings_concat", False)):
            if config[name] != served:
                raise ConfigError(name, repr(config[name]), f"{served!r}", "use the stock class for it")
        for name in ("gate_width", "fpn_width"):
            if config[name] < 0 or (name == "gate_width" and config[name] == 0):
                raise ConfigError(name, str(config[name]), "a number of channels", "correct the configuration")
        if not config.pyramid_grids or min(config.pyramid_grids) < 1:
            raise ConfigError(
                "pyramid_grids", str(config.pyramid_grids), "cells a side, 1 or more", "correct the configuration"
            )

    def _skip_gates(self, channels: list[int], up: list[int]) -> nn.ModuleList:
        """A list of gates for each up block, in the order of its skips."""
        skips = [channels[0]]  # conv_in, then what each down block leaves: its residual blocks, its downsampler
        for width, block in zip(channels, self.down_blocks, strict=True):
            skips += [width] * (len(block.resnets) + (block.downsamplers is not None))
        gates = nn.ModuleList()
        for signal, block in zip([up[0], *up[:-1]], self.up_blocks, strict=True):
            count = len(block.resnets)
            widths, skips = skips[-count:], skips[:-count]
            gates.append(
                nn.ModuleList(
                    SkipGate(width, signal, self.config.gate_width, self.config.gate_channels) for width in widths
                )
            )
        return gates

    def _transformer(self, width: int, heads: int) -> Transformer2DModel:
        """One with self- and cross-attention whose last projection is zero."""
        config = self.config
        dim = config.cross_attention_dim
        transformer = Transformer2DModel(
            heads,
            width // heads,
            width,
            norm_num_groups=config.norm_num_groups,
            cross_attention_dim=dim if isinstance(dim, int) else dim[-1],
        )
        zeroed(transformer.proj_out)
        return transformer

    def _at_places(self, switch: str, places: dict[str, int], make) -> nn.ModuleDict:
        """A module at each place that a switch names; a ModuleDict allows no dots in names."""
        unknown = [place for place in self.config[switch] if place not in places]
        if unknown:
            raise ConfigError(switch, repr(unknown[0]), f"some of {', '.join(places)}", "correct the configuration")
        return nn.ModuleDict({_name(place): make(places[place]) for place in self.config[switch]})

    @classmethod
    def from_stock(cls, unet: UNet2DConditionModel | str | os.PathLike, **switches) -> "MedicalUNet2DConditionModel":
        """A stock U-Net's weights, taken by name, with improvements switched on.

        Args:
            unet: the loaded model, or its folder (`stable-diffusion/unet`).
            switches: any of `SWITCHES`, and settings of the stock configuration, such as `class_embed_type`.

        Raises:
            ConfigError: a switch of another name, a weight that is missing, too many or of another shape.
        """
        if not isinstance(unet, UNet2DConditionModel):
            unet = UNet2DConditionModel.from_pretrained(unet)
        known = inspect.signature(cls.__init__).parameters
        for name in switches:
            if name not in known:
                raise ConfigError("from_stock", f"'{name}'", "a switch of this U-Net", "correct its name")
        # Built first and filled then: from_pretrained would leave what is new without values.
        settings = {name: value for name, value in unet.config.items() if name in known}
        model = cls(**{**settings, **switches})
        own, given = model.state_dict(), unet.state_dict()
        for name in [*given, *own]:
            new = name.startswith(NEW) and name not in given
            if new or name in own and name in given and own[name].shape == given[name].shape:
                continue
            shapes = [tuple(weights[name].shape) if name in weights else "no such weight" for weights in (given, own)]
            raise ConfigError(name, str(shapes[0]), str(shapes[1]), "give the U-Net that these switches belong to")
        model.load_state_dict(given, strict=False)
        nn.Module.to(model, unet.dtype)  # torch's own: that of diffusers warns of layers that this one lacks
        return model.train(unet.training)

    @apply_lora_scale("cross_attention_kwargs")
    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float | int,
        encoder_hidden_states: torch.Tensor,
        class_labels: torch.Tensor | None = None,
        timestep_cond: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        cross_attention_kwargs: dict | None = None,
        added_cond_kwargs: dict | None = None,
        encoder_attention_mask: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> UNet2DConditionOutput | tuple:
        """What is predicted of noisy latents: noise, velocity or the latents, as the scheduler's configuration says.

        Args:
            sample: (batch, channels, height, width).
            timestep: one, or (batch,).
            encoder_hidden_states: (batch, tokens, cross_attention_dim).
            class_labels: (batch, width) the pooled prompt, where `class_embed_type` is `"projection"`.
            encoder_attention_mask: (batch, tokens), 1 where it may look.
            timestep_cond, attention_mask, cross_attention_kwargs, added_cond_kwargs, return_dict: as in diffusers.
        """
        uneven = any(side % 2**self.num_upsamplers for side in sample.shape[-2:])
        if self.config.center_input_sample:
            sample = 2 * sample - 1.0
        emb = self.time_embedding(self.get_time_embed(sample=sample, timestep=timestep), timestep_cond)
        pooled = self.get_class_embed(sample=sample, class_labels=class_labels)
        if pooled is not None:
            emb = emb + pooled
        if self.time_embed_act is not None:
            emb = self.time_embed_act(emb)
        context = {
            "encoder_hidden_states": self.process_encoder_hidden_states(
                encoder_hidden_states=encoder_hidden_states, added_cond_kwargs=added_cond_kwargs
            ),
            "attention_mask": _bias(attention_mask, sample.dtype),
            "cross_attention_kwargs": cross_attention_kwargs,
            "encoder_attention_mask": _bias(encoder_attention_mask, sample.dtype),
        }

        sample = self.conv_in(sample)
        skips = (sample,)
        for index, block in enumerate(self.down_blocks):
            sample, left = block(hidden_states=sample, temb=emb, **_taken(block, context))
            sample = self._improved(f"down.{index}", sample, context)
            skips += left
        if self.mid_block is not None:
            sample = self.mid_block(sample, emb, **_taken(self.mid_block, context))
        sample = self._improved("mid", sample, context)
        levels = []
        for index, block in enumerate(self.up_blocks):
            count = len(block.resnets)
            own, skips = skips[-count:], skips[:-count]
            if self.config.skip_gates:
                own = tuple(gate(skip, sample) for gate, skip in zip(self.gates[index], own, strict=True))
            sample = block(
                hidden_states=sample,
                temb=emb,
                res_hidden_states_tuple=own,
                upsample_size=skips[-1].shape[2:] if skips and uneven else None,
                **_taken(block, context),
            )
            sample = self._improved(f"up.{index}", sample, context)
            levels.append(sample)
        if self.config.fpn_width:
            sample = self.fpn(levels)
        if self.conv_norm_out:
            sample = self.conv_act(self.conv_norm_out(sample))
        sample = self.conv_out(sample)
        return UNet2DConditionOutput(sample=sample) if return_dict else (sample,)

    def _improved(self, place: str, sample: torch.Tensor, context: dict) -> torch.Tensor:
        """The feature after the extra transformer and the pyramid of a place, where it has them."""
        if place in self.config.extra_transformer_levels:
            # Where it checkpoints, it does so block by block, as those of the stock U-Net.
            transformer = self.extra_transformers[_name(place)]
            sample = transformer(sample, **context, return_dict=False)[0]
        if place in self.config.pyramid_levels:
            pyramid = self.pyramids[_name(place)]
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                sample = self._gradient_checkpointing_func(pyramid, sample)
            else:
                sample = pyramid(sample)
        return sample


def _name(place: str) -> str:
    return place.replace(".", "_")


def _bias(mask: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor | None:
    """A mask (batch, keys) as what is added to attention scores: (batch, 1, keys), 0 or -10000."""
    return None if mask is None else ((1 - mask.to(dtype)) * -10000.0).unsqueeze(1)


def _taken(block: nn.Module, context: dict) -> dict:
    """The context, where a block has cross-attention."""
    return context if getattr(block, "has_cross_attention", False) else {}


# diffusers reads the configuration's names from this signature: the stock ones and the switches.
_STOCK = inspect.signature(UNet2DConditionModel.__init__)
MedicalUNet2DConditionModel.__init__.__signature__ = _STOCK.replace(
    parameters=[
        *_STOCK.parameters.values(),
        *(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=each) for name, each in SWITCHES.items()),
    ]
)

__all__ = ["MedicalUNet2DConditionModel"]
