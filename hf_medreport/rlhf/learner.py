"""An adapter that learns: on a generator that stays as it is, in a folder, and from where a kill left it.

All three updates have this in common. Each is a run of its own (`RunFolder`): one that goes on has the settings, the
generator and the data that it was begun with, and ends in the same bytes.

    OUTPUT/adapter/          what was learned, for `pipe.load_lora_weights` and `use_adapter`
    OUTPUT/history.json      a line a round or some steps
    OUTPUT/checkpoint-N/     to go on from
    OUTPUT/manifest.json     what the run was
"""

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.writing import sha256, write_json
from hf_medreport.inference.generators import generator_revision
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.patch_encoder import weights_revision
from hf_medreport.rlhf.settings import UpdateSettings
from hf_medreport.systems.diffusion.training.adapters import BASE, add_adapter, load_adapter, save_adapter
from hf_medreport.systems.diffusion.training.checkpoints import (
    Progress,
    load_checkpoint,
    read_progress,
    save_checkpoint,
)
from hf_medreport.systems.diffusion.training.trainer import accelerator_of
from hf_medreport.training.recipe import PACKAGES, checkpoints, step_of

__all__ = ["ADAPTER", "HISTORY", "Learner", "Run", "learning"]

ADAPTER, HISTORY = "adapter", "history.json"  # in the output folder
WEIGHTS = "pytorch_lora_weights.safetensors"
FILES = (f"{ADAPTER}/{WEIGHTS}", f"{ADAPTER}/{BASE}", HISTORY)
STATE = "trainer_state.json"  # written last into a checkpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """Where an update is kept and what it goes on from.

    Attributes:
        output: its folder.
        adapter: the folder of an adapter to go on from; None begins with one that changes nothing.
        base: what the generator is called in the adapter's folder.
        resume: go on with the run in `output`, where there is one.
        overwrite: remove what an older run wrote there.
    """

    output: str | Path
    adapter: str | Path | None = None
    base: str = "generator"
    resume: bool = False
    overwrite: bool = False

    @property
    def adapter_folder(self) -> Path:
        """Of what is learned."""
        return Path(self.output) / ADAPTER


class Learner:
    """A pipeline whose adapter is trained; see `learning`.

    Attributes:
        pipe, settings: as given.
        accelerator: which chooses device and precision.
        parameters: {name: what is trained}.
        progress: how far the run is; its history is written with every checkpoint.
    """

    def __init__(self, pipe, settings: UpdateSettings, folder: RunFolder, progress: Progress):
        self.pipe, self.settings, self.folder, self.progress = pipe, settings, folder, progress
        self.accelerator = accelerator_of(settings)
        if (processes := self.accelerator.num_processes) > 1:
            raise InputError("processes", str(processes), "one", "start it without a launcher of several")
        pipe.to(self.accelerator.device)
        self.parameters = {name: each for name, each in pipe.unet.named_parameters() if each.requires_grad}
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.stepper = self.accelerator.prepare(self.optimizer)

    def descend(self, losses: Iterable[torch.Tensor]) -> float:
        """One step of the optimizer on the sum of these losses, each of which is gone back through before the next is
        calculated; returns the gradient's norm."""
        for loss in losses:
            self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.parameters.values(), self.settings.max_grad_norm)
        self.stepper.step()
        self.stepper.zero_grad()
        return float(norm)

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """Inside the block the generator is the one that it was without its adapter, and nothing is learned."""
        self.pipe.unet.disable_adapters()
        try:
            with torch.no_grad(), self.accelerator.autocast():
                yield
        finally:
            self.pipe.unet.enable_adapters()

    def log(self, figures: dict) -> None:
        """Add a line to the history."""
        self.progress.history.append({"step": self.progress.step, **figures})
        told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if value is not None)
        logger.info("step %d: %s", self.progress.step, told)

    def save(self) -> None:
        """Write a checkpoint, and the history so far."""
        if self.accelerator.scaler is not None:
            self.progress.scaler = self.accelerator.scaler.state_dict()
        limit = self.settings.save_total_limit
        save_checkpoint(self.folder.path, self.progress, self.parameters, None, self.optimizer, limit)
        write_json(self.folder.path / HISTORY, self.progress.history)
        self.folder.done_items = self.progress.step

    def restore(self, point: Path) -> None:
        """Go on from a checkpoint."""
        self.progress = read_progress(point, type(self.progress))
        load_checkpoint(point, self.parameters, None, self.optimizer)
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(self.progress.scaler)
        self.folder.done_items = self.progress.step


