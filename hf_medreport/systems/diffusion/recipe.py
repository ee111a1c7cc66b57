"""The recipe of the generator: pictures with descriptions -> a pipeline that draws them, or an adapter of one.

    hf-medreport train diffusion --config examples/diffusion_phantom.yaml --output_dir runs/diffusion
    accelerate launch --num_processes 2 examples/train.py diffusion --config examples/diffusion_phantom.yaml

On GPUs; `accelerate launch` starts several processes of a processor by MPI alone, and one, without a word, where there
is none. There: `python -m torch.distributed.run --standalone --nproc_per_node 2 examples/train.py diffusion ...`.

Writes `OUTPUT_DIR/MODEL_NAME` (a pipeline that loads anywhere, or of `lora_rank` the adapter alone, with `run.json`),
`checkpoint-N` (to resume from), `samples/step-N.png` and `manifest.json`.
"""

import importlib.metadata
import logging
import shutil
from contextlib import nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator

from hf_medreport.data.drawn.described import draw_described
from hf_medreport.data.pictures.stream import PictureStream
from hf_medreport.data.pictures.table import PictureTable
from hf_medreport.files.writing import write_json
from hf_medreport.hub.folder import save_generator
from hf_medreport.modeling.medical_pipeline import MedicalImagePipeline
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import weights_revision
from hf_medreport.systems.diffusion.card import write_generator_card
from hf_medreport.systems.diffusion.modalities import Modalities, read_modalities
from hf_medreport.systems.diffusion.prompts import PromptAugmentation
from hf_medreport.systems.diffusion.training.adapters import add_adapter, load_adapter, merged_unet, save_adapter
from hf_medreport.systems.diffusion.training.build import freeze, from_base, from_sizes, noise_levels
from hf_medreport.systems.diffusion.training.checkpoints import check_disk
from hf_medreport.systems.diffusion.training.checks import check
from hf_medreport.systems.diffusion.training.quantization import dequantize, quantize
from hf_medreport.systems.diffusion.training.settings import (
    DataArguments,
    ModelArguments,
    Stage,
    TrainingArguments,
    stages_of,
)
from hf_medreport.systems.diffusion.training.trainer import DiffusionTrainer, Watching, accelerator_of
from hf_medreport.systems.diffusion.training.watching import Sampling, Validation, good_items
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.changed_settings import check_inputs
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import (
    MANIFEST,
    PACKAGES,
    RunArguments,
    manifest_of,
    remove_older_run,
    resume_point,
    step_of,
    write_manifest,
)

GRIDS = "samples"  # in the output folder
RUN = "run.json"  # in the final folder: what the run was and how its losses went
PLACES = ("output_dir", "drawn", "image_root", "resume", "resume_from_checkpoint", "overwrite")
PLACES += ("allow_changed_settings",)
NAMED = ("base", "adapter", "vae", "train_data", "validation_data", "modalities")
SAMPLER = "dpm"  # by which a new model samples until another is chosen
SAMPLES = 8  # pictures of a grid where no prompts are named

logger = logging.getLogger(__name__)


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model, data, arguments = read_arguments((ModelArguments, DataArguments, TrainingArguments), config, flags)
    stages = stages_of(arguments)
    check(model, data, arguments)
    asked = RunArguments("diffusion", config, model, data, arguments)
    point, accelerator = resume_point(arguments), accelerator_of(arguments)
    asked.output.mkdir(parents=True, exist_ok=True)
    tables = Tables(asked, accelerator)
    pipe, revision = build(asked, tables, stages)
    levels = noise_levels(model, pipe)
    pipe.register_modules(scheduler=levels)
    pipe.use_scheduler(SAMPLER)
    pipe.register_to_config(guidance_scale=arguments.sample_guidance)
    trainer = DiffusionTrainer(pipe, levels, accelerator, arguments, stages, tables.stream, watching(asked, tables))
    check_disk(asked.output, bytes_of_run(trainer))
    if accelerator.is_main_process:
        if arguments.overwrite:
            remove_older_run(arguments)
            shutil.rmtree(asked.output / GRIDS, ignore_errors=True)
        manifest = manifest_of(asked, len(tables.training(stages[0].resolution)), tables.inputs)
        if point is not None:
            check_inputs(asked, point.parent / MANIFEST, manifest["inputs"])
        write_manifest(asked, manifest, None if point is None else step_of(point))
    accelerator.wait_for_everyone()
    trainer.train(point, asked.output)
    folder = asked.output / arguments.model_name
    if accelerator.is_main_process:
        finish(trainer, asked, revision, folder)
    losses = {name: value for line in trainer.progress.history for name, value in line.items() if "loss" in name}
    return {"global_step": trainer.progress.step, **losses, "model": str(folder)}


