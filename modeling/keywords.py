"""Which keywords a model takes: its cache by either of its names, and none that nobody reads.

Upstream renames arguments: transformers' `past_key_values` is `cache` since 5.24. A `forward` that swallows a renamed
argument in its `**kwargs` decodes without a past and writes nonsense, or forgets its cache and takes four times as
long, both without a word. So what a model does not know it refuses.

    @known_keywords
    def forward(self, input_ids, cache=None, **kwargs): ...   # cache= or past_key_values=; kwargs holds PASSED only
"""

import difflib
import inspect
from dataclasses import fields
from functools import wraps

import torch
from transformers import GenerationConfig, GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast

CACHE_NAMES = ("cache", "past_key_values")
# The one that this transformers passes to `forward`, and looks for in what it returns.
CACHE = next(name for name in CACHE_NAMES if name in {field.name for field in fields(CausalLMOutputWithPast)})

# What transformers (generate, Trainer, pipelines), PEFT and TRL pass to every model: settings, which a model without a
# use for them leaves alone.
PASSED = frozenset(
    {
        *("use_cache", "return_dict", "output_attentions", "output_hidden_states", "output_router_logits"),
        *("num_items_in_batch", "logits_to_keep", "is_causal", "synced_gpus"),
        "margin",  # TRL: how much better a reward model's chosen answer is
    }
)
# And inputs, as None to a model that does not name them: one that is there and ignored would be silent nonsense.
ABSENT = frozenset(
    {
        *("inputs_embeds", "decoder_inputs_embeds", "decoder_input_ids", "decoder_attention_mask"),
        *("position_ids", "token_type_ids", "task_ids", "encoder_outputs", "labels"),
        *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "seq_idx"),
    }
)


def known_keywords(forward):
    """Decorate a `forward`: the cache arrives as `cache` by whichever name, and an unknown keyword is a TypeError."""
    own = _named(forward)

    @wraps(forward)
    def checked(self, *args, **kwargs):
        _rename_cache(kwargs, "cache")
        for name in kwargs.keys() - own - PASSED:
            if name not in ABSENT or kwargs[name] is not None:
                _refuse(f"{type(self).__name__}.forward", name, own | PASSED | {*CACHE_NAMES})
            del kwargs[name]
        return forward(self, *args, **kwargs)

    checked.__signature__ = _signature(forward)
    return checked


def known_generation_keywords(generate):
    """Decorate a `generate`: it knows its own arguments, forward's, and all of `GenerationMixin.generate`."""
    own = _named(generate) | _named(GenerationMixin.generate)

    @wraps(generate)
    def checked(self, *args, **kwargs):
        _rename_cache(kwargs, CACHE)
        # `vars`: what this transformers' generation can be told, "tokenizer" for stop strings beside it.
        known = own | _named(self.forward) | vars(GenerationConfig()).keys() | PASSED | {CACHE, "tokenizer"}
        for name in kwargs.keys() - known:
            _refuse(f"{type(self).__name__}.generate", name, known)
        return generate(self, *args, **kwargs)

    return checked


def cache_by_either_name(function):
    """Decorate what `generate` calls: the cache arrives as `cache`."""

    @wraps(function)
    def renamed(self, *args, **kwargs):
        _rename_cache(kwargs, "cache")
        return function(self, *args, **kwargs)

    renamed.__signature__ = _signature(function)
    return renamed


def refuse_cache_under_checkpointing(layer, cache) -> None:
    """ValueError where a layer is to run twice for its gradient: the cache would hold every key twice."""
    if cache is not None and layer.gradient_checkpointing and layer.training and torch.is_grad_enabled():
        raise ValueError(
            "cache: found one in training with gradient checkpointing; expected none, since layers run twice; leave it "
            "out, or switch checkpointing off"
        )


def _named(function) -> set[str]:
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name for name, parameter in inspect.signature(function).parameters.items() if parameter.kind in kinds}


def _signature(function) -> inspect.Signature:
    """The signature with the cache under this transformers' name, under which `generate` looks for it."""
    signature = inspect.signature(function)
    parameters = signature.parameters.items()
    return signature.replace(
        parameters=[each.replace(name=CACHE) if name == "cache" else each for name, each in parameters]
    )


def _rename_cache(kwargs: dict, name: str) -> None:
    if not any(other in kwargs for other in CACHE_NAMES):
        return
    given = [cache for cache in (kwargs.pop(other, None) for other in CACHE_NAMES) if cache is not None]
    if len(given) > 1:
        raise TypeError("cache: found cache and past_key_values; expected one, they name the same; leave one out")
    kwargs[name] = given[0] if given else None


def _refuse(function: str, name: str, known) -> None:
    nearest = difflib.get_close_matches(name, sorted(known - {"self"}), n=1, cutoff=0.0)[0]
    raise TypeError(f"{function}: found keyword '{name}'; expected one that it knows; did you mean '{nearest}'?")


__all__ = ["CACHE", "CACHE_NAMES", "cache_by_either_name", "known_generation_keywords", "known_keywords"]
__all__ += ["refuse_cache_under_checkpointing"]
