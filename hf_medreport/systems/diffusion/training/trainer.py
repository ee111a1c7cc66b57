"""The training loop, on accelerate: one process or several, each with its share of every batch.

A step's rows, their noise and their noise levels belong to the step alone, however many processes share them, so that
the loss is that of one process, and a run that goes on after a kill ends in the same bytes.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch.utils.data import DataLoader
from tqdm import tqdm

from hf_medreport.data.pictures.stream import PictureStream, collate
from hf_medreport.files.interruption import INTERRUPTIONS
from hf_medreport.processing.input_error import four_fields
from hf_medreport.systems.diffusion.training.checkpoints import (
    Progress,
    load_checkpoint,
    read_progress,
    save_checkpoint,
)
from hf_medreport.systems.diffusion.training.denoiser import Batch, Denoiser
from hf_medreport.systems.diffusion.training.draws import Draws, draws_of, generator_of
from hf_medreport.systems.diffusion.training.ema import MovingAverage
from hf_medreport.systems.diffusion.training.loss import NoiseSettings, denoising_losses, noisy_latents
from hf_medreport.systems.diffusion.training.settings import Stage, TrainingArguments

__all__ = ["DiffusionTrainer", "Watching", "accelerator_of"]

logger = logging.getLogger(__name__)


@dataclass
class Watching:
    """What a trainer calls now and then.

    Attributes:
        validate: (trainer, stage) -> the validation loss; None where there is nothing to validate on.
        sample: (trainer, stage) writes a grid of samples; None where none is asked for.
    """

    validate: Callable[["DiffusionTrainer", Stage], float] | None = None
    sample: Callable[["DiffusionTrainer", Stage], None] | None = None


def accelerator_of(arguments: TrainingArguments) -> Accelerator:
    """What joins the processes, and chooses precision and device."""
    AcceleratorState._reset_state()  # of an earlier run in this process, of another precision
    return Accelerator(
        mixed_precision="bf16" if arguments.bf16 else "fp16" if arguments.fp16 else "no",
        cpu=not torch.accelerator.is_available(),
    )


class DiffusionTrainer:
    """Trains the parts of a pipeline that are not frozen.

    Args:
        pipe: a `MedicalImagePipeline`; its parts stay the same objects.
        scheduler: diffusers' `DDPMScheduler`, whose noise levels are learned.
        accelerator: from `accelerator_of`.
        arguments: of the training.
        stages: in their order.
        stream: (resolution, keywords of `PictureStream`) -> the rows of a stage.
        watching: what is called in between.

    Attributes:
        progress: how far the run is.
        plain: the denoiser without what joins processes.
    """

    def __init__(
        self,
        pipe,
        scheduler,
        accelerator: Accelerator,
        arguments: TrainingArguments,
        stages: list[Stage],
        stream: Callable[..., PictureStream],
        watching: Watching,
    ):
        self.pipe, self.scheduler, self.arguments, self.stages = pipe, scheduler, arguments, stages
        self.stream, self.watching, self.progress = stream, watching, Progress()
        self.accelerator = accelerator
        pipe.vae.to(self.device)
        self.plain = Denoiser(pipe).to(self.device).train()
        self.parameters = self.plain.trained()
        self.average = MovingAverage(self.parameters, arguments.ema_decay) if arguments.ema_decay else None
        self.optimizer = torch.optim.AdamW(
            self.parameters.values(),
            lr=arguments.learning_rate,
            betas=(arguments.adam_beta1, arguments.adam_beta2),
            eps=arguments.adam_epsilon,
            weight_decay=arguments.weight_decay,
        )
        self.denoiser, self.stepper = self.accelerator.prepare(self.plain, self.optimizer)

    @property
    def device(self) -> torch.device:
        return self.accelerator.device

    @property
    def total(self) -> int:
        """Steps of the whole run."""
        return sum(stage.steps for stage in self.stages)

    # --- the run ---

    def train(self, point: Path | None, output: Path) -> None:
        """To the end, from a checkpoint where one is given; checkpoints go into `output`.

        An interruption is noted how far it came, and from where a resumed run goes on.
        """
        if point is not None:
            load_checkpoint(point, self.parameters, self.average, self.optimizer)
            self.progress = read_progress(point)
            if self.accelerator.scaler is not None:
                self.accelerator.scaler.load_state_dict(self.progress.scaler)
        saved, progress = self.progress.step, self.progress
        bar = tqdm(total=self.total, initial=progress.step, disable=not self.accelerator.is_main_process)
        try:
            for stage, first in self._stages_left():
                batches = self._batches(stage)
                while progress.step < first + stage.steps:
                    self._step(stage, progress.step - first, batches)
                    bar.update()
                    self._watch(stage)
                    if self._due(self.arguments.save_steps):
                        self._save(output)
                        saved = progress.step
        except INTERRUPTIONS as interruption:
            done, left = progress.step, self.total - progress.step
            interruption.add_note(f"interrupted: {done} steps done, {left} left; `resume` goes on after step {saved}")
            raise
        finally:
            bar.close()

    def _stages_left(self) -> Iterator[tuple[Stage, int]]:
        """Stages that are not done, each with the step that it begins after."""
        first = 0
        for number, stage in enumerate(self.stages, 1):
            if self.progress.step < first + stage.steps:
                if len(self.stages) > 1:
                    logger.info(
                        "stage %d of %d: %d px, %d steps", number, len(self.stages), stage.resolution, stage.steps
                    )
                yield stage, first
            first += stage.steps

    def _due(self, every: int) -> bool:
        """Whether something is to be done after this step that is done every so many, and at the end."""
        return bool(every) and (self.progress.step % every == 0 or self.progress.step == self.total)

    def _watch(self, stage: Stage) -> None:
        if self.watching.validate is not None and self._due(self.arguments.eval_steps):
            loss = self.watching.validate(self, stage)
            self._log({"validation_loss": loss})
        if self.watching.sample is not None and self._due(self.arguments.sample_steps):
            if self.accelerator.is_main_process:
                self.watching.sample(self, stage)
            self.accelerator.wait_for_everyone()

    def _save(self, output: Path) -> None:
        if self.accelerator.is_main_process:
            if self.accelerator.scaler is not None:
                self.progress.scaler = self.accelerator.scaler.state_dict()
            limit = self.arguments.save_total_limit
            save_checkpoint(output, self.progress, self.parameters, self.average, self.optimizer, limit)
        self.accelerator.wait_for_everyone()

    def _log(self, figures: dict) -> None:
        self.progress.history.append({"step": self.progress.step, **figures})
        told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        if self.accelerator.is_main_process:
            logger.info("step %d: %s", self.progress.step, told)

    # --- a step ---

    def _batches(self, stage: Stage) -> Iterator[Batch | None]:
        """This process's shares of the batches of a stage, from where the run is; None where all of one is left out."""
        size = stage.per_device_train_batch_size
        stream = self.stream(
            stage.resolution,
            seed=self.arguments.seed,
            batch_size=size,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
            start=self.progress.seen,
        )
        workers = self.arguments.dataloader_num_workers
        for rows in DataLoader(stream, size, num_workers=workers, collate_fn=collate):
            for problem in rows["problems"]:
                logger.warning("left out: %s", problem)
            yield self.batch_of(rows)

    def batch_of(self, rows: dict) -> Batch | None:
        """What `collate` made, less the rows that the model does not take; None where no row is left."""
        shown = zip(rows["rows"], rows["prompts"], rows["modalities"], strict=True)
        good = [number for number, row in enumerate(shown) if self.takes(*row)]
        if not good:
            return None
        with torch.no_grad():
            latents = self.pipe.encode_images(rows["pixel_values"][good])
        prompts, modalities = ([rows[name][number] for number in good] for name in ("prompts", "modalities"))
        return Batch(latents, prompts, modalities, [(rows["epochs"][number], rows["rows"][number]) for number in good])

    def takes(self, row: int, prompt: str, modality: str | None) -> bool:
        """Whether the model takes a row's prompt and modality; what it does not take is told."""
        try:
            self.pipe.tokenize([prompt], [modality])
        except ValueError as error:
            if four_fields(error) is None:
                raise
            logger.warning("left out: row %d: %s", row, error)
            return False
        return True

    def losses(self, batch: Batch, draws: Draws, noise: NoiseSettings, module: torch.nn.Module) -> torch.Tensor:
        """The loss [B] of each row, by the denoiser or what wraps it."""
        draws = draws.to(self.device)
        seen, asked = noisy_latents(self.scheduler, batch.latents, draws, noise)
        predicted = module(seen, draws.timesteps, *batch.shown(draws))
        return denoising_losses(self.scheduler, predicted, asked, draws, noise.min_snr_gamma)

    def noise_of(self, stage: Stage) -> NoiseSettings:
        """What is done to a stage's noise."""
        return NoiseSettings(stage.noise_offset, self.arguments.input_perturbation, self.arguments.min_snr_gamma)

    def _step(self, stage: Stage, number: int, batches: Iterator[Batch | None]) -> None:
        """One step of the optimizer; `number` counts those of the stage before it."""
        arguments, progress, parts = self.arguments, self.progress, stage.gradient_accumulation_steps
        rate = stage.rate(number, arguments.lr_scheduler_type)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total = torch.zeros((), device=self.device)
        for part in range(parts):
            apart = self.accelerator.no_sync(self.denoiser) if part < parts - 1 else nullcontext()
            with apart:
                loss = self._loss(next(batches), part, stage) / parts
                self.accelerator.backward(loss)
            total += loss.detach()
        norm = self.accelerator.clip_grad_norm_(self.parameters.values(), arguments.max_grad_norm)
        self.stepper.step()
        self.stepper.zero_grad()
        progress.step += 1
        progress.seen += stage.per_device_train_batch_size * parts * self.accelerator.num_processes
        if self.average is not None:
            self.average.update(progress.step)
        progress.pending.append(self.accelerator.reduce(total, "mean").item())
        if self._due(arguments.logging_steps):
            mean = sum(progress.pending) / len(progress.pending)
            progress.pending.clear()
            self._log({"loss": mean, "learning_rate": rate, "grad_norm": float(norm)})

    def _loss(self, batch: Batch | None, part: int, stage: Stage) -> torch.Tensor:
        """The mean of a batch's losses, in which a row that was left out counts as one without."""
        arguments = self.arguments
        counts = batch is not None
        if not counts:  # the other processes wait for gradients
            blank = torch.zeros(1, 3, stage.resolution, stage.resolution)
            batch = Batch(self.pipe.encode_images(blank), [""], [None], [(0, 0)])
        levels = self.scheduler.config.num_train_timesteps
        dropouts = arguments.prompt_dropout, arguments.modality_dropout
        draws = draws_of(arguments.seed, batch.places, batch.latents.shape[1:], levels, *dropouts)
        # What a text encoder drops out belongs to the step too; loaders draw random numbers of their own before.
        place = self.progress.step, part, self.accelerator.process_index
        torch.manual_seed(generator_of(arguments.seed, *place).initial_seed())
        losses = self.losses(batch, draws, self.noise_of(stage), self.denoiser)
        return losses.sum() * counts / stage.per_device_train_batch_size
