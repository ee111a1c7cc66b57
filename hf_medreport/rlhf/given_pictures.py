"""Learning from pictures that are there: read and encoded once, then seen in steps, each time under other noise.

The order of pictures, their noise and their noise levels belong to (seed, epoch, picture), so that a run that goes on
after a kill sees what the run without one sees.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch

from hf_medreport.data.pictures.fitting import fitted
from hf_medreport.processing.image_reading import read_pixels
from hf_medreport.processing.input_error import InputError, four_fields
from hf_medreport.rlhf.learner import Learner
from hf_medreport.systems.diffusion.training.checkpoints import Progress
from hf_medreport.systems.diffusion.training.draws import generator_of

__all__ = ["Steps", "encoded_pictures", "learn_in_steps", "places_at", "taken"]

BATCH = 50  # pictures that are encoded at once

logger = logging.getLogger(__name__)


@dataclass
class Steps(Progress):
    """How far a run is.

    Attributes:
        figures: what was seen since the last line of `history`, a mapping a step.
    """

    figures: list[dict] = field(default_factory=list)


def encoded_pictures(pipe, paths: Iterable[Path]) -> dict[Path, torch.Tensor]:
    """Pictures as the generator's latents {path: (channels, rows, columns)}; what cannot be read is told and left out.

    Args:
        pipe: a `MedicalImagePipeline`.
        paths: of pictures of any size, which are set into a square as in training.
    """
    size, pixels = pipe.unet.config.sample_size * pipe.vae_scale_factor, {}
    for path in dict.fromkeys(paths):
        try:
            square = torch.from_numpy(fitted(read_pixels(path, at_least=size), size, "pad"))
            pixels[path] = square.expand(3, -1, -1)
        except (InputError, OSError) as error:
            logger.warning("left out: %s", error)
    known, names = {}, list(pixels)
    for start in range(0, len(names), BATCH):
        part = names[start : start + BATCH]
        with torch.no_grad():
            latents = pipe.encode_images(torch.stack([pixels[name] for name in part]))
        known |= dict(zip(part, latents, strict=True))
    return known


def taken(pipe, rows: Sequence, argument: str, known: dict[Path, torch.Tensor], paths: Callable) -> list[int]:
    """Numbers of the rows whose pictures were read and whose words the model takes; the others are told.

    Args:
        pipe: a `MedicalImagePipeline`.
        rows: each with a `prompt` and a `modality`.
        argument: what the rows are called.
        known: from `encoded_pictures`.
        paths: row -> its pictures.

    Raises:
        InputError: no row is left.
    """
    good = []
    for number, row in enumerate(rows):
        try:
            pipe.tokenize([row.prompt], [row.modality])
        except ValueError as error:
            if four_fields(error) is None:
                raise
            logger.warning("left out: %s, row %d: %s", argument, number + 1, error)
        else:
            good += [number] * all(path in known for path in paths(row))
    if not good:
        found = f"none of {len(rows)} that can be learned from" if len(rows) else "none"
        raise InputError(argument, found, "one or more", "see the warnings above" if len(rows) else "give some")
    return good


def learn_in_steps(learner: Learner, count: int, losses: Callable[[list], tuple[torch.Tensor, dict]]) -> None:
    """All steps that are left.

    Args:
        learner: whose settings are those of steps, and whose progress is of `Steps`.
        count: of rows.
        losses: places [(epoch, row)] -> the losses (n,) of these rows, and figures of them {name: (n,)}.
    """
    settings, progress = learner.settings, learner.progress
    size = settings.batch_size * settings.gradient_accumulation_steps
    while progress.step < settings.max_steps:
        places, seen = places_at(settings.seed, count, progress.seen, size), []

        def parts(places=places, seen=seen) -> Iterator[torch.Tensor]:
            for start in range(0, size, settings.batch_size):
                each, figures = losses(places[start : start + settings.batch_size])
                seen.append({name: value.detach().float() for name, value in {"loss": each, **figures}.items()})
                yield each.sum() / size

        norm = learner.descend(parts())
        progress.step += 1
        progress.seen += size
        means = {name: float(torch.cat([part[name] for part in seen]).mean()) for name in seen[0]}
        progress.figures.append(means | {"grad_norm": norm})
        last = progress.step == settings.max_steps
        if last or progress.step % settings.logging_steps == 0:
            names, lines = list(means) + ["grad_norm"], progress.figures
            learner.log({name: sum(line[name] for line in lines) / len(lines) for name in names})
            progress.figures.clear()
        if last or progress.step % settings.save_steps == 0:
            learner.save()


def places_at(seed: int, count: int, first: int, number: int) -> list[tuple[int, int]]:
    """(epoch, row) of a position and those behind it, in an order of `count` rows that is another in each epoch."""
    positions = (divmod(position, count) for position in range(first, first + number))
    return [(epoch, _order(seed, count, epoch)[place]) for epoch, place in positions]


@lru_cache(maxsize=2)
def _order(seed: int, count: int, epoch: int) -> list[int]:
    return torch.randperm(count, generator=generator_of(seed, epoch)).tolist()
