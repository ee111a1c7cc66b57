"""A YAML of the original RadScribe, taken as it is: each of its keys becomes a field of our recipe.

    values = read_yaml("base.yaml")
    if is_radscribe_yaml(values):
        values = translated(values)

What it means there and here differs in a few places:

| key | the original | here |
|---|---|---|
| `use_amp` | float16 with a scaler | the same on an accelerator; bfloat16 on a processor |
| `log_step` | micro-batches between evaluations | the updates that they make, between evaluations and checkpoints |
| `is_early_stopping` | 3 epochs without better training perplexity | 3 evaluations without better validation loss |
| `is_resume`, `is_initialize` | of a `.pt` file; an empty path crashes | of a folder; an empty path is an error |
| `train_with_label` | labels from the report that is to be written | `label_mode: oracle`, said in every score |
| `img_encoder: bertViT` | raises | runs |

Settings that the original has in its code come with it: reports of at most 512 tokens, the decode schedule, patience 3.
"""

import dataclasses
import re

import torch

from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe.two_rates import GroupRates

__all__ = ["is_radscribe_yaml", "translated"]

NUMBER = (int, float)
KINDS = {bool: "true or false", int: "a whole number", NUMBER: "a number", str: "text", dict: "a mapping"}
RENAMED = {  # key -> its type, our field
    "project_name": (str, "project"),
    "task_name": (str, "run_name"),
    "output_dir": (str, "output_dir"),
    "encoder_model_path": (str, "encoder"),
    "decoder_model_path": (str, "decoder"),
    "is_finetune": (bool, "finetune"),
    "encoder_freeze_epoch": (int, "encoder_freeze_epoch"),
    "valid_img_archive": (str, "validation_archive"),
    "num_workers": (int, "dataloader_num_workers"),
    "img_size": (int, "image_size"),
    "num_image_embeds": (int, "num_image_embeds"),
    "seq_len": (int, "max_label_tokens"),
    "epochs": (int, "num_train_epochs"),
    "batch_size": (int, "per_device_train_batch_size"),
    "gradient_accumulation_steps": (int, "gradient_accumulation_steps"),
}
READ = {  # key -> its type; what they become is written below
    "use_amp": bool,
    "need_evaluate": bool,
    "log_step": int,
    "is_early_stopping": bool,
    "is_resume": bool,
    "is_initialize": bool,
    "checkpoint_path": str,
    "train_with_label": bool,
    "train_dataset_name": str,
    "valid_dataset_name": str,
    "train_img_archive": str,
    "img_encoder": str,
    "optimizer_config": dict,
}
CHECKED = dict.fromkeys(("img_channel", "vision_width", "embedding_size", "hidden_size", "max_seq_len"), int)
NOT_NEEDED = {  # key -> its type; why
    "entity": str,  # W&B reads WANDB_ENTITY
    "vocab_size": int,  # the encoder's folder says it, there too
    "pretrain_path": str,  # read by nothing: encoder_model_path names the weights
    "pretrain_path_T5": str,  # the same of decoder_model_path
}
KEYS = {key: kind for key, (kind, _) in RENAMED.items()} | READ | CHECKED | NOT_NEEDED
REQUIRED = ("img_encoder", "train_dataset_name", "epochs", "batch_size", "gradient_accumulation_steps")
REQUIRED += ("optimizer_config",)
MAY_BE_0 = ("num_workers", "encoder_freeze_epoch")
DATASET = re.compile(r"(train|valid)_dataset(?!_name$)(_\w+)?")  # keys that hold paths; train_dataset_name names one
MARKS = ("img_encoder", "optimizer_config", "train_dataset_name", "encoder_model_path", "decoder_model_path")
IMAGE_ENCODERS = {
    "ViT": "vit",
    "resnet101": "resnet101",
    "resnet101_101-elastic": "resnet101",
    "chexnet121": "chexnet121",
    "bertViT": "bert_vit",
}
PUBLISHED = {"encoder": GroupRates(5e-5, 1e-5, 0.01, 0.1), "decoder": GroupRates(1e-4, 2e-5, 0.005, 0.1)}
REPORT_TOKENS = 512  # the original's, the end token among them
PATIENCE, THRESHOLD = 3, 0.001


