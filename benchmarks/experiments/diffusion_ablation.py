"""What each improvement of the generator is worth: the shipped model's sizes, pictures and rates, the same number of
samples an arm, and one thing more on from arm to arm.

    python benchmarks/experiments/diffusion_ablation.py run         # what has no result yet; stop it any time
    python benchmarks/experiments/diffusion_ablation.py summarize   # the table, from the committed results

`stock` is a U-Net and a text encoder as Stable Diffusion has them: it attends to padding, has no modality and no pooled
prompt. `minim` is that as MINIM trains it: the modality in the words alone, no description ever left out, every other
picture mirrored. The next arms go on from `stock`. A run is a training of STEPS steps (8 minutes on one idle core), the
loss on held-out rows with fixed noise, and PICTURES pictures for held-out prompts, judged. Results are in
results/diffusion_ablation/ARM-SEED.json; an arm without one is "not run" in the table.
"""

import random
import sys
import time
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import typer

from hf_medreport.data.pictures.stream import PictureStream
from hf_medreport.data.pictures.table import PictureTable, Row
from hf_medreport.evaluation.pictures.evaluate import Drawing, evaluate_generator
from hf_medreport.files.settings import read_settings
from hf_medreport.files.writing import write_json
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.modalities import Modalities, read_modalities
from hf_medreport.systems.diffusion.training.build import freeze, from_sizes, noise_levels
from hf_medreport.systems.diffusion.training.settings import (
    DataArguments,
    ModelArguments,
    TrainingArguments,
    stages_of,
)
from hf_medreport.systems.diffusion.training.trainer import DiffusionTrainer, Watching, accelerator_of
from hf_medreport.systems.diffusion.training.watching import Validation, averaged, good_items
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.precision import lay_out

CONFIG = Path(__file__).parents[2] / "examples" / "diffusion_tiny.yaml"
RESULTS = Path(__file__).parents[1] / "results" / "diffusion_ablation"
SEEDS, STEPS, PICTURES = (0, 1), 1700, 300
FLOOR = 0.3  # of findings seen: below it faithfulness says nothing


@dataclass(frozen=True)
class Arm:
    """What is on.

    Attributes:
        switches: of the U-Net, beside its sizes.
        modality: whether the conditioner reads one.
        mask: whether padding is hidden.
        dropout: how often a description is left out.
        mirrored: whether every other picture is.
    """

    switches: dict = field(default_factory=dict)
    modality: bool = False
    mask: bool = False
    dropout: float = 0.1
    mirrored: bool = False


PLAIN = {"class_embed_type": None, "projection_class_embeddings_input_dim": None}
GATES = {"skip_gates": True, "gate_width": 32}
ALL = {**GATES, "fpn_width": 32, "pyramid_levels": ["mid"]}
ARMS = {
    "stock": Arm(PLAIN),
    "minim": Arm(PLAIN, dropout=0.0, mirrored=True),
    "stock + modality encoder": Arm(PLAIN, modality=True),
    "stock + modality encoder + gates": Arm(PLAIN | GATES, modality=True),
    "all": Arm(ALL, modality=True, mask=True),  # the pooled prompt too
    "stock + mask": Arm(PLAIN, mask=True),
    "stock + feature pyramid": Arm(PLAIN | {"fpn_width": 32}),
    "stock + pyramid attention": Arm(PLAIN | {"pyramid_levels": ["mid"]}),
}
app = typer.Typer(add_completion=False)


class MirroredTable(PictureTable):
    """A table of which every other picture, by chance, is mirrored, its description left as it was."""

    chance = random.Random(0)

    def item(self, row: Row) -> dict:
        item = super().item(row)
        return item | {"pixel_values": item["pixel_values"].flip(-1)} if self.chance.random() < 0.5 else item


@app.command()
def run(pictures: int = PICTURES, steps: int = STEPS, out: Path = RESULTS):
    """Train and score what has no result yet, one seed of all arms after the other."""
    for seed in SEEDS:
        for name, arm in ARMS.items():
            path = out / f"{name.replace(' ', '_')}-{seed}.json"
            if not path.is_file():
                out.mkdir(parents=True, exist_ok=True)
                write_json(path, {"arm": name, "seed": seed} | result_of(arm, seed, steps, pictures))
                print(path.name, file=sys.stderr)


