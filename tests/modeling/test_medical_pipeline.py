"""The pipeline: what it draws, from what, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, DiffusionPipeline
from peft import LoraConfig
from PIL import Image
from safetensors.torch import load_file

from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.modeling.denoising import ddim_transition, log_probability
from hf_medreport.modeling.guidance import rescaled, thresholded
from hf_medreport.modeling.medical_pipeline import SCHEDULERS, MedicalImagePipeline
from hf_medreport.modeling.structured_prompt import StructuredPrompt
from tests.diffusion import (
    ALL,
    MODALITIES,
    POOLED,
    tiny_conditioner,
    tiny_pipeline,
    tiny_stable_diffusion,
    tiny_vae,
)

# The cross-attention everywhere, the self-attention of the middle, the last convolution.
GRAY = [{"name": "cxr", "aliases": ["X-Ray"], "gray": True}, {"name": "ct"}]
TARGETS = r"(.*\.attn2\.(to_q|to_k|to_v|to_out\.0))|(mid_block\..*\.attn1\.(to_q|to_k|to_v|to_out\.0))|conv_out"


@pytest.fixture(scope="module")
def shared():
    """One pipeline with all improvements and a conditioner whose modalities say something; not to be changed."""
    pipe = tiny_pipeline(**ALL)
    torch.manual_seed(5)
    with torch.no_grad():
        for module in (pipe.unet, pipe.text_encoder):
            for each in module.parameters():
                if not each.any():
                    each.normal_(std=0.3)
    return pipe


def draw(pipe, prompt="effusion", modality="cxr", **settings):
    usual = {"num_inference_steps": 2, "seeds": [1], "output_type": "np"}
    return pipe(prompt, modality, **{**usual, **settings}).images


def write_index(folder, **index):
    folder.mkdir(exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder


class Steps:
    """A callback that keeps the latents of every step."""

    def __init__(self, change=None):
        self.latents, self.timesteps, self.change = [], [], change

    def __call__(self, pipe, step, timestep, tensors):
        self.latents.append(tensors["latents"])
        self.timesteps.append(int(timestep))
        return {"latents": self.change(tensors["latents"])} if self.change else None


# --- what it draws from ---


def test_pictures_and_their_forms(shared):
    output = shared("effusion", "cxr", num_inference_steps=2, seeds=[7])
    (picture,) = output.images
    assert isinstance(picture, Image.Image) and picture.size == (16, 16) and output.seeds == [7]
    assert output.trajectory is None
    array = draw(shared, seeds=[7])
    assert array.shape == (1, 16, 16, 3) and array.min() >= 0 and array.max() <= 1
    assert np.array_equal(np.asarray(picture), (array[0] * 255).round().astype("uint8"))
    pixels = draw(shared, seeds=[7], output_type="pt")
    assert np.array_equal(pixels.permute(0, 2, 3, 1).numpy(), array)
    latents = draw(shared, seeds=[7], output_type="latent")
    assert latents.shape == (1, 4, 8, 8) and torch.equal(shared.decode_latents(latents), pixels)
    images, seeds, trajectory = shared("effusion", num_inference_steps=1, seeds=[3], return_dict=False)
    assert len(images) == 1 and seeds == [3] and trajectory is None


def test_without_a_guidance_scale_the_models_own_is_taken(shared, tmp_path):
    pipe = MedicalImagePipeline(**shared.components, guidance_scale=2.0)
    pipe.set_progress_bar_config(disable=True)
    assert np.array_equal(draw(pipe), draw(shared, guidance_scale=2.0))
    assert np.array_equal(draw(shared), draw(shared, guidance_scale=7.5)) and not np.array_equal(
        draw(pipe), draw(shared)
    )
    pipe.save_pretrained(tmp_path)
    assert MedicalImagePipeline.from_folder(tmp_path).config.guidance_scale == 2.0
    assert DiffusionPipeline.from_pretrained(tmp_path, trust_remote_code=True).config.guidance_scale == 2.0


def test_pictures_of_a_gray_modality_have_no_color_though_the_codec_has(shared):
    pipe = MedicalImagePipeline(**shared.components | {"text_encoder": tiny_conditioner(modalities=GRAY)})
    pipe.set_progress_bar_config(disable=True)
    pixels = draw(pipe, ["effusion"] * 3, ["X-Ray", "ct", None], seeds=[4, 4, 4], output_type="pt")
    assert torch.equal(pixels[0, 0], pixels[0, 1]) and torch.equal(pixels[0, 0], pixels[0, 2])
    assert not torch.equal(pixels[1, 0], pixels[1, 1]) and not torch.equal(pixels[2, 0], pixels[2, 1])
    latents = draw(pipe, "effusion", "x-ray", seeds=[4], output_type="latent")
    colored = pipe.vae.decode(latents).sample / 2 + 0.5  # the mean is taken before values are cut
    assert torch.allclose(pixels[0, 0], colored.mean(1).clamp(0, 1)[0], atol=1e-3)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_picture_of_a_batch_is_that_picture_alone(shared, scheduler):
    pipe = MedicalImagePipeline(**shared.components).use_scheduler(scheduler)
    pipe.set_progress_bar_config(disable=True)
    noise = []
    settings = {"num_inference_steps": 2}
    original = pipe._first_noise
    pipe._first_noise = lambda *given: noise.append(original(*given)) or noise[-1]
    batch = draw(pipe, ["effusion", "a nodule"], ["cxr", None], seeds=[1, 2, 3, 4], num_images_per_prompt=2, **settings)
    alone = draw(pipe, "a nodule", None, seeds=[3], **settings)
    assert torch.equal(noise[0][2], noise[1][0])
    assert np.abs(batch[2] - alone[0]).max() <= 1 / 255
    assert np.abs(batch[2] - batch[3]).max() > 0.01


def test_seeds(shared):
    one, same, other = (draw(shared, seeds=[seed]) for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
    drawn = [shared(num_inference_steps=1, generator=torch.Generator().manual_seed(0)).seeds for _ in range(2)]
    assert drawn[0] == drawn[1]
    assert shared(num_inference_steps=1).seeds != drawn[0]
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    assert np.array_equal(draw(shared, latents=noise), one)


def test_words_and_modalities_are_seen(shared):
    base = draw(shared)
    assert np.array_equal(base, draw(shared, modality="Chest X-Ray"))
    for prompt, modality in (("nodule", "cxr"), ("effusion", "ct"), ("effusion", None)):
        assert not np.allclose(base, draw(shared, prompt, modality), atol=1e-3), (prompt, modality)


def test_a_modality_is_a_line_in_a_configuration():
    pipe = tiny_pipeline()
    added = [*MODALITIES, {"name": "ultrasound", "aliases": ["US"], "template": "sonogram of {prompt}"}]
    pipe.register_modules(text_encoder=tiny_conditioner(modalities=added))
    tokens = pipe.tokenize(["a cyst"], "us")
    assert tokens["modality_ids"].tolist() == [4]
    said = pipe.tokenizer.decode(tokens["input_ids"][0], skip_special_tokens=True)
    assert said.replace(" ", "").replace("##", "") == "sonogramofacyst"


def test_sizes(shared):
    assert draw(shared, height=18, width=10).shape == (1, 18, 10, 3)  # odd numbers of latents


def test_drawing_of_no_prompt_is_unguided(shared):
    assert np.array_equal(draw(shared, None, None), draw(shared, "", None, guidance_scale=1))
    assert np.allclose(draw(shared, None, None), draw(shared, "", None), atol=1e-4)  # nothing leads anywhere


# --- guidance ---


@pytest.fixture
def calls(shared, monkeypatch):
    """How many rows the U-Net saw at each step."""
    rows, forward = [], shared.unet.forward

    def counted(sample, *args, **kwargs):
        rows.append(len(sample))
        return forward(sample, *args, **kwargs)

    monkeypatch.setattr(shared.unet, "forward", counted)
    return rows


def test_guidance_by_its_formula(shared, calls):
    """One step of DDIM from known noise: the latents are those of the formula."""
    noise = torch.randn(1, 4, 8, 8)
    latents = {
        scale: draw(shared, latents=noise, num_inference_steps=1, guidance_scale=scale, output_type="latent")
        for scale in (0, 1, 3)
    }
    assert calls == [1, 1, 2]
    empty = draw(shared, "", None, latents=noise, num_inference_steps=1, guidance_scale=1, output_type="latent")
    assert torch.allclose(latents[0], empty, rtol=1e-3, atol=1e-2)
    # a step of DDIM is linear in the prediction
    assert torch.allclose(latents[3], latents[0] + 3 * (latents[1] - latents[0]), rtol=1e-3, atol=1e-2)
    assert not torch.allclose(latents[3], latents[1], rtol=1e-2)


def test_a_window_and_a_schedule(shared, calls):
    settings = {"num_inference_steps": 4, "guidance_scale": 3.0}
    constant = draw(shared, **settings)
    assert calls == [2] * 4
    assert np.array_equal(draw(shared, **settings, guidance_window=(0.0, 1.0)), constant)
    calls.clear()
    # 4 steps are at 0, 1/4, 1/2 and 3/4 of the way
    windowed = draw(shared, **settings, guidance_window=(0.2, 0.6))
    assert calls == [1, 2, 2, 1] and not np.array_equal(windowed, constant)
    calls.clear()
    rising = draw(shared, **settings, guidance_schedule="linear")
    assert calls == [1, 2, 2, 2] and not np.array_equal(rising, constant)


def test_rescaling_and_thresholding_act_on_the_prediction(shared):
    """A step of DDIM from noise: clean latents are told from its input and its output."""
    noise = torch.randn(1, 4, 8, 8)
    scheduler = DDIMScheduler(clip_sample=False, timestep_spacing="trailing", prediction_type="v_prediction")
    pipe = MedicalImagePipeline(**{**shared.components, "scheduler": scheduler})
    pipe.set_progress_bar_config(disable=True)
    predictions, step = [], scheduler.step
    scheduler.step = lambda prediction, *rest, **more: predictions.append(prediction) or step(prediction, *rest, **more)
    for settings in ({"guidance_scale": 1}, {}, {"guidance_rescale": 0.7}, {"dynamic_threshold": 0.9}):
        draw(pipe, latents=noise, num_inference_steps=1, **settings)
    conditional, guided, rescaled_, thresholded_ = predictions
    assert torch.allclose(rescaled_, rescaled(guided, conditional, 0.7), atol=1e-4)
    alpha_bar = scheduler.alphas_cumprod[999]
    clean = [alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * each for each in (guided, conditional, thresholded_)]
    assert torch.allclose(clean[2], thresholded(*clean[:2], 0.9), atol=1e-3)
    assert not torch.allclose(clean[2], clean[0], atol=1e-2)


def test_negative_prompts(shared):
    base = draw(shared)
    assert np.array_equal(draw(shared, negative_prompt=""), base)
    assert not np.allclose(draw(shared, negative_prompt="noise"), base, atol=1e-3)
    two = draw(shared, ["effusion"] * 2, negative_prompt=["", "noise"], seeds=[1, 1])
    assert np.abs(two[0] - base[0]).max() <= 1 / 255 and not np.allclose(two[0], two[1], atol=1e-3)


# --- stages ---


def test_the_words_of_a_prompt_in_stages_change_on_the_way(shared, monkeypatch):
    said, encode = [], shared.encode_prompts
    monkeypatch.setattr(
        shared, "encode_prompts", lambda prompts, *rest: said.append(prompts[:-1]) or encode(prompts, *rest)
    )
    prompt = StructuredPrompt.of_features("edema", localization="left base", starts=(0, 0.5))
    staged = draw(shared, prompt, num_inference_steps=4)
    assert said == [["left base"], ["left base, edema"]]
    whole, first = (draw(shared, words, num_inference_steps=4) for words in ("left base, edema", "left base"))
    assert not np.allclose(staged, whole, atol=1e-3) and not np.allclose(staged, first, atol=1e-3)
    # without stages it is its words
    assert np.array_equal(draw(shared, StructuredPrompt.of_features("edema")), draw(shared, "edema"))


# --- from an image ---


def test_an_image_to_start_from(shared):
    image = torch.linspace(-1, 1, 16).expand(2, 3, 16, 16).clone()
    image[1] = -image[1]
    weak = draw(shared, ["effusion"] * 2, seeds=[1, 2], image=image, num_inference_steps=20, strength=0.05)
    strong = draw(shared, ["effusion"] * 2, seeds=[1, 2], image=image, num_inference_steps=4, strength=1.0)
    through = shared.decode_latents(shared.encode_images(image)).permute(0, 2, 3, 1).numpy()
    distances = [np.abs(each - through).mean() for each in (weak, strong)]
    assert distances[0] < 0.15 < distances[1]
    steps = Steps()
    draw(shared, image=image[:1], num_inference_steps=10, strength=0.35, callback_on_step_end=steps)
    assert len(steps.timesteps) == 3 and steps.timesteps[0] == 299  # of 999, 899, ...


def test_a_film_keeps_its_aspect(shared):
    """A wide white film on a square: black bars above and below."""
    pixels = shared._pixels(Image.new("L", (200, 100), 255), None, None, 2, 2)
    assert pixels.shape == (2, 3, 16, 16)
    assert (pixels[:, :, [0, 3, 12, 15]] == -1).all() and (pixels[:, :, 4:12] == 1).all()


def test_latents_of_a_stock_vae_are_scaled(shared):
    pipe = MedicalImagePipeline(**{**shared.components, "vae": tiny_vae()})
    image = torch.rand(1, 3, 16, 16) * 2 - 1
    latents = pipe.encode_images(image)
    assert pipe.vae_scale_factor == 2
    with torch.no_grad():
        mean = pipe.vae.encode(image).latent_dist.mean
        expected = (pipe.vae.decode(mean).sample / 2 + 0.5).clamp(0, 1)
        assert torch.allclose(latents, mean * 0.18215)
        assert torch.allclose(pipe.decode_latents(latents), expected, atol=1e-5)


# --- schedulers ---


@pytest.mark.parametrize("name", ["dpm", "ddim", "euler", "euler_a"])
def test_a_scheduler_keeps_what_was_trained(name):
    pipe = tiny_pipeline()
    trained = {
        "prediction_type": "v_prediction",
        "beta_schedule": "squaredcos_cap_v2",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    }
    pipe.register_modules(scheduler=DDIMScheduler(**trained))
    assert isinstance(pipe.use_scheduler(name).scheduler, SCHEDULERS[name])
    kept = dict(pipe.scheduler.config)
    assert {key: kept[key] for key in trained} == trained
    assert not pipe.scheduler.config.get("clip_sample")
    assert np.isfinite(draw(pipe)).all()


def test_schedulers_agree_where_they_should():
    """Without noise of their own, DDIM, Euler and DPM-Solver++ end alike after many steps."""
    pictures = []
    for name in ("ddim", "euler", "dpm"):
        pipe = tiny_pipeline().use_scheduler(name)
        pictures.append(draw(pipe, num_inference_steps=15, guidance_scale=1, output_type="latent"))
    spread = pictures[0].std()
    assert all((each - pictures[0]).abs().mean() < 0.1 * spread for each in pictures[1:])


# --- steps ---


def test_callbacks_see_and_change_the_latents(shared):
    steps = Steps()
    draw(shared, num_inference_steps=3, callback_on_step_end=steps)
    assert steps.timesteps == [999, 666, 332] and len(steps.latents) == 3
    last = draw(shared, num_inference_steps=3, callback_on_step_end=Steps(torch.zeros_like), output_type="latent")
    assert not last.any()


def test_progress_is_shown(shared, capsys):
    pipe = MedicalImagePipeline(**shared.components)
    draw(pipe)
    assert "2/2" in capsys.readouterr().err


def test_a_trajectory_can_be_retraced(shared):
    output = shared(
        ["effusion", "edema"], "cxr", num_inference_steps=3, seeds=[1, 2], output_type="latent", return_trajectory=True
    )
    path = output.trajectory
    assert path.latents.shape == (4, 2, 4, 8, 8) and path.log_probs.shape == (3, 2) and path.timesteps.shape == (3,)
    assert torch.equal(path.latents[-1], output.images)
    encoded = shared.encode_prompts(["effusion", "edema", "", ""], ["cxr", "cxr", None, None])
    shared.scheduler.set_timesteps(3)
    with torch.no_grad():
        for number, timestep in enumerate(path.timesteps):
            prediction = shared.predict(path.latents[number], timestep, encoded, 7.5)
            mean, spread = ddim_transition(shared.scheduler, prediction, timestep, path.latents[number])
            again = log_probability(path.latents[number + 1], mean, spread)
            assert torch.allclose(again, path.log_probs[number], rtol=1e-4)
            if spread:
                normal = torch.distributions.Normal(mean.double(), spread)
                expected = normal.log_prob(path.latents[number + 1].double()).sum((1, 2, 3)).float()
                assert torch.allclose(path.log_probs[number], expected, rtol=1e-4)
    assert path.log_probs[-1].tolist() == [0, 0]  # DDIM's last step draws nothing


# --- folders ---


def test_saved_and_loaded_it_draws_the_same(shared, tmp_path):
    shared.save_pretrained(tmp_path / "one")
    index = json.loads((tmp_path / "one/model_index.json").read_text())
    assert index["_class_name"] == ["medical_pipeline", "MedicalImagePipeline"]
    assert index["unet"] == ["medical_unet", "MedicalUNet2DConditionModel"]
    loaded = MedicalImagePipeline.from_folder(tmp_path / "one")
    loaded.set_progress_bar_config(disable=True)
    assert np.array_equal(draw(loaded), draw(shared))
    loaded.save_pretrained(tmp_path / "two")
    files = [
        {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "one", tmp_path / "two")
    ]
    assert files[0].keys() == files[1].keys()
    changed = {name for name in files[0] if files[0][name] != files[1][name]}
    # What transformers notes of a loading, and of the last padding.
    assert changed <= {"text_encoder/config.json", "tokenizer/tokenizer_config.json", "tokenizer/tokenizer.json"}
    assert not [name for name in files[1] if name.endswith(".json") and str(tmp_path).encode() in files[1][name]]
    half = MedicalImagePipeline.from_folder(tmp_path / "one", dtype=torch.bfloat16)
    half.set_progress_bar_config(disable=True)
    assert half.unet.dtype == half.text_encoder.dtype == half.vae.dtype == torch.bfloat16
    assert np.isfinite(draw(half)).all()


def test_folders_that_are_none(shared, tmp_path):
    with pytest.raises(ConfigError) as error:
        MedicalImagePipeline.from_folder(tmp_path)
    expected = "found no model_index.json; expected a folder of save_pretrained; name another"
    assert str(error.value) == f"{tmp_path}: {expected}"
    for library, kind in (("diffusers", "AutoencoderXL"), ("their_codec", "Codec")):
        write_index(tmp_path, vae=[library, kind])
        with pytest.raises(ConfigError) as error:
            MedicalImagePipeline.from_folder(tmp_path)
        expected = f"found {library}.{kind}; expected a class that is installed; load it with its own code"
        assert str(error.value) == f"{tmp_path / 'model_index.json'}, vae: {expected}"
    with pytest.raises(ConfigError) as error:
        shared.save_pretrained(tmp_path, push_to_hub=True)
    assert str(error.value) == ("push_to_hub: found True; expected a folder alone; call the pipeline's push_to_hub")


# --- Stable Diffusion as it is ---


@pytest.fixture(scope="module")
def stock():
    return tiny_stable_diffusion()


def test_a_stable_diffusion_draws_the_same_pictures(stock, tmp_path):
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    settings = {"num_inference_steps": 3, "latents": noise, "negative_prompt": "bad", "guidance_scale": 5.0}
    expected = stock("an edema", **settings, output_type="np").images
    stock.save_pretrained(tmp_path / "stock")
    for source, switches in ((stock, {}), (tmp_path / "stock", {"skip_gates": True, "fpn_width": 8})):
        pipe = MedicalImagePipeline.from_stock(source, modalities=MODALITIES, **switches)
        pipe.set_progress_bar_config(disable=True)
        assert np.array_equal(pipe("an edema", **settings, output_type="np").images, expected)
    assert pipe.unet.config.skip_gates and pipe.text_encoder.modality_id("X-Ray") == 1
    with pytest.raises(ConfigError) as error:
        pipe("a very long description of a film")
    assert str(error.value) == "prompt: found 29 tokens; expected at most 16; shorten it"
    with pytest.raises(ConfigError) as error:
        MedicalImagePipeline.from_stock(write_index(tmp_path / "xl", _class_name="StableDiffusionXLPipeline"))
    message = "found a StableDiffusionXLPipeline; expected a StableDiffusionPipeline; name one of version 1 or 2"
    assert str(error.value) == f"{tmp_path / 'xl'}: {message}"
    pipe.save_pretrained(tmp_path / "saved")
    again = MedicalImagePipeline.from_folder(tmp_path / "saved")
    again.set_progress_bar_config(disable=True)
    assert np.array_equal(again("an edema", **settings, output_type="np").images, expected)


# --- adapters ---


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    """A pipeline with a random adapter, its picture, and the folder that holds the adapter alone."""
    pipe = tiny_pipeline(**POOLED)
    torch.manual_seed(2)
    pipe.unet.add_adapter(LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, init_lora_weights=False))
    folder = tmp_path_factory.mktemp("adapter")
    pipe.save_lora(folder)
    return pipe, draw(pipe), folder


def test_an_adapter_alone_is_saved_and_loaded(adapter):
    _, expected, folder = adapter
    assert [path.name for path in folder.iterdir()] == ["pytorch_lora_weights.safetensors"]
    pipe = tiny_pipeline(**POOLED)
    assert not np.allclose(draw(pipe), expected, atol=1e-2)
    pipe.load_lora_weights(folder)
    assert np.array_equal(draw(pipe), expected)
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    assert np.allclose(draw(pipe), expected, atol=1e-3)


def test_two_adapters(adapter):
    pipe, expected, folder = adapter
    other = tiny_pipeline(**POOLED)
    other.load_lora_weights(folder / "pytorch_lora_weights.safetensors", adapter_name="one")
    other.load_lora_weights(str(folder), adapter_name="two")
    other.set_adapters(["one", "two"], [0.25, 0.75])
    with pytest.raises(ConfigError) as error:
        other.load_lora_weights(folder, adapter_name="two")
    assert str(error.value) == (
        "adapter_name: found 'two', which is loaded already; expected a new name; "
        "give one, or call unload_lora_weights first"
    )
    assert np.allclose(draw(other), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (
            {"block_out_channels": (32, 96)},
            "adapter weight 'unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_k.lora_A.weight': "
            "found a width of 64; expected 96; load it on the model that it was trained on",
        ),
        (
            {"down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D")},
            "adapter weight 'unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.lora_A.weight': "
            "found no such layer; expected a layer of this U-Net; load it on the model that it was trained on",
        ),
    ],
    ids=["width", "layer"],
)
def test_an_adapter_of_another_base_is_refused(adapter, base, message):
    pipe = tiny_pipeline(**POOLED, **base)
    with pytest.raises(ConfigError) as error:
        pipe.load_lora_weights(adapter[2])
    assert str(error.value) == message
    assert not getattr(pipe.unet, "peft_config", None)


def test_half_an_adapter_is_refused(adapter):
    state = load_file(adapter[2] / MedicalImagePipeline.lora_file)
    lost = "unet.mid_block.attentions.0.transformer_blocks.0.attn2.to_v.lora_B.weight"
    pipe = tiny_pipeline(**POOLED)
    with pytest.raises(ConfigError) as error:
        pipe.load_lora_weights({name: weight for name, weight in state.items() if name != lost})
    assert str(error.value) == (
        f"adapter weight '{lost}': found none, or no place for it; expected both; "
        "load it on the model that it was trained on"
    )
    with pytest.raises(ConfigError) as error:
        pipe.load_lora_weights({"text_encoder.layer.lora_A.weight": torch.zeros(1, 1)})
    assert str(error.value).startswith("adapter weight 'text_encoder.layer.lora_A.weight': found no such layer")


def test_files_that_hold_no_adapter(tmp_path):
    pipe = tiny_pipeline()
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"no tensors")
    for source, found in ((tmp_path, "nothing to load"), (broken, "a file that is no safetensors")):
        with pytest.raises(ConfigError) as error:
            pipe.load_lora_weights(source)
        assert str(error.value).startswith(f"{source}: found {found}")
    with pytest.raises(ConfigError) as error:
        pipe.load_lora_weights({})
    assert str(error.value) == "adapter: found no weights; expected those of an adapter of this U-Net; save it again"


def test_a_pipeline_with_an_adapter_is_not_saved_as_a_whole(adapter, tmp_path):
    with pytest.raises(ConfigError) as error:
        adapter[0].save_pretrained(tmp_path)
    assert str(error.value) == (
        "unet: found adapters (default); expected none; save them by save_lora, or fuse and unload them first"
    )
    with pytest.raises(ConfigError) as error:
        tiny_pipeline().save_lora(tmp_path)
    assert str(error.value) == ("adapter_name: found 'default'; expected an adapter of the U-Net; load or add it first")
    assert not list(tmp_path.iterdir())


# --- what cannot be ---


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guidance_scale": -1}, "guidance_scale: found -1; expected 0 or more; choose another, such as 7.5"),
        ({"num_inference_steps": 0}, "num_inference_steps: found 0; expected 1 or more; choose another"),
        ({"num_inference_steps": 2.5}, "num_inference_steps: found 2.5; expected 1 or more; choose another"),
        ({"num_images_per_prompt": 0}, "num_images_per_prompt: found 0; expected 1 or more; choose another"),
        ({"height": 17}, "height: found 17; expected a multiple of 2; take 16"),
        ({"width": 0}, "width: found 0; expected a multiple of 2; take 2"),
        ({"output_type": "png"}, "output_type: found 'png'; expected one of pil, np, pt, latent; use one of these"),
        (
            {"output_type": "pill"},
            "output_type: found 'pill'; expected one of pil, np, pt, latent; did you mean 'pil'?",
        ),
        ({"prompt": []}, "prompt: found an empty list; expected one or more; give one"),
        ({"prompt": "a" * 70, "modality": None}, "prompt: found 72 tokens; expected at most 64; shorten it"),
        (
            {"prompt": ["a", "b" * 70], "modality": None, "seeds": [1, 2]},
            "prompt 2: found 72 tokens; expected at most 64; shorten it",
        ),
        ({"modality": "cx"}, "modality: found 'cx'; expected one of cxr, ct, oct; did you mean 'cxr'?"),
        (
            {"prompt": ["a", "b"], "modality": ["ct"]},
            "modality: found 1 for 2 prompts; expected one, or one a prompt; give as many",
        ),
        ({"negative_prompt": "c" * 70}, "negative_prompt: found 72 tokens; expected at most 64; shorten it"),
        (
            {"negative_prompt": ["a", "b"]},
            "negative_prompt: found 2 for 1 prompts; expected one, or one a prompt; give as many",
        ),
        ({"seeds": [1, 2]}, "seeds: found 2; expected 1, one an image; give as many"),
        (
            {"latents": torch.zeros(1, 4, 4, 4)},
            "latents: found shape (1, 4, 4, 4); expected (1, 4, 8, 8); give noise of that shape",
        ),
        (
            {"image": torch.zeros(1, 3, 16, 16), "strength": 1.5},
            "strength: found 1.5; expected above 0, at most 1; choose another, such as 0.8",
        ),
        (
            {"image": torch.zeros(1, 3, 16, 16), "strength": 0.2},
            "strength: found 0.2 of 2 steps, which is none; expected a step or more; give more of either",
        ),
        (
            {"image": torch.zeros(3, 16, 16)},
            "image: found shape (3, 16, 16); expected (1 or 1, 3, height, width); give one, or one a prompt",
        ),
        (
            {"image": Image.new("I;16", (16, 16))},
            "image: found mode I;16; expected a PIL image of 8 bits a channel; bring it to 0 to 255 first",
        ),
        (
            {"image": ["film.png"]},
            "image: found str; expected a PIL image of 8 bits a channel; bring it to 0 to 255 first",
        ),
        ({"image": torch.zeros(1, 3, 15, 16)}, "height: found 15; expected a multiple of 2; take 16"),
    ],
)
def test_arguments_that_cannot_be(shared, settings, message):
    usual = {"prompt": "effusion", "modality": "cxr", "num_inference_steps": 2, "seeds": [1]}
    with pytest.raises(ValueError) as error:  # of the component that refuses
        shared(**{**usual, **settings})
    assert str(error.value) == message


def test_schedulers_that_cannot_be():
    pipe = tiny_pipeline()
    with pytest.raises(ConfigError) as error:
        pipe.use_scheduler("dmp")
    known = "one of dpm, ddim, ddpm, euler, euler_a, pndm"
    assert str(error.value) == f"scheduler: found 'dmp'; expected {known}; did you mean 'dpm'?"
    pipe.register_modules(scheduler=DDIMScheduler(prediction_type="sample"))
    with pytest.raises(ConfigError) as error:
        pipe.use_scheduler("euler_a")
    assert str(error.value) == (
        "scheduler: found 'euler_a'; expected one for predicted pictures; use dpm, ddim or euler"
    )
    pipe.register_modules(scheduler=DDIMScheduler(prediction_type="v_prediction", rescale_betas_zero_snr=True))
    with pytest.raises(ConfigError) as error:
        pipe.use_scheduler("pndm")
    assert str(error.value) == (
        "scheduler: found 'pndm'; expected one that reaches a signal of zero; use dpm, ddim or euler_a"
    )
    with pytest.raises(ConfigError) as error:
        pipe.use_scheduler("dpm")(num_inference_steps=1, return_trajectory=True)
    assert str(error.value) == (
        'return_trajectory: found DPMSolverMultistepScheduler; expected DDIM; call use_scheduler("ddim") first'
    )


def test_a_picture_that_overflows_is_said(shared):
    with pytest.raises(ConfigError) as error:
        shared.decode_latents(torch.full((1, 4, 8, 8), float("nan")))
    assert str(error.value) == (
        "picture: found values that are not finite, in torch.float32; expected numbers; "
        "decode in float32: pipe.vae.float()"
    )
    size_free = tiny_pipeline(sample_size=None)
    with pytest.raises(ConfigError) as error:
        size_free("effusion")
    assert str(error.value) == (
        "height: found none, and a U-Net that names no size; expected a number of pixels; give it"
    )