class Tables:
    """The pictures of a run at any resolution, read or drawn; the first of several processes draws."""

    def __init__(self, asked: RunArguments, accelerator: Accelerator):
        self.data, self.accelerator, self.known = asked.data, accelerator, {}
        self.modalities = read_modalities(self.data.modalities)
        self.folder = Path(self.data.drawn or asked.output / "drawn")
        self.named = Modalities(self.modalities).named
        self.reword = PromptAugmentation() if self.data.augment_prompts else None

    @property
    def inputs(self) -> list[Path]:
        """The tables that are read, for the manifest."""
        return [Path(table) for table in (self.data.train_data, self.data.validation_data) if table]

    def training(self, resolution: int) -> PictureTable:
        """What is learned from."""
        return self._table(self.data.train_data, "train", self.data.phantom_cases, resolution)

    def validation(self, resolution: int) -> PictureTable:
        """What is not."""
        return self._table(self.data.validation_data, "validation", self.data.phantom_validation_cases, resolution)

    def stream(self, resolution: int, **position) -> PictureStream:
        """The training rows of a process from a position on; see `PictureStream`."""
        table = self.training(resolution)
        return PictureStream(table, buffer=self.data.shuffle_buffer, reword=self.reword, **position)

    def _table(self, path: str | None, split: str, cases: int, resolution: int) -> PictureTable:
        if (split, resolution) not in self.known:
            if path is None:
                corpus = ChestCorpus(cases, self.data.phantom_seed, resolution, split)
                with self.accelerator.main_process_first():
                    path = draw_described(self.folder / f"{split}-{resolution}", corpus)
            options = {"size": resolution, "fit": self.data.fit, "base": self.data.image_root}
            table = PictureTable(path, **options, modality=self.named)
            for problem in table.first_problems:
                logger.warning("%s", problem)
            self.known[split, resolution] = table
        return self.known[split, resolution]


def build(asked: RunArguments, tables: Tables, stages: list[Stage]) -> tuple[MedicalImagePipeline, str]:
    """The pipeline that is trained, its adapter on it where there is to be one, and the revision of the U-Net below."""
    model, arguments, first = asked.model, asked.training, stages[0].resolution
    torch.manual_seed(arguments.seed)  # of whatever is new in a base
    if model.base:
        pipe = from_base(model, tables.modalities)
    else:
        check_sides(stages, model.codec.get("patch_size", 4) if model.codec else 1)
        table = tables.training(first)
        pictures = (item["pixel_values"] for item in islice(good_items(table), model.codec_pictures))
        pipe = from_sizes(model, tables.modalities, table.texts(), pictures, first, arguments.seed)
    check_sides(stages, pipe.vae_scale_factor)
    if not pipe.text_encoder.config.modalities:
        logger.warning("the base reads no modality: that column of the table is not used")
        tables.named = no_modality
    learns = {"auto": isinstance(model.text_encoder, dict)}.get(model.train_text_encoder, model.train_text_encoder)
    freeze(pipe, str(learns).lower() == "true", bool(model.lora_rank))
    revision = weights_revision(pipe.unet) if model.lora_rank else ""
    for part in model.quantize:
        pipe.register_modules(**{part: quantize(getattr(pipe, part), arguments.precision)})
    if model.lora_rank:
        alpha = model.lora_alpha or model.lora_rank
        layers = add_adapter(pipe.unet, model.lora_rank, alpha, model.lora_targets, arguments.seed)
        logger.info("adapter of rank %d on %d layers", model.lora_rank, len(layers))
        if model.adapter:
            load_adapter(pipe, Path(model.adapter), revision)
    if arguments.gradient_checkpointing:
        pipe.unet.enable_gradient_checkpointing()
    lay_out(pipe.unet, arguments.bf16, arguments.fp16)
    pipe.set_progress_bar_config(disable=True)
    return pipe, revision


def no_modality(name: str) -> None:
    """What a base that reads none makes of a modality; named, so that workers can be given it."""


def check_sides(stages: list[Stage], factor: int) -> None:
    """Refuse pictures of which the codec's patches are no whole number."""
    for stage in stages:
        if stage.resolution % factor:
            expected = f"a multiple of {factor}, as the codec has patches"
            raise InputError("resolution", f"{stage.resolution}", expected, "choose another")


