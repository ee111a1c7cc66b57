"""What is looked at while a generator learns: the loss of fixed rows with fixed noise, and a grid of samples.

Both see the averaged weights where there are some, which is what will be saved.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from PIL import Image

from hf_medreport.data.pictures.stream import collate
from hf_medreport.data.pictures.table import PictureTable
from hf_medreport.files.writing import open_whole
from hf_medreport.inference.figures.synthetic import save_synthetic
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.training.draws import draws_of
from hf_medreport.systems.diffusion.training.settings import Stage

__all__ = ["Sampling", "Validation"]

SEED = 20_000  # of the fixed noise


@contextmanager
def averaged(trainer) -> Iterator[None]:
    """Averaged weights, nothing dropped, no gradients, in the run's precision."""
    with ExitStack() as stack:
        if trainer.average is not None:
            stack.enter_context(trainer.average.in_place())
        stack.enter_context(torch.no_grad())
        stack.enter_context(trainer.accelerator.autocast())
        trainer.plain.eval()
        try:
            yield
        finally:
            trainer.plain.train()


class Validation:
    """The loss of the first rows of a table, each at one noise level, the levels evenly spread.

    Args:
        table_of: resolution -> table.
        items: how many rows, at most.
    """

    def __init__(self, table_of: Callable[[int], PictureTable], items: int):
        self.table_of, self.items, self.rows = table_of, items, {}

    def __call__(self, trainer, stage: Stage) -> float:
        """The mean over all rows; each process does its share."""
        rows, size = self._rows(trainer, stage.resolution), stage.per_device_train_batch_size
        accelerator, levels = trainer.accelerator, trainer.scheduler.config.num_train_timesteps
        total = torch.zeros((), device=trainer.device)
        own = range(len(rows))[accelerator.process_index :: accelerator.num_processes]
        with averaged(trainer):
            for numbers in (own[start : start + size] for start in range(0, len(own), size)):
                batch = trainer.batch_of(collate([rows[number] for number in numbers]))
                draws = draws_of(SEED, batch.places, batch.latents.shape[1:], levels)
                spread = torch.tensor([(2 * number + 1) * levels // (2 * len(rows)) for number in numbers])
                draws = replace(draws, timesteps=spread)
                total += trainer.losses(batch, draws, trainer.noise_of(stage), trainer.plain).sum()
        return accelerator.reduce(total, "sum").item() / len(rows)

    def _rows(self, trainer, resolution: int) -> list[dict]:
        """Read once a resolution."""
        if resolution not in self.rows:
            items = good_items(self.table_of(resolution))
            taken = (item for item in items if trainer.takes(item["row"], item["prompt"], item["modality"]))
            self.rows = {resolution: list(islice(taken, self.items))}
        return self.rows[resolution]


def good_items(table: PictureTable) -> Iterator[dict]:
    """The items of a table in its order, bad rows left out."""
    for row in table.rows():
        try:
            yield table.item(row) | {"epoch": 0}
        except (InputError, OSError):
            continue


@dataclass
class Sampling:
    """A grid of samples of the same prompts and seeds each time: `samples/step-000500.png`.

    Attributes:
        folder: where grids go.
        prompts, modalities: of each picture.
        steps, guidance: of sampling.
    """

    folder: Path
    prompts: list[str]
    modalities: list[str | None]
    steps: int
    guidance: float

    def __call__(self, trainer, stage: Stage) -> None:
        with averaged(trainer):
            pictures = trainer.pipe(
                self.prompts,
                self.modalities,
                height=stage.resolution,
                width=stage.resolution,
                num_inference_steps=self.steps,
                guidance_scale=self.guidance,
                seeds=list(range(len(self.prompts))),
            ).images
        self.folder.mkdir(parents=True, exist_ok=True)
        step = trainer.progress.step
        with open_whole(self.folder / f"step-{step:06d}.png") as file:
            save_synthetic(grid(pictures), file, {"model": f"after {step} steps of training"})


def grid(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one size, in rows of at most four."""
    width, height = pictures[0].size
    columns = min(4, len(pictures))
    sheet = Image.new("RGB", (width * columns, height * -(-len(pictures) // columns)))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * width, number // columns * height))
    return sheet
