"""RadScribe's own YAML: what each key becomes, and what is refused."""

from dataclasses import fields

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe.data import DataArguments
from hf_medreport.systems.radscribe.original.yaml import (
    CHECKED,
    KEYS,
    NOT_NEEDED,
    READ,
    RENAMED,
    is_radscribe_yaml,
    translated,
)
from hf_medreport.systems.radscribe.recipe import ModelArguments, RecipeArguments

# Every key that the original's file has, with values of our own.
FILE = """
use_amp: true
project_name: films
entity: someone
task_name: first
need_evaluate: true
log_step: 4000
is_early_stopping: true
is_resume: false
is_initialize: true
is_finetune: true
train_with_label: true
output_dir: out
checkpoint_path: ''
encoder_model_path: weights/medvill
decoder_model_path: weights/t5
train_dataset_name: train_dataset_7
valid_dataset_name: valid_dataset_3
train_dataset_7: train_7.jsonl
train_dataset_70: train_70.jsonl
valid_dataset_3: valid_3.jsonl
train_img_archive: train.tar.gz
valid_img_archive: valid.tar.gz
pretrain_path: elsewhere
pretrain_path_T5: elsewhere
num_workers: 0
img_encoder: ViT
img_size: 512
img_channel: 3
num_image_embeds: 256
seq_len: 253
vocab_size: 30522
vision_width: 768
embedding_size: 768
hidden_size: 768
max_seq_len: 512
epochs: 20
batch_size: 2
optimizer_config: {
    encoder: {lr: 0.00004, warmup_rate_enc: 0.2, min_lr: 0.00001, weight_decay: 0.02},
    decoder: {lr: 0.0002, warmup_rate_dec: 0.1, min_lr: 0, weight_decay: 0.003}
}
encoder_freeze_epoch: 0
gradient_accumulation_steps: 8
"""
MIXED_PRECISION = {"fp16": True} if torch.accelerator.is_available() else {"bf16": "auto"}


def changed(changes: dict | None = None, **more) -> dict:
    """The file with other values; `absent` takes a key out."""
    values = yaml.safe_load(FILE) | (changes or {}) | more
    return {key: value for key, value in values.items() if value != "absent"}


def test_every_key_of_the_file():
    assert translated(changed()) == {
        **MIXED_PRECISION,
        "project": "films",
        "run_name": "first",
        "output_dir": "out",
        "encoder": "weights/medvill",
        "decoder": "weights/t5",
        "finetune": True,
        "encoder_freeze_epoch": 0,
        "label_mode": "oracle",
        "image_encoder": "vit",
        "image_size": 512,
        "num_image_embeds": 256,
        "max_label_tokens": 253,
        "max_text_tokens": 512,
        "train_data": ["train_7.jsonl"],
        "train_archives": ["train.tar.gz"],
        "validation_data": "valid_3.jsonl",
        "validation_archive": "valid.tar.gz",
        "dataloader_num_workers": 0,
        "num_train_epochs": 20,
        "per_device_train_batch_size": 2,
        "per_device_eval_batch_size": 2,
        "gradient_accumulation_steps": 8,
        "encoder_lr": 4e-5,
        "encoder_min_lr": 1e-5,
        "encoder_weight_decay": 0.02,
        "encoder_warmup_rate": 0.2,
        "decoder_lr": 2e-4,
        "decoder_min_lr": 0.0,
        "decoder_weight_decay": 0.003,
        "decoder_warmup_rate": 0.1,
        "decode_schedule": True,
        "logging_steps": 1,
        "eval_strategy": "steps",
        "eval_steps": 500,  # 4000 micro-batches, 8 an update
        "save_strategy": "steps",
        "save_steps": 500,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "early_stopping_patience": 3,
        "early_stopping_threshold": 0.001,
    }