@contextmanager
def learning(
    update: str, pipe, settings: UpdateSettings, run: Run, data: dict, total: int, progress: type[Progress] = Progress
) -> Iterator[Learner]:
    """A learner, whose adapter is written when the block ends; of an interruption is noted how far it came.

    The pipeline has the trained adapter on it afterward, and none where the block raised.

    Args:
        update: what the update is called.
        pipe: a `MedicalImagePipeline` without adapters; it is frozen.
        settings: of the update.
        run: where it goes.
        data: what it learns from, as far as a run that goes on must have the same; goes into JSON.
        total: steps, or rounds, of the whole run.
        progress: the class of what is kept of it.

    Raises:
        InputError: a pipeline with adapters, float16 without a GPU, an older run that is not gone on with or is another
            one, or an adapter of another generator.
    """
    if getattr(pipe.unet, "peft_config", None):
        found, remedy = (
            f"adapters ({', '.join(pipe.unet.peft_config)})",
            "unload them: `adapter` names one to go on from",
        )
        raise InputError("pipe", found, "a generator without", remedy)
    if settings.fp16 and not torch.accelerator.is_available():
        raise InputError("fp16", "it without a GPU", "a GPU", "set `bf16` to auto, or leave it out")
    latents = (pipe.unet.config.in_channels, pipe.unet.config.sample_size)
    arguments = {
        **asdict(settings),
        "latents": f"{latents[0]} of side {latents[1]}",
        "generator": generator_revision(pipe),
        "adapter": None if run.adapter is None else digest_of(Path(run.adapter)),
        **data,
    }
    folder = RunFolder(run.output, f"rlhf {update}", arguments, resume=run.resume, overwrite=run.overwrite)
    revision = weights_revision(pipe.unet)
    with folder:
        for part in (pipe.vae, pipe.text_encoder, pipe.unet):
            part.requires_grad_(False).eval()
        alpha = settings.lora_alpha or settings.lora_rank
        add_adapter(pipe.unet, settings.lora_rank, alpha, settings.lora_targets, settings.seed)
        try:
            if run.adapter is not None:
                load_adapter(pipe, Path(run.adapter), revision)
            learner = Learner(pipe, settings, folder, progress())
            folder.begun(HISTORY)
            folder.total = total
            points = [path for path in checkpoints(folder.path) if (path / STATE).is_file()]
            if run.overwrite:
                for point in checkpoints(folder.path):
                    shutil.rmtree(point)
            elif points:
                learner.restore(max(points, key=step_of))
            yield learner
            finish(learner, run.base, revision)
        except BaseException:
            pipe.unet.unload_lora()
            raise


def finish(learner: Learner, base: str, revision: str) -> None:
    """Write the adapter, the history and what the run was."""
    folder, progress = learner.folder, learner.progress
    for name in FILES:
        folder.begun(name)
    save_adapter(learner.pipe, folder.path / ADAPTER, base, revision)
    write_json(folder.path / HISTORY, progress.history)
    folder.add("update", {"steps": progress.step}, FILES)
    folder.finish(packages=(*PACKAGES[1:], "diffusers", "peft"))


def digest_of(adapter: Path) -> str:
    """Of an adapter's weights; InputError where there are none."""
    if not (adapter / WEIGHTS).is_file():
        found = f"no {WEIGHTS} in {adapter.name}" if adapter.is_dir() else f"no folder {adapter.name}"
        raise InputError("adapter", found, "the folder of an adapter", "check the path")
    return sha256(adapter / WEIGHTS)[:16]
