"""A fine-tuned U-Net of MINIM's layout becomes a generator: equal weights, what is guessed is said, and refusals."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_medreport.inference.generators import load_generator
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.convert_minim import convert
from tests.cli.test_cli import run
from tests.stock_diffusion import save_stock, stock_pipeline, stock_unet

FILE = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return save_stock(tmp_path_factory.mktemp("base") / "stock")


@pytest.fixture
def unet(tmp_path):
    """As MINIM's training leaves it: `unet/`, tuned in one layer, in half precision."""
    tuned = stock_unet()
    with torch.no_grad():
        tuned.conv_out.weight.add_(0.5)
    tuned.half().save_pretrained(tmp_path / "trained" / "unet")
    return tmp_path / "trained" / "unet"


def test_the_pictures_are_those_of_the_base_with_that_unet(unet, base, tmp_path):
    result = convert(unet, base, tmp_path / "out")
    assert result["unet"] == FILE and result["tensors"] == len(stock_unet().state_dict())
    pipe, stock = load_generator(tmp_path / "out"), stock_pipeline()
    for each in (pipe, stock):
        each.set_progress_bar_config(disable=True)
    stock.unet = type(stock.unet).from_pretrained(unet).float()
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    call = {"latents": noise, "num_inference_steps": 3, "output_type": "np"}
    expected = stock("left effusion", **call).images
    assert abs(pipe("left effusion", **call).images - expected).max() < 1e-5
    fundus = stock("Retinal fundus image: drusen", **call).images
    assert abs(pipe("drusen", "fundus", **call).images - fundus).max() < 1e-5
    assert np.ptp(pipe("effusion", "mri", **call).images, axis=-1).max() == 0  # what the original draws in color


def test_the_command_says_what_was_guessed(capsys, unet, base, tmp_path):
    code, text, _ = run(capsys, "convert", "minim", unet.parent, "--base", base, "--out", tmp_path / "out")
    given, own = load_file(unet / FILE), stock_unet().state_dict()
    tensors, changed = len(given), sum(not torch.equal(given[name].float(), own[name]) for name in own)
    assert code == 0 and text.splitlines() == [
        f"written: {tmp_path / 'out'}",
        f"{tensors} tensors of {FILE}, {changed} other than the base's",
        "guessed, as the folder does not say it: vae, text_encoder, tokenizer, scheduler: the base's",
        "guessed, as the folder does not say it: it predicts epsilon: the base's",
        "guessed, as the folder does not say it: modalities: in words before the prompt, as MINIM's training never "
        "read them",
    ]
    assert (tmp_path / "out" / "tested_with.json").is_file()


def test_a_bin_without_configuration(unet, base, tmp_path):
    torch.save(load_file(unet / FILE), unet / FILE.replace("safetensors", "bin"))
    (unet / FILE).unlink()
    (unet / "config.json").unlink()
    result = convert(unet, base, tmp_path / "out")
    assert result["unet"].endswith(".bin")
    assert result["guessed"][0] == "the U-Net's configuration: the base's, as the folder has no config.json"


def test_a_modality_of_ones_own(unet, base, tmp_path):
    (tmp_path / "own.yaml").write_text('DXA: {aliases: [bone density], template: "Bone density scan: {prompt}"}\n')
    convert(unet, base, tmp_path / "out", modalities=tmp_path / "own.yaml")
    conditioner = load_generator(tmp_path / "out").text_encoder
    assert conditioner.in_words("osteoporosis", "Bone-Density") == "Bone density scan: osteoporosis"


def weights(unet, change):
    tensors = load_file(unet / FILE)
    change(tensors)
    save_file(tensors, unet / FILE)


def settings(unet, **changes):
    content = json.loads((unet / "config.json").read_text()) | changes
    (unet / "config.json").write_text(json.dumps(content))


def another_width(unet):
    shutil.rmtree(unet)
    stock_unet(cross_attention_dim=16).save_pretrained(unet)


def other_latents(unet):
    shutil.rmtree(unet)
    stock_unet(in_channels=8).save_pretrained(unet)


def rename(tensors):
    tensors["model.conv_out.bias"] = tensors.pop("conv_out.bias")


REFUSED = {
    "no folder": (
        shutil.rmtree,
        "unet: found no such folder; expected the folder unet/ of MINIM's training; check the path",
    ),
    "no weights": (
        lambda unet: (unet / FILE).unlink(),
        "unet: found no weights; expected diffusion_pytorch_model.safetensors or diffusion_pytorch_model.bin; give the "
        "folder that MINIM's training saved",
    ),
    "cut weights": (
        lambda unet: (unet / FILE).write_bytes((unet / FILE).read_bytes()[:5000]),
        "diffusion_pytorch_model.safetensors: found broken safetensors; expected a complete file; copy it again",
    ),
    "a tensor missing": (
        lambda unet: weights(unet, lambda tensors: tensors.pop("conv_in.bias")),
        "diffusion_pytorch_model.safetensors: found no tensor 'conv_in.bias'; expected 208 tensors of the "
        "configuration's names; give the U-Net of a Stable Diffusion 1.x, as diffusers saves it",
    ),
    "a tensor too many": (
        lambda unet: weights(unet, lambda tensors: tensors.update(ema=torch.zeros(1))),
        "diffusion_pytorch_model.safetensors: found an unknown tensor 'ema'; expected the configuration's names; give "
        "the U-Net of a Stable Diffusion 1.x, as diffusers saves it",
    ),
    "a tensor renamed": (
        lambda unet: weights(unet, rename),
        "diffusion_pytorch_model.safetensors: found no tensor 'conv_out.bias'; expected 208 tensors of the "
        "configuration's names; give the U-Net of a Stable Diffusion 1.x, as diffusers saves it",
    ),
    "a tensor of another shape": (
        lambda unet: weights(unet, lambda tensors: tensors.update({"conv_in.bias": torch.zeros(3)})),
        "diffusion_pytorch_model.safetensors: found 'conv_in.bias' of shape (3,); expected (32,), as the configuration "
        "says; give the U-Net of a Stable Diffusion 1.x, as diffusers saves it",
    ),
    "another model": (
        lambda unet: settings(unet, _class_name="AutoencoderKL"),
        "unet/config.json: found a AutoencoderKL; expected a UNet2DConditionModel; give the folder unet/ of MINIM's "
        "training",
    ),
    "a broken configuration": (
        lambda unet: (unet / "config.json").write_text("{"),
        "unet/config.json: found broken JSON (line 1); expected a JSON object; copy the file again",
    ),
    "another base's width": (
        another_width,
        "base: found a U-Net with cross-attention width 16; expected 32, as the base has; give the base that it was "
        "tuned from",
    ),
    "another base's latents": (
        other_latents,
        "base: found a U-Net with latent channels 8; expected 4, as the base has; give the base that it was tuned from",
    ),
}


@pytest.mark.parametrize(("break_it", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_and_nothing_written(unet, base, tmp_path, break_it, message):
    break_it(unet)
    with pytest.raises(InputError) as error:
        convert(unet, base, tmp_path / "out")
    assert str(error.value) == message and not (tmp_path / "out").exists()


def test_a_base_that_is_none(unet, tmp_path):
    with pytest.raises(InputError) as error:
        convert(unet, "./gone", tmp_path / "out")
    assert str(error.value) == "./gone: found no such model; expected a folder or ORG/NAME; check the path"