def test_the_table_holds_each_key_once():
    parts = [RENAMED, READ, CHECKED, NOT_NEEDED]
    assert len(KEYS) == sum(map(len, parts))
    assert {key for key in yaml.safe_load(FILE) if "_dataset_" not in key} <= set(KEYS)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train_with_label": False}, {"label_mode": "none"}),
        ({"train_with_label": "absent"}, {"label_mode": "none"}),
        ({"img_encoder": "resnet101_101-elastic", "vision_width": 2048}, {"image_encoder": "resnet101"}),
        ({"img_encoder": "resnet101"}, {"image_encoder": "resnet101"}),  # the width is read by nothing there
        ({"img_encoder": "chexnet121"}, {"image_encoder": "chexnet121"}),
        ({"img_encoder": "bertViT"}, {"image_encoder": "bert_vit"}),
        ({"log_step": 5}, {"eval_steps": 1, "save_steps": 1}),
        ({"train_dataset_name": "train_dataset_70"}, {"train_data": ["train_70.jsonl"]}),
        ({"valid_dataset_name": None, "valid_dataset": "v.jsonl"}, {"validation_data": "v.jsonl"}),
        ({"is_resume": True, "checkpoint_path": "runs/a"}, {"model": "runs/a"}),
        (
            {"is_resume": True, "is_initialize": False, "checkpoint_path": "runs/a/checkpoint-7"},
            {"resume_from_checkpoint": "runs/a/checkpoint-7"},
        ),
        ({"optimizer_config": {"encoder": {"lr": 1e-4}}}, {"encoder_lr": 1e-4, "encoder_min_lr": 1e-5}),
        ({"optimizer_config": {"encoder": {}}}, {"decoder_lr": 1e-4, "decoder_warmup_rate": 0.1}),
    ],
)
def test_what_values_become(changes, expected):
    made = translated(changed(changes))
    assert {name: made.get(name) for name in expected} == expected


def test_what_is_not_asked_for_is_left_to_the_recipe():
    made = translated(changed(is_resume=False, checkpoint_path="runs/a"))
    assert "model" not in made and "resume_from_checkpoint" not in made
    assert not {"fp16", "bf16"} & set(translated(changed(use_amp=False)))
    made = translated(changed(need_evaluate=False, is_early_stopping=False, valid_dataset_name="absent"))
    assert made["eval_strategy"] == "no" and made["save_strategy"] == "epoch" and "validation_data" not in made
    assert "encoder" not in translated(changed(encoder_model_path=""))


@pytest.mark.parametrize("changes", [{}, {"need_evaluate": False, "is_early_stopping": False}])
def test_every_field_is_one_of_the_recipes(changes):
    known = {field.name for part in (ModelArguments, DataArguments, RecipeArguments) for field in fields(part)}
    assert set(translated(changed(changes))) <= known


def test_whose_file_it_is():
    assert is_radscribe_yaml(changed()) and is_radscribe_yaml({"img_encoder": "ViT"})
    ours = {"encoder": "a", "encoder_lr": 1e-4, "output_dir": "out", "encoder_freeze_epoch": 2}
    assert not is_radscribe_yaml(ours) and not is_radscribe_yaml({})


