"""The recipes in examples/, stages and rates by hand, and what contradicts itself in none of them."""

import pytest

from hf_medreport.systems.diffusion.training.checks import check
from hf_medreport.systems.diffusion.training.settings import (
    DataArguments,
    ModelArguments,
    Stage,
    TrainingArguments,
    stages_of,
)
from hf_medreport.training.arguments import read_arguments
from tests.systems.diffusion.runs import EXAMPLES

SMALL = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 1, "noise_offset": 0.0}


@pytest.mark.parametrize("name, sides, rows", [("phantom", [64], 16), ("paper", [512], 80)])
def test_a_recipe_of_one_stage(name, sides, rows):
    classes = (ModelArguments, DataArguments, TrainingArguments)
    model, data, arguments = read_arguments(classes, str(EXAMPLES / f"diffusion_{name}.yaml"), ["--fp16", "false"])
    check(model, data, arguments)
    stages = stages_of(arguments)
    assert [stage.resolution for stage in stages] == sides
    assert stages[0].per_device_train_batch_size * stages[0].gradient_accumulation_steps == rows


def test_the_staged_recipe():
    classes = (ModelArguments, DataArguments, TrainingArguments)
    model, data, arguments = read_arguments(classes, str(EXAMPLES / "diffusion_staged.yaml"), [])
    check(model, data, arguments)
    stages = stages_of(arguments)
    assert [stage.resolution for stage in stages] == [256, 256, 320, 320, 384]
    assert [stage.learning_rate for stage in stages] == [1e-5, 1e-5, 8e-6, 5e-6, 3e-6]
    assert [stage.gradient_accumulation_steps for stage in stages] == [32, 48, 32, 32, 32]
    assert [stage.noise_offset for stage in stages] == [0.03, 0.03, 0.03, 0.03, 0.05]
    assert [stage.warmup_steps for stage in stages] == [500] * 5


@pytest.mark.parametrize(
    "schedule, expected",
    [
        ("constant", [1, 2, 3, 3, 3, 3]),
        ("linear", [1, 2, 3, 2.25, 1.5, 0.75]),
        ("cosine", [1, 2, 3, 2.56066, 1.5, 0.43934]),  # 1.5 (1 + cos) of 0, 45, 90 and 135 degrees
    ],
)
def test_rates_rise_and_fall_in_a_stage(schedule, expected):
    stage = Stage(resolution=64, steps=6, learning_rate=3.0, warmup_steps=2, **SMALL)
    assert [stage.rate(number, schedule) for number in range(6)] == pytest.approx(expected, abs=1e-5)


def test_adapters_go_where_the_paper_has_them():
    targets = TrainingArguments().adam_beta2, ModelArguments().lora_targets
    assert targets[0] == 0.999 and targets[1].endswith("|conv_out") and "proj_out" not in targets[1]
