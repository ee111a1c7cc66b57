"""Which weights of RadScribe are trained in which phase of a run.

| phase | trained |
|---|---|
| `scratch` | everything |
| `finetune` | decoder, image encoder's tail, label attention and head; with a ViT also what it shares with BERT |
| `finetune_unfrozen` | everything but the image encoder below its tail |
| `legacy_finetune_unfrozen` | the original's: to free BERT it freezes the whole image encoder again |
| `legacy_scratch_resumed` | the original's: once resumed, a ViT is frozen below its tail, and otherwise it is not |

The tail is what lies nearest the text. A phase sets `requires_grad` and nothing else: batch norms below the tail go on
following the films' statistics, as in the original.
"""

import re

from torch import nn
from transformers import TrainerCallback

from hf_medreport.processing.input_error import InputError

__all__ = ["PHASES", "FreezingByEpoch", "freeze", "trainable"]

PHASES = ("scratch", "finetune", "finetune_unfrozen", "legacy_finetune_unfrozen", "legacy_scratch_resumed")
# Names below `encoder.image_encoder.`. The ViT's head start is its patches and first eight layers, whatever its depth.
# The original has no rule for the patch embedding: it is one layer, so all of it is tail.
TAILS = {
    "vit": r"(?!vit\.(embeddings\.patch_embeddings|layers\.[0-7])\.)",
    "resnet101": r"resnet\.encoder\.stages\.2\.|conv\.",
    "chexnet121": r"densenet\.features\.(transition2|denseblock3|transition3|denseblock4|norm5)\.|conv\.",
    "bert_vit": r"",
}
LABELS = r"label_(layers|head)\."
# A ViT brings its class token; and image tokens go through BERT's own position, segment and norm weights.
SHARED_WITH_VIT = r"class_projection\.|bert\.embeddings\.(position_embeddings|token_type_embeddings|LayerNorm)\."


def trainable(model: nn.Module, phase: str) -> set[str]:
    """Names of the parameters that a phase trains; a tensor with two names has its first.

    Raises:
        InputError: an unknown phase.
    """
    if phase not in PHASES:
        raise InputError("phase", f"'{phase}'", "one of " + ", ".join(PHASES), "name a known phase")
    return {
        name for name, _ in model.named_parameters() if is_trainable(name, phase, model.config.encoder.image_encoder)
    }


def is_trainable(name: str, phase: str, image_encoder: str) -> bool:
    """The table above, for one name."""
    part, _, name = name.partition(".")
    if phase == "scratch" or part != "encoder":
        return True
    if name.startswith("image_encoder."):
        if phase == "legacy_finetune_unfrozen":
            return False
        if phase == "legacy_scratch_resumed" and image_encoder != "vit":
            return True
        return re.match(TAILS[image_encoder], name.removeprefix("image_encoder.")) is not None
    if phase != "finetune":
        return True
    kept = f"{LABELS}|{SHARED_WITH_VIT}" if image_encoder == "vit" else LABELS
    return re.match(kept, name) is not None


def freeze(model: nn.Module, phase: str) -> None:
    """Train what a phase trains, and nothing else."""
    names = trainable(model, phase)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in names)


class FreezingByEpoch(TrainerCallback):
    """Fine-tuning in two phases: `finetune`, and from an epoch on `finetune_unfrozen`.

    The phase follows from the epoch alone, so a resumed run is in the right one.

    Args:
        unfreeze_epoch: epochs before BERT is trained too; 0 trains it from the start, as published.
    """

    def __init__(self, unfreeze_epoch: int):
        self.unfreeze_epoch = unfreeze_epoch

    def on_epoch_begin(self, args, state, control, model=None, **kwargs):
        unfrozen = int(state.epoch or 0) >= self.unfreeze_epoch
        freeze(getattr(model, "module", model), "finetune_unfrozen" if unfrozen else "finetune")  # DDP wraps it