CONVERT = "hf-medreport convert radscribe FILE --out FOLDER, name that folder and set is_initialize: true"
RATE = {"encoder": {"lr": "5e-5"}}
BAD = [
    ({"epoch": 3}, "epoch: found an unknown key; expected a key of RadScribe's YAML; did you mean 'epochs'?"),
    (
        {"img_encodr": "ViT"},
        "img_encodr: found an unknown key; expected a key of RadScribe's YAML; did you mean 'img_encoder'?",
    ),
    ({"color": 1}, "color: found an unknown key; expected a key of RadScribe's YAML; take it out"),
    ({7: 1}, "7: found an unknown key; expected a key of RadScribe's YAML; take it out"),
    ({"epochs": "absent"}, "epochs: found none; expected a whole number; add it: the original has no default"),
    (
        {"optimizer_config": "absent"},
        "optimizer_config: found none; expected a mapping; add it: the original has no default",
    ),
    ({"batch_size": "2"}, "batch_size: found '2'; expected a whole number; take the quotes off"),
    ({"batch_size": 2.5}, "batch_size: found 2.5; expected a whole number; correct it"),
    ({"epochs": True}, "epochs: found True; expected a whole number; correct it"),
    ({"epochs": 0}, "epochs: found 0; expected 1 or more; correct it"),
    ({"num_workers": -1}, "num_workers: found -1; expected 0 or more; correct it"),
    ({"use_amp": "yes please"}, "use_amp: found 'yes please'; expected true or false; correct it"),
    ({"is_finetune": 1}, "is_finetune: found 1; expected true or false; correct it"),
    ({"output_dir": {"a": 1}}, "output_dir: found a mapping; expected text; correct it"),
    ({"optimizer_config": 0.1}, "optimizer_config: found 0.1; expected a mapping; correct it"),
    (
        {"optimizer_config": RATE},
        "optimizer_config.encoder.lr: found '5e-5'; expected a number; write 5.0e-05: YAML takes 5e-5 for text",
    ),
    (
        {"optimizer_config": {"encoder": {"warmup_rate": 0.1}}},
        "optimizer_config.encoder.warmup_rate: found an unknown key; expected a key of RadScribe's YAML; "
        "did you mean 'warmup_rate_enc'?",
    ),
    (
        {"optimizer_config": {"coder": {}}},
        "optimizer_config.coder: found an unknown key; expected a key of RadScribe's YAML; did you mean 'encoder'?",
    ),
    (
        {"optimizer_config": {"decoder": {"lr": 1e-5}}},
        "optimizer_config.decoder.min_lr: found 2e-05; expected 0 to the rate itself, 1e-05; lower the floor",
    ),
    (
        {"img_encoder": "vit"},
        "img_encoder: found 'vit'; expected one of ViT, resnet101, resnet101_101-elastic, chexnet121, bertViT; "
        "choose one",
    ),
    (
        {"train_dataset_name": "train_dataset_8"},
        "train_dataset_name: found 'train_dataset_8', which is no key of the file; expected a key that holds a JSONL "
        "path; did you mean 'train_dataset_7'?",
    ),
    (
        {"valid_dataset_name": "absent"},
        "valid_dataset_name: found 'valid_dataset', which is no key of the file; expected a key that holds a JSONL "
        "path; did you mean 'valid_dataset_3'?",
    ),
    ({"train_dataset_7": ["a"]}, "train_dataset_7: found ['a']; expected text; correct it"),
    (
        {"need_evaluate": False},
        "is_early_stopping: found true, and need_evaluate false; expected both or neither; set need_evaluate, for "
        "stopping looks at validation, or is_early_stopping: false",
    ),
    (
        {"is_resume": True},
        "checkpoint_path: found none, and is_resume true; expected a folder; write is_resume: false for a new run, or "
        "name a checkpoint folder",
    ),
    (
        {"is_resume": True, "checkpoint_path": "train_checkpoint_epoch_3_step_9.pt"},
        f"checkpoint_path: found a file of the original; expected a folder; {CONVERT}",
    ),
    ({"img_channel": 1}, "img_channel: found 1; expected 3; films are read as three equal channels"),
    (
        {"vision_width": 2048},
        "vision_width: found 2048 beside hidden_size 768; expected the same; nothing projects a ViT's tokens: correct "
        "one of them",
    ),
    (
        {"embedding_size": 128},
        "embedding_size: found 128 beside hidden_size 768; expected the same; a BERT has one width: correct one of "
        "them",
    ),
    (
        {"max_seq_len": 256},
        "max_seq_len: found 256, and 512 places for image and labels; expected 512 or more; raise it, or lower "
        "num_image_embeds or seq_len",
    ),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message.partition(" found")[0] for _, message in BAD])
def test_what_is_refused(changes, message):
    with pytest.raises(InputError) as error:
        translated(changed(changes))
    assert str(error.value) == message


@given(st.sampled_from(sorted(KEYS)), st.sampled_from([[], {"a": 1}, 1.5, "words", True, -3]))
def test_any_other_value_is_taken_or_refused_in_one_line(key, value):
    try:
        translated(changed({key: value}))
    except InputError as error:
        assert "\n" not in str(error)
