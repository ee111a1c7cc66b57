"""Teach encoder and segmenter to see before the decoder learns to write.

A small decoder trained from scratch first learns what reports sound like and to ignore the picture. Warming the encoder
up on a finding head (thrown away afterward) takes that choice from it. Phantom only: the truth is known there.
"""

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from tqdm import trange
from transformers import set_seed

from hf_medreport.files.writing import write_whole
from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.training.recipe import RunArguments, fingerprint

SIZE_STEP_MM = 9  # steps of size that the head tells apart


def traits(fact: Fact) -> list[tuple]:
    """What the head is asked of a fact: what it is and where, and of its side how many, how large, how sure."""
    place = (fact.kind, fact.side)
    asked = [fact.key]
    if fact.number:
        asked.append((*place, fact.number))
    if fact.size_mm:
        asked.append((*place, fact.size_mm // SIZE_STEP_MM))
    if not fact.certain:
        asked.append((*place, "possible"))
    return asked


def warm_up_segmenter(segmenter, records, processor, steps: int, batch_size: int, rate: float, seed: int) -> float:
    """Train the segmenter on the known lungs and hearts; returns the last loss."""

    def loss(indices: list[int]) -> torch.Tensor:
        pixels = processor.image_processor([records[i]["image"] for i in indices], return_tensors="pt")
        masks = np.stack([np.stack([records[i]["lungs"], records[i]["heart"]]) for i in indices])
        return segmenter(**pixels, labels=torch.from_numpy(masks).float()).loss

    segmenter.train().requires_grad_(True)
    last = minimize(loss, list(segmenter.parameters()), len(records), steps, batch_size, rate, seed, "segmenter")
    segmenter.eval().requires_grad_(False)
    return last


def warm_up_encoder(
    encoder: nn.Module,
    see: Callable[[list[int]], torch.Tensor],
    records,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
    bf16: bool,
) -> float:
    """Train the encoder to name the traits of every fact of a film; returns the last loss.

    Args:
        see: indices of records -> what the encoder makes of them, for the head to read: (batch, features), or
            (batch, places, features), of which each place is read alone and the surest one speaks for the film.
    """
    shown = [[trait for fact in record["facts"] for trait in traits(fact)] for record in records]
    columns = {trait: column for column, trait in enumerate(sorted({t for row in shown for t in row}, key=str))}
    targets = torch.zeros(len(records), len(columns))
    for row, of_film in enumerate(shown):
        targets[row, [columns[trait] for trait in of_film]] = 1
    with torch.no_grad():
        width = see([0]).shape[-1]
    torch.manual_seed(seed)
    head = nn.Linear(width, len(columns))
    nn.init.zeros_(head.weight)
    nn.init.constant_(head.bias, -3.0)  # facts are rare: start near their frequency

    def loss(indices: list[int]) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):  # Trainer moves the model later
            scores = head(see(indices))
            scores = scores.amax(dim=1) if scores.ndim == 3 else scores
        # The sum over traits, so that the step size does not depend on how many there are.
        return nn.functional.binary_cross_entropy_with_logits(scores.float(), targets[indices]) * len(columns)

    frozen = [parameter.requires_grad for parameter in encoder.parameters()]
    encoder.train().requires_grad_(True)
    parameters = [*encoder.parameters(), *head.parameters()]
    last = minimize(loss, parameters, len(records), steps, batch_size, rate, seed, "encoder")
    for parameter, state in zip(encoder.parameters(), frozen, strict=True):
        parameter.requires_grad_(state)
    return last


def warm_up(stages: dict[str, tuple[nn.Module, Callable]], settings: list, asked: RunArguments) -> None:
    """Train each part for its steps, or take what an earlier run of the same settings left.

    Args:
        stages: {name: (part, train)} in their order, where the arguments hold NAME_steps, 0 for none, and
            `train(steps=, batch_size=, rate=, seed=)` changes the part.
        settings: of the model, of which those of the parts depend; the films', the optimizer's and earlier stages' are
            added.
    """
    data, arguments = asked.data, asked.training
    folder = Path(arguments.warm_up_folder or asked.output / "warm-up")
    options = {"batch_size": arguments.warm_up_batch_size, "rate": arguments.warm_up_rate, "seed": arguments.seed}
    settings = [*settings, data.phantom_cases, data.phantom_seed, arguments.bf16, *options.values()]
    for name, (part, train) in stages.items():
        steps = getattr(arguments, f"{name}_steps")
        if steps:
            done = folder / f"{name}-{steps}-{fingerprint(settings)}.safetensors"
            warmed(part, done, partial(train, steps=steps, **options), arguments.seed)
            settings = [*settings, name, steps]  # later parts may see through this one
    set_seed(arguments.seed)


def warmed(part: nn.Module, done: Path, train: Callable[[], float], seed: int) -> None:
    """Train a part, or take what an earlier run of the same settings left in the file `done`."""
    if done.exists():
        part.load_state_dict(load_file(done))
        return
    set_seed(seed)
    train()
    if int(os.environ.get("RANK", "0")) == 0:
        done.parent.mkdir(parents=True, exist_ok=True)
        state = {key: value.contiguous() for key, value in part.state_dict().items()}
        write_whole(done, lambda unfinished: save_file(state, unfinished))


def minimize(
    loss_of: Callable[[list[int]], torch.Tensor],
    parameters: list[nn.Parameter],
    count: int,
    steps: int,
    batch_size: int,
    rate: float,
    seed: int,
    name: str,
) -> float:
    """AdamW with 50 steps of warm-up and a cosine to zero; batches drawn by `seed`."""
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 50) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    generator = torch.Generator().manual_seed(seed)
    progress, mean = trange(steps, desc=f"warming up the {name}", leave=False), None
    for _ in progress:
        chosen = torch.randint(count, (batch_size,), generator=generator).tolist()
        loss = loss_of(chosen)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        progress.set_postfix(loss=f"{mean:.4f}")
    return mean
