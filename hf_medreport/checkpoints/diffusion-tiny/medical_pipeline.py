"""Words in, a medical picture out: a diffusers pipeline of our conditioner, U-Net and codec or any VAE.

    pipe = DiffusionPipeline.from_pretrained(folder_or_repo, trust_remote_code=True)
    pipe("small left pleural effusion", "cxr", seeds=[0]).images[0].save("film.png")

Every picture has a seed of its own, for its first noise and all later ones: picture k of a batch is picture k alone, to
the bits of its noise and at most one gray level.

What differs from diffusers' StableDiffusionPipeline, whose pictures come out where its folder is taken by `from_stock`:

- prompts are encoded with their modality and a mask, and a prompt that is longer than the encoder is refused, not cut;
- guidance may follow a schedule or keep to a window, and a step whose scale is 1 runs the U-Net once, not twice;
- latents stay in float32 between steps;
- `save_pretrained` writes the code too, with a `model_index.json` that names it, so that the folder loads anywhere.
"""

import difflib
import importlib
import inspect
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    DiffusionPipeline,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    SchedulerMixin,
    StableDiffusionPipeline,
)
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image, ImageOps
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .config_error import ConfigError
from .denoising import alpha_bar_at, ddim_transition, log_probability, of_clean, to_clean
from .guidance import check_guidance, guidance_at, progress_of, rescaled, thresholded
from .structured_prompt import StructuredPrompt

SCHEDULERS = {
    "dpm": DPMSolverMultistepScheduler,  # DPM-Solver++
    "ddim": DDIMScheduler,
    "ddpm": DDPMScheduler,
    "euler": EulerDiscreteScheduler,
    "euler_a": EulerAncestralDiscreteScheduler,
    "pndm": PNDMScheduler,
}
OUTPUT_TYPES = ("pil", "np", "pt", "latent")
OTHER_BASE = "load it on the model that it was trained on"
SIBLINGS = (ConfigError, StructuredPrompt, check_guidance, of_clean)  # one of each file that this one imports
STOCK = ("StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline")  # what a folder of the same parts may say
LIBRARIES = ("diffusers", "transformers")  # whose classes a folder names without bringing their code