def result_of(arm: Arm, seed: int, steps: int, pictures: int) -> dict:
    """Train an arm and score it."""
    parts = (ModelArguments, DataArguments, TrainingArguments)
    model, data, training = read_arguments(parts, str(CONFIG), ["--seed", str(seed), "--max_steps", str(steps)])
    model = replace(model, improvements=arm.switches)
    training = replace(training, prompt_dropout=arm.dropout, modality_dropout=0.1 if arm.modality else 0.0)
    modalities = read_modalities()
    named = Modalities(modalities).named if arm.modality else no_modality
    kind = MirroredTable if arm.mirrored else PictureTable
    table = kind(data.train_data, size=training.resolution, modality=named)
    held_out = PictureTable(data.validation_data, size=training.resolution, modality=named)

    shown = (item["pixel_values"] for item in islice(good_items(table), model.codec_pictures))
    known = modalities if arm.modality else []
    pipe = from_sizes(model, known, table.texts(), shown, training.resolution, seed)
    pipe.text_encoder.config.attend_padding = not arm.mask
    freeze(pipe, train_text_encoder=True, adapter=False)
    lay_out(pipe.unet, training.bf16)
    levels = noise_levels(model, pipe)
    pipe.register_modules(scheduler=levels)
    pipe.use_scheduler("dpm")
    pipe.set_progress_bar_config(disable=True)
    (stage,) = stages_of(training)

    def stream(resolution: int, **position) -> PictureStream:
        return PictureStream(table, buffer=data.shuffle_buffer, **position)

    training = replace(training, save_steps=0)
    trainer = DiffusionTrainer(pipe, levels, accelerator_of(training), training, [stage], stream, Watching())
    start = time.process_time()
    trainer.train(None, RESULTS)
    seconds = time.process_time() - start
    loss = Validation(lambda resolution: held_out, training.validation_items)(trainer, stage)
    with averaged(trainer):
        scores = evaluate_generator(pipe, n=pictures, drawing=Drawing(num_inference_steps=10))
    return {
        "steps": steps,
        "samples": trainer.progress.seen,
        "core_seconds": round(seconds),
        "weights": sum(each.numel() for each in trainer.parameters.values()),
        "validation_loss": loss,
        "kid": scores["distribution"]["all"]["kid"],
        "features": scores["distribution"]["features"],
        "judge": scores["judge"],
        "n": pictures,
        **{question: scores["faithfulness"][question]["accuracy"] for question in ("modality", "finding", "side")},
    }


def no_modality(name: str) -> None:
    """What an arm that reads none makes of a modality."""


@app.command()
def summarize(out: Path = RESULTS):
    """Print the table."""
    print("| arm | weights | held-out loss | KID (judge features) | modality | finding | side | core-minutes |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name in ARMS:
        paths = [out / f"{name.replace(' ', '_')}-{seed}.json" for seed in SEEDS]
        runs = [read_settings(path, path.name) for path in paths if path.is_file()]
        cells = ["not run"] + [""] * 6
        if runs:
            above = np.mean([run["finding"] for run in runs]) >= FLOOR
            cells = [
                str(runs[0]["weights"]),
                spread(runs, "validation_loss", 4),
                spread(runs, "kid", 4),
                *(spread(runs, key, 3) for key in ("modality", "finding")),
                spread(runs, "side", 3) if above else "below the floor",
                spread(runs, "core_seconds", 1, 1 / 60),
            ]
        print(f"| {name} | {' | '.join(cells)} |")


def spread(runs: list[dict], key: str, digits: int, scale: float = 1.0) -> str:
    """The mean over seeds, and each seed's."""
    values = [run[key] * scale for run in runs]
    each = ", ".join(f"{value:.{digits}f}" for value in values)
    return f"{np.mean(values):.{digits}f} ({each})"


if __name__ == "__main__":
    torch.set_num_threads(1)  # what a result costs is counted in seconds of one core
    try:
        app()
    except InputError as error:
        sys.exit(str(error))
