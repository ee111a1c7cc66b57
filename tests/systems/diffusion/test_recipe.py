"""The generator's recipe: a run and what it leaves, one that goes on, and an adapter."""

import json

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hf_medreport.modeling.medical_pipeline import MedicalImagePipeline
from hf_medreport.systems.diffusion.training.trainer import DiffusionTrainer
from hf_medreport.training import run
from tests.systems.diffusion.runs import adapter, configuration, files, history


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run from start to end: its folder and what it gave."""
    folder = tmp_path_factory.mktemp("diffusion") / "whole"
    return folder / "run", run("diffusion", configuration(folder))


def stopped_after(step: int, monkeypatch):
    """Ctrl-C after a step."""
    do = DiffusionTrainer._step

    def interrupted(trainer, *args):
        do(trainer, *args)
        if trainer.progress.step == step:
            raise KeyboardInterrupt

    monkeypatch.setattr(DiffusionTrainer, "_step", interrupted)


def test_a_run(whole):
    folder, metrics = whole
    assert metrics["global_step"] == 4 and metrics["model"] == str(folder / "model")
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint-2",
        "checkpoint-4",
        "manifest.json",
        "model",
        "samples",
    }
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["step-000002.png", "step-000004.png"]
    sheet = Image.open(folder / "samples" / "step-000004.png")
    assert sheet.size == (3 * 32, 32) and sheet.text["synthetic"] == "true"
    lines = history(folder)
    assert [(line["step"], *sorted(line)[:-1]) for line in lines] == [
        (2, "step"),
        (3, "grad_norm", "learning_rate", "loss"),
        (4, "grad_norm", "learning_rate", "loss"),
        (4, "step"),
    ]


def test_the_model_draws(whole):
    pipe = MedicalImagePipeline.from_folder(whole[0] / "model")
    picture = pipe("large left pleural effusion", "cxr", seeds=[0], num_inference_steps=2, output_type="np").images[0]
    assert picture.shape == (32, 32, 3) and (picture == picture[..., :1]).all()


def test_the_averages_are_what_is_saved(whole):
    folder = whole[0]
    averages = load_file(folder / "checkpoint-4" / "averages.safetensors")
    saved = load_file(folder / "model" / "unet" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(saved[name], averages[f"unet.{name}"]) for name in saved)
    weights = load_file(folder / "checkpoint-4" / "weights.safetensors")
    assert not torch.equal(weights["unet.conv_in.weight"], averages["unet.conv_in.weight"])


def test_every_part_that_is_trained_moves(whole):
    """Behind a gate of zero the first gradient comes at the second step."""
    folder = whole[0]
    first, last = (load_file(folder / f"checkpoint-{step}" / "weights.safetensors") for step in (2, 4))
    still = [name for name in first if torch.equal(first[name], last[name])]
    # A modality that no row has, and a bias that a softmax does not see.
    assert not [name for name in still if "key.bias" not in name and "embeddings" not in name], still


@pytest.mark.parametrize("step", [1, 3])
def test_a_run_that_goes_on_ends_in_the_same_bytes(whole, tmp_path, monkeypatch, step):
    config = configuration(tmp_path / "parts", drawn=str(whole[0].parent.parent / "drawn"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt) as stopped:
        stopped_after(step, patch)
        run("diffusion", config)
    kept = step - step % 2
    assert stopped.value.__notes__ == [
        f"interrupted: {step} steps done, {4 - step} left; `resume` goes on after step {kept}"
    ]
    assert run("diffusion", config, ["--resume", "true"])["global_step"] == 4
    folder = tmp_path / "parts" / "run"
    assert files(folder / "model") == files(whole[0] / "model") and history(folder) == history(whole[0])
    assert files(folder / "checkpoint-4") == files(whole[0] / "checkpoint-4")
    assert files(folder / "samples") == files(whole[0] / "samples")


@pytest.fixture(scope="module")
def qlora(whole):
    """An adapter on the run's model, whose U-Net and text encoder are in four bits; merged too."""
    folder = whole[0].parent.parent / "qlora"
    config = adapter(folder, whole[0] / "model", quantize=["unet", "text_encoder"], merge_adapter=True)
    return folder / "run", config, run("diffusion", config)


def test_an_adapter(whole, qlora):
    folder, _, _ = qlora
    assert sorted(path.name for path in (folder / "model").iterdir()) == [
        "README.md",
        "base.json",
        "pytorch_lora_weights.safetensors",
        "run.json",
    ]
    assert json.loads((folder / "model" / "base.json").read_text())["base"] == "model"
    weights = load_file(folder / "model" / "pytorch_lora_weights.safetensors")
    layers = {name.rpartition(".lora_")[0] for name in weights}
    pipe = MedicalImagePipeline.from_folder(whole[0] / "model")
    asked = {
        name
        for name, _ in pipe.unet.named_modules()
        if name == "conv_out"
        or name.endswith(("attn2.to_q", "attn2.to_k", "attn2.to_v", "attn2.to_out.0"))
        or name.startswith("mid_block")
        and name.endswith(("attn1.to_q", "attn1.to_k", "attn1.to_v", "attn1.to_out.0"))
    }
    assert layers == {f"unet.{name}" for name in asked}
    pipe.load_lora_weights(folder / "model")  # each weight finds its layer


def test_merged_is_the_adapter_on_the_dequantized_base(qlora, whole):
    """Of all weights those of the adapter's layers alone differ from the base, apart from NF4's rounding."""
    merged = MedicalImagePipeline.from_folder(qlora[0] / "model-merged").unet
    base = MedicalImagePipeline.from_folder(whole[0] / "model").unet
    adapted = load_file(qlora[0] / "model" / "pytorch_lora_weights.safetensors")
    name = "up_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q"
    change = adapted[f"unet.{name}.lora_B.weight"] @ adapted[f"unet.{name}.lora_A.weight"]
    error = merged.get_submodule(name).weight - base.get_submodule(name).weight - change
    largest = base.get_submodule(name).weight.abs().max()
    assert change.abs().max() > 0 and error.abs().max() < 0.2 * largest  # half the widest gap of NF4, and its scale's
    assert torch.equal(merged.conv_in.weight, base.conv_in.weight)  # a convolution that is in no list


def test_an_adapter_goes_on_to_the_same_bytes(qlora, tmp_path, monkeypatch):
    folder, config, _ = qlora
    flags = ["--output_dir", str(tmp_path / "run")]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        stopped_after(3, patch)
        run("diffusion", config, flags)
    run("diffusion", config, [*flags, "--resume", "true"])
    assert files(tmp_path / "run" / "model") == files(folder / "model")
    assert files(tmp_path / "run" / "model-merged") == files(folder / "model-merged")