@dataclass
class Trajectory:
    """The steps from noise to picture, for policy gradients.

    Attributes:
        latents: (steps + 1, images, channels, rows, columns), from the first noise to the last latents.
        timesteps: (steps,).
        log_probs: (steps, images): log-densities of each step's latents given those before; 0 where a step draws
            nothing. `denoising.ddim_transition` and `log_probability` make them again for another U-Net.
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    log_probs: torch.Tensor


@dataclass
class MedicalImageOutput(BaseOutput):
    """Pictures and what they were drawn from.

    Attributes:
        images: as `output_type` says; image k of prompt j is at `j * num_images_per_prompt + k`.
        seeds: one an image.
        trajectory: where it was asked for.
    """

    images: list | np.ndarray | torch.Tensor
    seeds: list[int]
    trajectory: Trajectory | None = None


class MedicalImagePipeline(DiffusionPipeline, StableDiffusionLoraLoaderMixin):
    """Draws pictures from prompts.

    Args:
        vae: an `AutoencoderKL`, a `MedicalPatchCodec`, or what else encodes and decodes as they do.
        text_encoder: a `MedicalTextConditioner`.
        tokenizer: of its text encoder.
        unet: a `MedicalUNet2DConditionModel` or a stock U-Net.
        scheduler: of diffusers; its `prediction_type` says what the U-Net predicts.
        guidance_scale: by which it draws where a call names none. Default: 7.5, as usual for Stable Diffusion; a small
            model wants less.
    """

    model_cpu_offload_seq = "text_encoder->unet->vae"
    lora_file = "pytorch_lora_weights.safetensors"
    StructuredPrompt = StructuredPrompt  # for who has the pipeline from a folder, and not this module

    def __init__(
        self,
        vae: ModelMixin,
        text_encoder: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        unet: ModelMixin,
        scheduler: SchedulerMixin,
        guidance_scale: float = 7.5,
    ):
        super().__init__()
        self.register_to_config(guidance_scale=guidance_scale)
        self.register_modules(vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler)

    # --- where it comes from, where it goes ---

    @classmethod
    def from_stock(
        cls, source: str | os.PathLike | StableDiffusionPipeline, *, modalities=(), **switches
    ) -> "MedicalImagePipeline":
        """A Stable Diffusion 1.x as it is: the same pictures from the same noise, and ready to be trained further.

        Args:
            source: its folder or repo id, or the loaded pipeline.
            modalities: that the conditioner is to tell apart once trained; see `MedicalTextConditionerConfig`.
            switches: of `MedicalUNet2DConditionModel.from_stock`.

        Raises:
            ConfigError: a pipeline of another kind, such as Stable Diffusion XL's.
        """
        if not isinstance(source, StableDiffusionPipeline):
            kind = cls.load_config(source)["_class_name"]
            if kind not in STOCK:
                raise ConfigError(str(source), f"a {kind}", "a StableDiffusionPipeline", "name one of version 1 or 2")
            source = StableDiffusionPipeline.from_pretrained(source, safety_checker=None, requires_safety_checker=False)
        conditioner = _component("medical_text_conditioner").MedicalTextConditioner.from_text_encoder(
            source.text_encoder,
            modalities=modalities,
            max_length=source.tokenizer.model_max_length,
            pooling="pooler",
            attend_padding=True,
        )
        return cls(
            vae=source.vae,
            text_encoder=conditioner.to(source.text_encoder.dtype),
            tokenizer=source.tokenizer,
            unet=_component("medical_unet").MedicalUNet2DConditionModel.from_stock(source.unet, **switches),
            scheduler=source.scheduler,
        )

    @classmethod
    def from_folder(cls, folder: str | os.PathLike, dtype: torch.dtype = torch.float32) -> "MedicalImagePipeline":
        """A saved pipeline by the code that is installed, so that none of the folder's runs.

        Raises:
            ConfigError: no such folder, or a component of a class that is not installed.
        """
        path = os.path.join(folder, "model_index.json")
        if not os.path.isfile(path):
            raise ConfigError(str(folder), "no model_index.json", "a folder of save_pretrained", "name another")
        index, parts = _read_json(path), {}
        for name in ("vae", "text_encoder", "tokenizer", "unet", "scheduler"):
            library, kind = index.get(name) or ("nothing", "nothing")
            try:
                source = importlib.import_module(library) if library in LIBRARIES else _component(library)
                getattr(source, kind)
            except (ImportError, AttributeError) as error:
                found, remedy = f"{library}.{kind}", "load it with its own code"
                raise ConfigError(f"{path}, {name}", found, "a class that is installed", remedy) from error
            parts[name] = getattr(source, kind).from_pretrained(os.path.join(folder, name))
            if isinstance(parts[name], nn.Module):
                nn.Module.to(parts[name], dtype)  # torch's own: that of diffusers warns of layers that these lack
        own = {name: index[name] for name in ("guidance_scale",) if name in index}
        return cls(**parts, **own)

    def save_pretrained(self, save_directory: str | os.PathLike, **kwargs) -> None:
        """Write a folder that loads where hf-medreport is not installed: components, code, and an index of both.

        Args:
            save_directory: made when absent.
            kwargs: `safe_serialization`, `variant`, `max_shard_size` of diffusers. To publish, use `push_to_hub`.

        Raises:
            ConfigError: the U-Net carries adapters, which the folder could not hold.
        """
        if kwargs.pop("push_to_hub", False):
            raise ConfigError("push_to_hub", "True", "a folder alone", "call the pipeline's push_to_hub")
        if getattr(self.unet, "peft_config", None):
            names = ", ".join(self.unet.peft_config)
            remedy = "save them by save_lora, or fuse and unload them first"
            raise ConfigError("unet", f"adapters ({names})", "none", remedy)
        super().save_pretrained(save_directory, **kwargs)
        path = os.path.join(save_directory, "model_index.json")
        index = _read_json(path)
        for name, component in self.components.items():
            kind = type(component)
            if kind.__module__.split(".")[0] not in LIBRARIES:
                _copy_source(kind, os.path.join(save_directory, name))
                index[name] = [kind.__module__.rpartition(".")[2], kind.__name__]
            config = os.path.join(save_directory, name, "config.json")
            if os.path.isfile(config):  # which names no place on this machine
                _write_json(config, {key: value for key, value in _read_json(config).items() if key != "_name_or_path"})
        index["_class_name"] = [type(self).__module__.rpartition(".")[2], type(self).__name__]
        for each in (type(self), *SIBLINGS):
            _copy_source(each, save_directory)
        _write_json(path, index)

    def use_scheduler(self, name: str) -> "MedicalImagePipeline":
        """Change how it samples: dpm (DPM-Solver++), ddim, ddpm, euler, euler_a, pndm; what was trained is kept.

        Raises:
            ConfigError: an unknown name, or a scheduler that cannot do what the U-Net was trained for.
        """
        _refuse_unknown("scheduler", name, SCHEDULERS)
        kind, config = SCHEDULERS[name], self.scheduler.config
        known = inspect.signature(kind.__init__).parameters
        if config.get("rescale_betas_zero_snr") and "rescale_betas_zero_snr" not in known:
            raise ConfigError("scheduler", f"'{name}'", "one that reaches a signal of zero", "use dpm, ddim or euler_a")
        if config.prediction_type == "sample" and name in ("euler_a", "pndm"):
            raise ConfigError("scheduler", f"'{name}'", "one for predicted pictures", "use dpm, ddim or euler")
        # Latents have no range to be clipped to, which is some schedulers' default; PNDM's first steps of another kind
        # could not begin at an image.
        fixed = {"clip_sample": False, "thresholding": False, "skip_prk_steps": True}
        fixed = {key: value for key, value in fixed.items() if key in known}
        self.register_modules(scheduler=kind.from_config(config, **fixed))
        return self

    # --- adapters ---

    def save_lora(self, save_directory: str | os.PathLike, adapter_name: str = "default") -> None:
        """Write the U-Net's adapter alone, as `lora_file` with its settings inside."""
        try:  # in a try, or whoever loads the folder would have to have it
            from peft import get_peft_model_state_dict
        except ImportError:
            raise ConfigError("peft", "no such package", "it, for adapters", "pip install peft") from None
        if adapter_name not in (getattr(self.unet, "peft_config", None) or {}):
            raise ConfigError("adapter_name", f"'{adapter_name}'", "an adapter of the U-Net", "load or add it first")
        self.save_lora_weights(
            save_directory,
            unet_lora_layers=get_peft_model_state_dict(self.unet, adapter_name=adapter_name),
            unet_lora_adapter_metadata=self.unet.peft_config[adapter_name].to_dict(),
        )

    def load_lora_weights(self, source: str | os.PathLike | dict, adapter_name: str = "default", **kwargs) -> None:
        """Load an adapter of the U-Net. Every weight must find its layer, and every layer of the adapter its weights:
        diffusers leaves out what does not fit with a log line.

        Args:
            source: a folder or repo id, a file, or its tensors.
            adapter_name: under which it is known here.
            kwargs: of `lora_state_dict`, such as `weight_name`, `subfolder`, `revision`.

        Raises:
            ConfigError: no adapter is there, one has its name already, or a weight has no layer or another shape: the
                adapter is of another base. Nothing is loaded then.
        """
        if adapter_name in (getattr(self.unet, "peft_config", None) or {}):
            found = f"'{adapter_name}', which is loaded already"
            raise ConfigError("adapter_name", found, "a new name", "give one, or call unload_lora_weights first")
        source = os.fspath(source) if isinstance(source, os.PathLike) else source
        if isinstance(source, str) and os.path.exists(source):
            kwargs.setdefault("weight_name", self.lora_file)  # offline, diffusers looks for no name of its own
        try:
            given, alphas, metadata = self.lora_state_dict(
                source, return_lora_metadata=True, use_safetensors=True, **kwargs
            )
        except (OSError, SafetensorError) as error:
            found = "nothing to load" if isinstance(error, OSError) else "a file that is no safetensors"
            remedy = "name the folder that save_lora wrote"
            raise ConfigError(str(source), found, self.lora_file, remedy) from error
        if not given:
            raise ConfigError("adapter", "no weights", "those of an adapter of this U-Net", "save it again")
        layers = {name.replace(".base_layer", ""): layer for name, layer in self.unet.named_modules()}
        for name, weight in given.items():
            layer, _, kind = name.removeprefix("unet.").partition(".lora_")
            if not name.startswith("unet.") or not kind or layer not in layers:
                raise ConfigError(f"adapter weight '{name}'", "no such layer", "a layer of this U-Net", OTHER_BASE)
            own = getattr(layers[layer], "base_layer", layers[layer])
            sides = ("in_features", "in_channels") if kind.startswith("A") else ("out_features", "out_channels")
            wanted = next((getattr(own, side) for side in sides if hasattr(own, side)), None)
            found = weight.shape[1] if kind.startswith("A") else weight.shape[0]
            if found != wanted:
                raise ConfigError(f"adapter weight '{name}'", f"a width of {found}", str(wanted), OTHER_BASE)
        self.load_lora_into_unet(
            given, network_alphas=alphas, unet=self.unet, adapter_name=adapter_name, metadata=metadata, _pipeline=self
        )
        mark = f".{adapter_name}.weight"
        own = {f"unet.{name.replace(mark, '.weight')}" for name in self.unet.state_dict() if name.endswith(mark)}
        lost = sorted(own ^ set(given))
        if lost:
            self.unet.delete_adapters(adapter_name)
            raise ConfigError(f"adapter weight '{lost[0]}'", "none, or no place for it", "both", OTHER_BASE)

    # --- words ---

    def tokenize(self, prompts: list[str], modalities=None, name: str = "prompt") -> dict[str, torch.Tensor]:
        """What the conditioner is called with, for training too: `input_ids`, `attention_mask`, `modality_ids`.

        Args:
            prompts: one or more; "" is the null text.
            modalities: one a prompt, one for all, or None: the null modality.
            name: what an error calls a prompt.

        Raises:
            ConfigError: an unknown modality, or a prompt of more tokens than the encoder takes.
        """
        names = modalities if isinstance(modalities, list | tuple) else [modalities] * len(prompts)
        if len(names) != len(prompts):
            raise ConfigError("modality", f"{len(names)} for {len(prompts)} prompts", "one a prompt, or one", "mend it")
        config = self.text_encoder.config
        words = [self.text_encoder.in_words(*each) for each in zip(prompts, names, strict=True)]
        # Lengths are looked at here, so that nothing is cut: the tokenizer's own warning would come after the fact.
        tokens = self.tokenizer(
            words,
            padding="max_length" if config.attend_padding else "longest",
            max_length=config.max_length,
            return_attention_mask=True,
            truncation=False,
            verbose=False,
        )
        lengths = [sum(mask) for mask in tokens["attention_mask"]]
        for number, length in enumerate(lengths, 1):
            if length > config.max_length:
                which = name if len(prompts) == 1 else f"{name} {number}"
                raise ConfigError(which, f"{length} tokens", f"at most {config.max_length}", "shorten it")
        device = self._execution_device
        ids = [self.text_encoder.modality_id(each) for each in names]
        return {
            "input_ids": torch.tensor(tokens["input_ids"], device=device),
            "attention_mask": torch.tensor(tokens["attention_mask"], device=device),
            "modality_ids": torch.tensor(ids, device=device),
        }

    def encode_prompts(self, prompts: list[str], modalities=None):
        """Tokens, pooled states and mask of prompts (a `ConditionerOutput`); arguments as in `tokenize`."""
        return self.text_encoder(**self.tokenize(prompts, modalities))

    # --- pictures ---

    @property
    def vae_scale_factor(self) -> int:
        """Pixels a side that one place of the latents stands for."""
        config = self.vae.config
        return config.get("patch_size") or 2 ** (len(config.block_out_channels) - 1)

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels (batch, 3, height, width) in [-1, 1] as latents on the U-Net's scale: means, never samples."""
        latents = self.vae.encode(pixels.to(self._execution_device, self.vae.dtype)).latent_dist.mode().float()
        return (latents - (self.vae.config.get("shift_factor") or 0.0)) * self.vae.config.scaling_factor

    def decode_latents(self, latents: torch.Tensor, modalities: list[str | None] | None = None) -> torch.Tensor:
        """Latents as pixels (batch, 3, height, width) in [0, 1].

        Args:
            latents: (batch, channels, rows, columns).
            modalities: one a picture; those of a gray modality come out gray. None: all as the codec has them.

        Raises:
            ConfigError: the picture is not finite, as from a VAE whose half precision overflows.
        """
        latents = latents / self.vae.config.scaling_factor + (self.vae.config.get("shift_factor") or 0.0)
        pixels = self.vae.decode(latents.to(self.vae.dtype)).sample.float()
        if not torch.isfinite(pixels).all():
            found = f"values that are not finite, in {self.vae.dtype}"
            raise ConfigError("picture", found, "numbers", "decode in float32: pipe.vae.float()")
        if modalities is not None:
            gray = torch.tensor([self.text_encoder.is_gray(each) for each in modalities], device=pixels.device)
            pixels = torch.where(gray[:, None, None, None], pixels.mean(1, keepdim=True), pixels)
        return (pixels / 2 + 0.5).clamp(0, 1)

    @torch.no_grad()
    def __call__(
        self,
        prompt: "str | StructuredPrompt | list | None" = None,
        modality: str | list[str | None] | None = None,
        *,
        negative_prompt: str | list[str] | None = None,
        image: "Image.Image | torch.Tensor | list | None" = None,
        strength: float = 0.8,
        num_images_per_prompt: int = 1,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float | None = None,
        guidance_schedule: str = "constant",
        guidance_window: tuple[float, float] = (0.0, 1.0),
        guidance_rescale: float = 0.0,
        dynamic_threshold: float | None = None,
        generator: torch.Generator | None = None,
        seeds: list[int] | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        callback_on_step_end: Callable | None = None,
        return_trajectory: bool = False,
        return_dict: bool = True,
    ) -> MedicalImageOutput | tuple:
        """Draw pictures.

        Args:
            prompt: words, a `StructuredPrompt`, a list of either; None: a picture of no prompt, without guidance.
            modality: of all prompts or one a prompt, by any name that the model knows; None: none.
            negative_prompt: of all prompts or one a prompt: what the guidance leads away from; None: the null text.
            image: to start from instead of noise: a PIL image (fitted to the size with its aspect kept), pixels
                (batch, 3, height, width) in [-1, 1], or a list of PIL images, one a prompt.
            strength: how much of the way is drawn anew where there is an image, above 0 to 1.
            num_images_per_prompt: 1.
            height, width: in pixels; default: what the U-Net was trained for, or the image's where it is a tensor.
            num_inference_steps: 50.
            guidance_scale: 1: the prompt alone; 0: as if there were none; None: the model's own.
            guidance_schedule: from 1 to that scale: `"constant"`, `"linear"` or `"cosine"`.
            guidance_window: shares of the way (0 noise, 1 picture) outside of which there is no guidance.
            guidance_rescale: 0 to 1, see `guidance.rescaled`.
            dynamic_threshold: a percentile such as 0.995, see `guidance.thresholded`; None: none.
            generator: draws the seeds, where there are none.
            seeds: one an image; None: new ones.
            latents: the first noise (images, channels, rows, columns) instead of that of the seeds.
            output_type: `"pil"`, `"np"` (images, height, width, 3) in [0, 1], `"pt"` the same as (images, 3, height,
                width), or `"latent"`.
            callback_on_step_end: called as (pipeline, step, timestep, {"latents": ...}) after every step; where it
                returns such a dict, its latents are gone on with.
            return_trajectory: whether to keep all steps with their log-probabilities; DDIM alone, with eta 1.
            return_dict: False: a tuple.

        Raises:
            ConfigError: an argument that cannot be.
        """
        if guidance_scale is None:
            guidance_scale = self.config.guidance_scale
        check_guidance(guidance_scale, guidance_schedule, guidance_window, guidance_rescale, dynamic_threshold)
        _refuse_unknown("output_type", output_type, OUTPUT_TYPES)
        numbers = {"num_inference_steps": num_inference_steps, "num_images_per_prompt": num_images_per_prompt}
        for name, value in numbers.items():
            if not isinstance(value, int) or value < 1:
                raise ConfigError(name, str(value), "1 or more", "choose another")
        if return_trajectory and not isinstance(self.scheduler, DDIMScheduler):
            found = type(self.scheduler).__name__
            raise ConfigError("return_trajectory", found, "DDIM", 'call use_scheduler("ddim") first')
        if prompt is None:
            prompt, guidance_scale = "", 1.0
        prompts = prompt if isinstance(prompt, list) else [prompt]
        if not prompts:
            raise ConfigError("prompt", "an empty list", "one or more", "give one")
        count = len(prompts) * num_images_per_prompt
        modalities = _per_prompt("modality", modality, len(prompts))
        negatives = _per_prompt("negative_prompt", negative_prompt or "", len(prompts))
        self.tokenize([str(each) for each in prompts], modalities)  # refused before anything is drawn
        self.tokenize(negatives, name="negative_prompt")
        prompts, modalities, negatives = (
            [each for each in values for _ in range(num_images_per_prompt)]
            for values in (prompts, modalities, negatives)
        )

        device = self._execution_device
        pixels = None if image is None else self._pixels(image, height, width, count, num_images_per_prompt)
        if pixels is not None:
            height, width = pixels.shape[-2:]
        shape = self._latent_shape(count, height, width)
        seeds = self._seeds(seeds, generator, count)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        timesteps = self.scheduler.timesteps
        if pixels is not None:
            timesteps = self._timesteps_from(strength, num_inference_steps)
        noise = self._first_noise(latents, shape, generators)
        if pixels is None:
            latents = noise * self.scheduler.init_noise_sigma
        else:
            latents = self.scheduler.add_noise(
                self.encode_images(pixels).to(device), noise, timesteps[:1].repeat(count)
            )

        encoded = {}  # by the words that hold: those of a prompt in stages change
        steps, log_probs = [latents], []
        takes = inspect.signature(self.scheduler.step).parameters
        extra = {"generator": generators} if "generator" in takes else {}
        with self.progress_bar(total=len(timesteps)) as bar:
            for number, timestep in enumerate(timesteps):
                progress = progress_of(timestep, self.scheduler.config.num_train_timesteps)
                words = tuple(each if isinstance(each, str) else each.at(progress) for each in prompts)
                if words not in encoded:
                    nulls = [None] * count
                    encoded[words] = self.encode_prompts([*words, *negatives], [*modalities, *nulls])
                scale = guidance_at(progress, guidance_scale, guidance_schedule, guidance_window)
                prediction = self.predict(latents, timestep, encoded[words], scale, guidance_rescale, dynamic_threshold)
                if return_trajectory:
                    mean, spread = ddim_transition(self.scheduler, prediction, timestep, latents)
                    drawn = randn_tensor(shape, generator=generators, device=device, dtype=mean.dtype)
                    latents = mean + spread * drawn
                    steps.append(latents)
                    log_probs.append(log_probability(latents, mean, spread))
                else:
                    latents = self.scheduler.step(prediction, timestep, latents, **extra, return_dict=False)[0]
                if callback_on_step_end is not None:
                    changed = callback_on_step_end(self, number, timestep, {"latents": latents})
                    latents = (changed or {}).get("latents", latents)
                bar.update()

        images = self._as_output(latents, modalities, output_type)
        self.maybe_free_model_hooks()
        trajectory = Trajectory(torch.stack(steps), timesteps, torch.stack(log_probs)) if return_trajectory else None
        output = MedicalImageOutput(images=images, seeds=seeds, trajectory=trajectory)
        return output if return_dict else (images, seeds, trajectory)

    def predict(
        self, latents, timestep, encoded, scale: float, rescale: float = 0.0, percentile: float | None = None
    ) -> torch.Tensor:
        """The U-Net's guided prediction (images, channels, rows, columns) in float32, with gradients where there are.

        Args:
            latents: (images, channels, rows, columns).
            timestep: one of the scheduler's.
            encoded: of the prompts, then of as many negative ones, by `encode_prompts`.
            scale: of the guidance; 1 and 0 run the U-Net once.
            rescale, percentile: see `guidance.rescaled` and `guidance.thresholded`.
        """
        count, scheduler = len(latents), self.scheduler
        given = scheduler.scale_model_input(latents, timestep)
        if scale in (0.0, 1.0):  # one of the two alone
            rows = slice(0, count) if scale == 1 else slice(count, 2 * count)
            return self._denoise(given, timestep, encoded, rows)
        both = self._denoise(torch.cat([given, given]), timestep, encoded, slice(0, 2 * count))
        conditional, without = both.chunk(2)
        guided = without + scale * (conditional - without)
        if rescale:
            guided = rescaled(guided, conditional, rescale)
        if percentile is not None:
            kind = scheduler.config.prediction_type
            alpha_bar = alpha_bar_at(scheduler.alphas_cumprod, timestep.reshape(1))
            clean = [to_clean(each, kind, given, alpha_bar) for each in (guided, conditional)]
            guided = of_clean(thresholded(*clean, percentile), kind, given, alpha_bar)
        return guided

    def _denoise(self, given, timestep, encoded, rows: slice) -> torch.Tensor:
        kind = self.unet.dtype
        pooled = encoded.pooled[rows].to(kind) if self.unet.config.class_embed_type == "projection" else None
        mask = None if self.text_encoder.config.attend_padding else encoded.mask[rows]
        return self.unet(
            given.to(kind),
            timestep,
            encoder_hidden_states=encoded.tokens[rows].to(kind),
            class_labels=pooled,
            encoder_attention_mask=mask,
            return_dict=False,
        )[0].float()

    def _latent_shape(self, count: int, height: int | None, width: int | None) -> tuple[int, int, int, int]:
        factor, trained = self.vae_scale_factor, self.unet.config.sample_size
        rows, columns = trained if isinstance(trained, list | tuple) else (trained, trained)
        sides = []
        for name, side, default in (("height", height, rows), ("width", width, columns)):
            if side is None and default is None:
                raise ConfigError(name, "none, and a U-Net that names no size", "a number of pixels", "give it")
            side = default * factor if side is None else side
            if not isinstance(side, int) or side < factor or side % factor:
                nearest = max(round(side / factor), 1) * factor
                raise ConfigError(name, str(side), f"a multiple of {factor}", f"take {nearest}")
            sides.append(side // factor)
        return (count, self.unet.config.in_channels, *sides)

    def _pixels(self, image, height: int | None, width: int | None, count: int, each: int) -> torch.Tensor:
        """Images to start from as (images, 3, height, width) in [-1, 1]."""
        if not isinstance(image, torch.Tensor):
            rows, columns = self._latent_shape(1, height, width)[2:]
            size = (columns * self.vae_scale_factor, rows * self.vae_scale_factor)
            films = image if isinstance(image, list) else [image]
            for film in films:
                if not isinstance(film, Image.Image) or film.mode.startswith(("I", "F")):
                    found = f"mode {film.mode}" if isinstance(film, Image.Image) else type(film).__name__
                    raise ConfigError("image", found, "a PIL image of 8 bits a channel", "bring it to 0 to 255 first")
            # With the aspect kept: bars beside a film, never another shape of heart.
            films = [ImageOps.pad(film.convert("RGB"), size, Image.Resampling.BICUBIC) for film in films]
            image = torch.from_numpy(np.stack(films)).permute(0, 3, 1, 2).float() / 127.5 - 1
        if image.ndim != 4 or image.shape[1] != 3 or image.shape[0] not in (1, count // each):
            expected = f"(1 or {count // each}, 3, height, width)"
            raise ConfigError("image", f"shape {tuple(image.shape)}", expected, "give one, or one a prompt")
        self._latent_shape(1, *image.shape[-2:])
        return image.float().repeat_interleave(count // len(image), 0)

    def _timesteps_from(self, strength: float, num_inference_steps: int) -> torch.Tensor:
        """Those that are left where an image is given."""
        if not 0 < strength <= 1:
            raise ConfigError("strength", str(strength), "above 0, at most 1", "choose another, such as 0.8")
        left = min(int(num_inference_steps * strength), num_inference_steps)
        if left == 0:
            found = f"{strength} of {num_inference_steps} steps, which is none"
            raise ConfigError("strength", found, "a step or more", "give more of either")
        start = (num_inference_steps - left) * self.scheduler.order
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(start)
        return self.scheduler.timesteps[start:]

    def _seeds(self, seeds: list[int] | None, generator: torch.Generator | None, count: int) -> list[int]:
        if seeds is None:
            return torch.randint(2**31, (count,), generator=generator, device=generator and generator.device).tolist()
        if len(seeds) != count:
            raise ConfigError("seeds", str(len(seeds)), f"{count}, one an image", "give as many")
        return list(seeds)

    def _first_noise(self, latents: torch.Tensor | None, shape: tuple, generators: list) -> torch.Tensor:
        """Drawn in float32 on the CPU, so that a seed means the same noise on every machine."""
        if latents is None:
            return randn_tensor(shape, generator=generators, device=self._execution_device, dtype=torch.float32)
        if tuple(latents.shape) != shape:
            raise ConfigError("latents", f"shape {tuple(latents.shape)}", str(shape), "give noise of that shape")
        return latents.to(self._execution_device, torch.float32)

    def _as_output(self, latents: torch.Tensor, modalities: list[str | None], output_type: str):
        if output_type == "latent":
            return latents
        pixels = self.decode_latents(latents, modalities)
        if output_type == "pt":
            return pixels
        array = pixels.permute(0, 2, 3, 1).cpu().numpy()
        if output_type == "np":
            return array
        return [Image.fromarray(each) for each in (array * 255).round().astype("uint8")]


def _component(module: str):
    """A component's module beside this one. By name: a relative import would have its file beside every saved pipeline
    too, where it lies in its component's folder."""
    return importlib.import_module(f"{__package__}.{module}")


def _copy_source(what, folder: str) -> None:
    """The file in which a class or function is written, beside what needs it."""
    source = inspect.getsourcefile(what)
    shutil.copyfile(source, os.path.join(folder, os.path.basename(source)))


def _read_json(path: str) -> dict:
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _write_json(path: str, content: dict) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _refuse_unknown(name: str, value: str, known) -> None:
    if value not in known:
        nearest = difflib.get_close_matches(str(value), known, n=1)
        remedy = f"did you mean '{nearest[0]}'?" if nearest else "use one of these"
        raise ConfigError(name, repr(value), f"one of {', '.join(known)}", remedy)


def _per_prompt(name: str, value, count: int) -> list:
    """A value a prompt, of one for all or a list of as many."""
    values = value if isinstance(value, list | tuple) else [value] * count
    if len(values) != count:
        raise ConfigError(name, f"{len(values)} for {count} prompts", "one, or one a prompt", "give as many")
    return list(values)


__all__ = ["SCHEDULERS", "MedicalImageOutput", "MedicalImagePipeline", "Trajectory"]
