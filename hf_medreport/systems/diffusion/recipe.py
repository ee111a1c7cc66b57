"""The recipe of the generator: pictures with descriptions -> a pipeline that draws them, or an adapter of one.

    hf-medreport train diffusion --config examples/diffusion_phantom.yaml --output_dir runs/diffusion
    accelerate launch --num_processes 2 examples/train.py diffusion --config examples/diffusion_phantom.yaml

Writes `OUTPUT_DIR/MODEL_NAME` (a pipeline that loads anywhere, or of `lora_rank` the adapter alone, with `run.json`),
`checkpoint-N` (to resume from), `samples/step-N.png` and `manifest.json`.
"""

import importlib.metadata
import logging
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path

import torch

from hf_medreport.data.drawn.described import draw_described
from hf_medreport.data.pictures.stream import PictureStream
from hf_medreport.data.pictures.table import PictureTable
from hf_medreport.files.writing import write_json
from hf_medreport.hub.folder import save_generator
from hf_medreport.modeling.medical_pipeline import MedicalImagePipeline
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import weights_revision
from hf_medreport.systems.diffusion.modalities import Modalities, read_modalities
from hf_medreport.systems.diffusion.training.adapters import add_adapter, load_adapter, merged_unet, write_base
from hf_medreport.systems.diffusion.training.build import freeze, from_base, from_sizes, noise_levels
from hf_medreport.systems.diffusion.training.checkpoints import check_disk, read_progress
from hf_medreport.systems.diffusion.training.checks import check
from hf_medreport.systems.diffusion.training.quantization import quantize
from hf_medreport.systems.diffusion.training.settings import (
    DataArguments,
    ModelArguments,
    Stage,
    TrainingArguments,
    stages_of,
)
from hf_medreport.systems.diffusion.training.trainer import DiffusionTrainer, Watching
from hf_medreport.systems.diffusion.training.watching import Sampling, Validation, good_items
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import PACKAGES, RunArguments, remove_older_run, resume_point, write_manifest

RUN = "run.json"  # in the final folder: what the run was and how its losses went
SAMPLER = "dpm"  # by which a new model samples until another is chosen
SAMPLES = 8  # pictures of a grid where no prompts are named

logger = logging.getLogger(__name__)


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model, data, arguments = read_arguments((ModelArguments, DataArguments, TrainingArguments), config, flags)
    stages = stages_of(arguments)
    check(model, data, arguments)
    asked = RunArguments("diffusion", config, model, data, arguments)
    point = resume_point(arguments)
    tables = Tables(asked)
    pipe, revision = build(asked, tables, stages)
    trainer = DiffusionTrainer(
        pipe, noise_levels(model, pipe), arguments, stages, tables.stream, watching(asked, tables)
    )
    check_disk(asked.output, bytes_of_run(trainer))
    if trainer.accelerator.is_main_process:
        if arguments.overwrite:
            remove_older_run(arguments)
        asked.output.mkdir(parents=True, exist_ok=True)
        write_manifest(asked, len(tables.training(stages[0].resolution)), tables.inputs)
    trainer.accelerator.wait_for_everyone()
    trainer.train(point, asked.output)
    folder = finish(trainer, asked, revision)
    losses = {name: value for line in trainer.progress.history for name, value in line.items() if "loss" in name}
    return {"global_step": trainer.progress.step, **losses, "model": str(folder)}


class Tables:
    """The pictures of a run at any resolution, read or drawn."""

    def __init__(self, asked: RunArguments):
        self.data, self.seed = asked.data, asked.training.seed
        self.modalities = read_modalities(self.data.modalities)
        self.folder = Path(self.data.drawn or asked.output / "drawn")
        self.main = asked.training.process_index == 0

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
        return PictureStream(self.training(resolution), buffer=self.data.shuffle_buffer, **position)

    def _table(self, path: str | None, split: str, cases: int, resolution: int) -> PictureTable:
        if path is None:
            drawn = self.folder / f"{split}-{resolution}"
            path = draw_described(drawn, ChestCorpus(cases, self.data.phantom_seed, resolution, split))
        named = Modalities(self.modalities).named
        table = PictureTable(path, size=resolution, fit=self.data.fit, base=self.data.image_root, modality=named)
        for problem in table.first_problems:
            logger.warning("left out: %s", problem)
        return table
