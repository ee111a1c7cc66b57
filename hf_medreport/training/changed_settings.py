"""A run that is gone on with is the run that was begun: what has changed since is said, and refused unless asked for.

A checkpoint keeps the optimizer's and the schedule's state, so that a rate that is given anew is not heard; a changed
seed or table puts other records in the place of those that were seen. The run's manifest tells what it was begun with.
"""

import json
import logging
from dataclasses import asdict, fields
from pathlib import Path

import torch
from transformers import Seq2SeqTrainingArguments

from hf_medreport.files.settings import read_settings
from hf_medreport.processing.input_error import InputError

# Of transformers' arguments: what a checkpoint's state keeps, whatever is asked for now.
KEPT = {"learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "per_device_train_batch_size"}
# What would change in the middle of the run: its schedule, the order of its records.
APPLIED = {"lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio", "optim", "optim_args"}
APPLIED |= {"gradient_accumulation_steps", "max_grad_norm", "seed", "data_seed", "train_sampling_strategy"}
APPLIED |= {"dataloader_drop_last"}
# What a run may be told anew as often as one likes; of transformers', all that is not above.
FREE = {"resume", "overwrite", "allow_changed_settings", "model_name", "evaluation_cases", "half_precision_weights"}
FREE |= {"early_stopping_patience", "early_stopping_threshold", "warm_up_folder"}
LENGTH = ("max_steps", "num_train_epochs")

logger = logging.getLogger(__name__)


def as_written(settings) -> dict:
    """A dataclass of arguments as the manifest holds it."""
    return json.loads(json.dumps(asdict(settings), default=str))


def check_settings(asked, manifest: Path) -> None:
    """Say what is not as the run was begun, a line each, and refuse it unless `allow_changed_settings` is set.

    Args:
        asked: the `RunArguments`.
        manifest: of the run that is gone on with; where there is none, nothing is known of it.

    Raises:
        InputError: changed settings that were not allowed.
    """
    if not manifest.is_file():
        return
    begun = read_settings(manifest, manifest.name)
    training = json.loads(asked.training.to_json_string())
    own = {field.name for field in fields(asked.training)} - {field.name for field in fields(Seq2SeqTrainingArguments)}
    settled = KEPT | APPLIED | own - FREE
    now = {"model": as_written(asked.model), "data": as_written(asked.data)}
    now["training"] = {name: training[name] for name in training.keys() & settled}
    for name in (name for name in LENGTH if name in training):
        first, value = begun["training"].get(name, training[name]), training[name]
        if first != value:
            logger.warning("%s: %s when the run was begun, %s now; rates follow the new length", name, first, value)
    lines = {}
    for part, values in now.items():
        for name in sorted(values.keys() & begun[part].keys()):
            first, value = begun[part][name], values[name]
            if first != value:
                effect = f"; the checkpoint keeps {first}" if name in KEPT else ""
                lines[name] = f"{name}: {first} when the run was begun, {value} now{effect}"
    refuse_unless_allowed(asked, lines)


def check_inputs(asked, manifest: Path, inputs: dict[str, str]) -> None:
    """The same of the tables' content, SHA-256 by path."""
    if not manifest.is_file():
        return
    begun = read_settings(manifest, manifest.name)["inputs"]
    changed = [path for path in inputs if begun.get(path, inputs[path]) != inputs[path]]
    lines = {Path(path).name: f"{Path(path).name}: changed since the run was begun" for path in changed}
    refuse_unless_allowed(asked, lines)


def refuse_unless_allowed(asked, lines: dict[str, str]) -> None:
    """Log a line a change; InputError names them where they were not allowed."""
    for line in lines.values():
        logger.warning(line)
    if lines and not asked.training.allow_changed_settings:
        raise InputError(
            "resume",
            f"other settings than the run was begun with ({', '.join(lines)})",
            "the same",
            "leave them as they were, go on all the same with `allow_changed_settings`, or begin anew with `overwrite`",
        )


def check_shapes(model, checkpoint: Path) -> None:
    """Refuse a checkpoint whose weights do not fit the model, without reading them.

    Raises:
        InputError: the first weight that is missing, too many or of another shape.
    """
    with torch.device("meta"):
        theirs = type(model)(type(model).config_class.from_pretrained(checkpoint)).state_dict()
    ours = model.state_dict()
    for name in [*ours, *theirs]:
        shapes = [tuple(of[name].shape) if name in of else None for of in (theirs, ours)]
        if shapes[0] != shapes[1]:
            found, expected = (f"{name} of shape {shape}" if shape else f"no {name}" for shape in shapes)
            remedy = "resume with the sizes that the run was begun with, or begin anew with `overwrite`"
            raise InputError(f"{checkpoint.name} in {checkpoint.parent.absolute().name}", found, expected, remedy)