def is_radscribe_yaml(values: dict) -> bool:
    """Whether these are the original's keys and not ours."""
    return any(mark in values for mark in MARKS)


def translated(values: dict) -> dict:
    """The fields of our recipe that mean the same.

    Raises:
        InputError: an unknown or missing key, a value of another type, values that cannot go together.
    """
    values = {str(key): value for key, value in values.items() if value not in (None, "")}
    for key, value in values.items():
        if not DATASET.fullmatch(key):
            check_key(key, KEYS)
            check_kind(key, value, KEYS[key], at_least=0 if key in MAY_BE_0 else 1)
    for key in REQUIRED:
        if key not in values:
            raise InputError(key, "none", KINDS[KEYS[key]], "add it: the original has no default")
    check_sizes(values)
    fields = {ours: values[key] for key, (_, ours) in RENAMED.items() if key in values}
    fields |= {
        "per_device_eval_batch_size": values["batch_size"],
        "image_encoder": one_of("img_encoder", values["img_encoder"], IMAGE_ENCODERS),
        "label_mode": "oracle" if values.get("train_with_label") else "none",
        "max_text_tokens": REPORT_TOKENS,
        "decode_schedule": True,
        "logging_steps": 1,
        "train_data": [dataset(values, "train_dataset_name")],
    }
    if "train_img_archive" in values:
        fields["train_archives"] = [values["train_img_archive"]]
    if values.get("use_amp", True):
        fields |= {"fp16": True} if torch.accelerator.is_available() else {"bf16": "auto"}
    return fields | rates(values["optimizer_config"]) | evaluation(values) | start(values)