def watching(asked: RunArguments, tables: Tables) -> Watching:
    """The validation and the samples that are asked for."""
    data, arguments, seen = asked.data, asked.training, Watching()
    if arguments.eval_steps:
        seen.validate = Validation(tables.validation, arguments.validation_items)
    if arguments.sample_steps:
        named = [each if isinstance(each, dict) else {"prompt": each} for each in arguments.sample_prompts]
        if not named:
            held_back = bool(data.validation_data or data.phantom_validation_cases)
            table = (tables.validation if held_back else tables.training)(stages_of(arguments)[0].resolution)
            named = list(islice(good_items(table), SAMPLES))
        prompts, modalities = [each["prompt"] for each in named], [each.get("modality") for each in named]
        steps, guidance = arguments.sample_inference_steps, arguments.sample_guidance
        seen.sample = Sampling(asked.output / GRIDS, prompts, modalities, steps, guidance)
    return seen


def bytes_of_run(trainer: DiffusionTrainer) -> int:
    """What its checkpoints take on the disk: weights, two averages of the optimizer, and those that are averaged."""
    arguments = trainer.arguments
    one = sum(each.numel() for each in trainer.parameters.values()) * 4 * (4 if arguments.ema_decay else 3)
    kept = -(-trainer.total // arguments.save_steps)
    return one * min(kept, (arguments.save_total_limit or kept) + 1)  # one more while the next is written


def finish(trainer: DiffusionTrainer, asked: RunArguments, revision: str, folder: Path) -> None:
    """Save what was trained, with averaged weights where there are some, and what the run was."""
    pipe, model, name = trainer.pipe, asked.model, asked.training.model_name
    pipe.unet.to(memory_format=torch.contiguous_format)  # the only one that safetensors writes
    if pipe.tokenizer.is_fast:
        pipe.tokenizer.backend_tokenizer.no_padding()  # of its last call, if this process made any
    folders = [folder]
    with trainer.average.in_place() if trainer.average is not None else nullcontext():
        if not model.lora_rank:
            save(pipe, folder, asked.training.half_precision_weights)
        else:
            save_adapter(pipe, folder, shown(model.base), revision)
            if model.merge_adapter:
                others = {part: dequantize(getattr(pipe, part)) for part in model.quantize if part != "unet"}
                pipe.register_modules(unet=merged_unet(pipe.unet), **others)
                folders.append(folder.with_name(f"{name}-merged"))
                save(pipe, folders[1], asked.training.half_precision_weights)
    for each in folders:
        write_json(each / RUN, described(trainer, asked) | {"model_name": each.name}, default=str)
        write_generator_card(each)


def save(pipe: MedicalImagePipeline, folder: Path, half_precision: bool) -> None:
    """The pipeline as a folder that loads anywhere; the codec's weights stay float32."""
    if half_precision:
        pipe.unet.half()
        pipe.text_encoder.half()
    save_generator(pipe, folder)


def described(trainer: DiffusionTrainer, asked: RunArguments) -> dict:
    """What `run.json` holds: of one run and one that went on after a kill the same, to the last byte."""
    data, levels = asked.data, trainer.scheduler.config
    drawn = f"{data.phantom_cases} drawn chest films (seed {data.phantom_seed})"
    return {
        "command": asked.command,
        "base": shown(asked.model.base) if asked.model.base else "random weights",
        "data": drawn if data.phantom_cases else shown(data.train_data),
        "rows": len(trainer.stream(trainer.stages[0].resolution).table),
        "steps": trainer.progress.step,
        "samples_seen": trainer.progress.seen,
        "stages": [asdict(stage) for stage in trainer.stages],
        "noise": {name: levels[name] for name in ("beta_schedule", "prediction_type", "rescale_betas_zero_snr")},
        "trained_parameters": sum(each.numel() for each in trainer.parameters.values()),
        "modalities": [each["name"] for each in trainer.pipe.text_encoder.config.modalities],
        "settings": {part: settings_of(getattr(asked, part)) for part in ("model", "data", "training")},
        "versions": {name: importlib.metadata.version(name) for name in (*PACKAGES, "diffusers", "peft")},
        "history": trainer.progress.history,
    }


def settings_of(arguments) -> dict:
    """The arguments that decide what was learned; of files and folders their names, not where they lie."""
    settings = {name: value for name, value in asdict(arguments).items() if name not in PLACES}
    return {name: shown(value) if name in NAMED else value for name, value in settings.items()}


def shown(name: str | None) -> str | None:
    """A repository's id, or the name of a file or folder without its place."""
    return Path(name).name if name and Path(name).exists() else name
