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

from .config_error import ConfigError

CACHE_NAMES = ("cache", "past_key_values")
# The one that this transformers passes to `forward`, and looks for in what it returns.
CACHE = next(name for name in CACHE_NAMES if name in {field.name for field in fields(CausalLMOutputWithPast)})

# What transformers (generate, Trainer, pipelines), PEFT and TRL pass to every model: settings, which a model without a
# use for them leaves alone.
PASSED = frozenset(
    {
        *("use_cache", "return_dict", "output_attentions", "output_hidden_states", "output_router_logits"),
        *("num_items_in_batch", "logits_to_keep", "skip_logits", "is_causal", "synced_gpus"),
        *("tokenizer", "assistant_tokenizer"),  # generate, with stop strings and an assistant of other words
        "margin",  # TRL: how much better a reward model's chosen answer is
    }
)
# And inputs, as None to a model that does not name them: one that is there and ignored would be silent nonsense.
ABSENT = frozenset(
    {
        *("input_ids", "attention_mask", "inputs_embeds", "labels", "shift_labels", "start_positions", "end_positions"),
        *("decoder_input_ids", "decoder_attention_mask", "decoder_inputs_embeds", "decoder_position_ids"),
        *("encoder_outputs", "encoder_hidden_states", "encoder_attention_mask"),
        *("position_ids", "cache_position", "token_type_ids", "task_ids", "head_mask", "cross_attn_head_mask"),
        *("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "seq_idx"),
    }
)
# What `GenerationMixin.generate` takes beside its signature, its configuration and forward's arguments.
GENERATES = frozenset({"input_ids", "trust_remote_code", "use_model_defaults", CACHE})


def known_keywords(forward):
    """Decorate a `forward`: the cache arrives as `cache` by whichever name, and an unknown keyword is a TypeError."""
    own = _named(forward)

    @wraps(forward)
    def checked(self, *args, **kwargs):
        _rename_cache(kwargs, "cache")
        _refuse_unknown(f"{type(self).__name__}.forward", kwargs, own | {*CACHE_NAMES})
        return forward(self, *args, **kwargs)

    checked.__signature__ = _signature(forward)
    return checked


def known_generation_keywords(generate):
    """Decorate a `generate`: it knows its own arguments, forward's, and all of `GenerationMixin.generate`."""
    own = _named(generate) | _named(GenerationMixin.generate) | GENERATES

    @wraps(generate)
    def checked(self, *args, **kwargs):
        _rename_cache(kwargs, CACHE)
        # `vars`: all that this transformers' generation can be told.
        known = own | _named(self.forward) | vars(GenerationConfig()).keys()
        _refuse_unknown(f"{type(self).__name__}.generate", kwargs, known)
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


def cache_by_both_names(prepare):
    """`prepare_inputs_for_generation`, its cache by both names: PEFT's prompts look for the old one on any version."""

    @wraps(prepare)
    def prepared(self, *args, **kwargs):
        inputs = prepare(self, *args, **kwargs)
        cache = inputs.get(CACHE)
        return inputs if cache is None else {**inputs, **dict.fromkeys(CACHE_NAMES, cache)}

    return prepared


def refuse_cache_under_checkpointing(layer, cache) -> None:
    """ConfigError where a layer is to run twice for its gradient: the cache would hold every key twice."""
    if cache is not None and layer.gradient_checkpointing and layer.training and torch.is_grad_enabled():
        raise ConfigError(
            "cache",
            "one in training with gradient checkpointing",
            "none, since layers run twice",
            "leave it out, or switch checkpointing off",
        )


def refuse_assistant(options: dict) -> None:
    """ConfigError where `generate` of a report model is given an assistant, which sees no image."""
    if options.get("assistant_model") is not None:
        remedy = "this model writes about an image, which an assistant does not see: leave it out"
        raise ConfigError("assistant_model", "one", "none", remedy)


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
    if len(given) == 2 and given[0] is not given[1]:
        # PEFT puts its prefix beside the cache that generate has just made.
        given = [cache for cache in given if cache.get_seq_length()] or given[:1]
        if len(given) == 2:
            raise TypeError("cache: found two, as cache and past_key_values; expected one; leave one out")
    kwargs[name] = given[0] if given else None


def _refuse_unknown(function: str, kwargs: dict, known) -> None:
    """Refuse the first keyword that is not `known` nor PASSED; ABSENT ones are dropped where they are None."""
    for name in [name for name in kwargs if name not in known and name not in PASSED]:
        if name in ABSENT and kwargs[name] is None:
            del kwargs[name]
            continue
        nearest = difflib.get_close_matches(name, sorted({*known, *PASSED} - {"self"}), n=1, cutoff=0.0)[0]
        raise TypeError(f"{function}: found keyword '{name}'; expected one that it knows; the nearest is '{nearest}'")


__all__ = ["CACHE", "CACHE_NAMES", "cache_by_both_names", "cache_by_either_name", "known_generation_keywords"]
__all__ += ["known_keywords", "refuse_assistant", "refuse_cache_under_checkpointing"]