def evaluation(values: dict) -> dict:
    """When to evaluate, save and stop."""
    stops = values.get("is_early_stopping", False)
    if not values.get("need_evaluate", True):
        if stops:
            remedy = "set need_evaluate, for stopping looks at validation, or is_early_stopping: false"
            raise InputError("is_early_stopping", "true, and need_evaluate false", "both or neither", remedy)
        return {"eval_strategy": "no", "save_strategy": "epoch"}
    steps = max(1, values.get("log_step", 1000) // values["gradient_accumulation_steps"])
    fields = {
        "validation_data": dataset(values, "valid_dataset_name"),
        "eval_strategy": "steps",
        "eval_steps": steps,
        "save_strategy": "steps",
        "save_steps": steps,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
    }
    if stops:
        fields |= {"early_stopping_patience": PATIENCE, "early_stopping_threshold": THRESHOLD}
    return fields


def start(values: dict) -> dict:
    """What the run goes on from, if from anything."""
    if not values.get("is_resume"):
        return {}
    path = values.get("checkpoint_path")
    if path is None:
        remedy = "write is_resume: false for a new run, or name a checkpoint folder"
        raise InputError("checkpoint_path", "none, and is_resume true", "a folder", remedy)
    if path.endswith((".pt", ".pth", ".bin")):
        remedy = "hf-medreport convert radscribe FILE --out FOLDER, name that folder and set is_initialize: true"
        raise InputError("checkpoint_path", "a file of the original", "a folder", remedy)
    return {"model" if values.get("is_initialize") else "resume_from_checkpoint": path}


def rates(groups: dict) -> dict:
    """`optimizer_config` as our fields; what it leaves out is as published."""
    fields = {}
    for group in groups:
        check_key(group, PUBLISHED, "optimizer_config.")
    for group, published in PUBLISHED.items():
        where, given = f"optimizer_config.{group}", groups.get(group, {})
        check_kind(where, given, dict)
        names = {
            "lr": "lr",
            "min_lr": "min_lr",
            "weight_decay": "weight_decay",
            f"warmup_rate_{group[:3]}": "warmup_rate",
        }
        for key, value in given.items():
            check_key(key, names, f"{where}.")
            check_kind(f"{where}.{key}", value, NUMBER)
        try:
            chosen = dataclasses.replace(published, **{names[key]: float(value) for key, value in given.items()})
        except InputError as error:
            raise InputError(f"{where}.{error.name}", error.found, error.expected, error.remedy) from error
        fields |= {f"{group}_{name}": value for name, value in dataclasses.asdict(chosen).items()}
    return fields


def dataset(values: dict, key: str) -> str:
    """The path under the key that the value of `key` names."""
    name = values.get(key, key.removesuffix("_name"))  # the original's default
    paths = {other: path for other, path in values.items() if DATASET.fullmatch(other)}
    if name not in paths:
        remedy = did_you_mean(name, paths) or f"add {name}: PATH"
        raise InputError(key, f"'{name}', which is no key of the file", "a key that holds a JSONL path", remedy)
    check_kind(name, paths[name], str)
    return paths[name]


def check_sizes(values: dict) -> None:
    """Refuse sizes that cannot be; the model's own come from the encoder's folder, as in the original."""
    if values.get("img_channel", 3) != 3:
        raise InputError("img_channel", str(values["img_channel"]), "3", "films are read as three equal channels")
    width = values.get("hidden_size", 768)
    if values.get("embedding_size", width) != width:
        found = f"{values['embedding_size']} beside hidden_size {width}"
        raise InputError("embedding_size", found, "the same", "a BERT has one width: correct one of them")
    if values["img_encoder"] == "ViT" and values.get("vision_width", width) != width:
        found = f"{values['vision_width']} beside hidden_size {width}"
        raise InputError("vision_width", found, "the same", "nothing projects a ViT's tokens: correct one of them")
    length = values.get("num_image_embeds", 256) + values.get("seq_len", 253) + 3  # [CLS], [SEP], [SEP]
    if values.get("max_seq_len", length) < length:
        found = f"{values['max_seq_len']}, and {length} places for image and labels"
        raise InputError("max_seq_len", found, f"{length} or more", "raise it, or lower num_image_embeds or seq_len")


def check_key(key: str, known, above: str = "") -> None:
    """InputError, with the nearest name, where `key` is not among the known ones."""
    if key not in known:
        remedy = did_you_mean(key, known) or "take it out"
        raise InputError(f"{above}{key}", "an unknown key", "a key of RadScribe's YAML", remedy)


def check_kind(key: str, value: object, kind: type | tuple, at_least: int | None = None) -> None:
    """InputError where a value is of another type, or a whole number too small."""
    is_number = isinstance(value, kind) and not (isinstance(value, bool) and kind is not bool)
    if not is_number:
        found = f"'{value}'" if isinstance(value, str) else "a mapping" if isinstance(value, dict) else str(value)
        raise InputError(key, found, KINDS[kind], remedy_of(value, kind))
    if kind is int and at_least is not None and value < at_least:
        raise InputError(key, str(value), f"{at_least} or more", "correct it")


def remedy_of(value: object, kind: type | tuple) -> str:
    """What to do about a value of another type; YAML takes 5e-5, which has no point, for text."""
    if isinstance(value, str) and kind is not str:
        try:
            number = float(value)
        except ValueError:
            return "correct it"
        return (
            f"write {number:.1e}: YAML takes {value} for text"
            if kind == NUMBER and "e" in value
            else "take the quotes off"
        )
    return "correct it"


def one_of(key: str, value: str, known: dict) -> str:
    """The value's meaning; InputError where it has none."""
    if value not in known:
        remedy = did_you_mean(value, known) or "choose one"
        raise InputError(key, f"'{value}'", "one of " + ", ".join(known), remedy)
    return known[value]
