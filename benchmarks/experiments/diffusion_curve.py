"""How faithful the generator of examples/diffusion_tiny.yaml is after so many samples: the averaged weights of the
checkpoints that a run left, each asked for the same pictures.

    python benchmarks/experiments/diffusion_curve.py runs/diffusion --n 500

`save_total_limit` says how many checkpoints a run keeps. Writes results/diffusion_curve.json.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from accelerate import Accelerator
from safetensors.torch import load_file

from hf_medreport.evaluation.pictures.evaluate import Drawing, evaluate_generator
from hf_medreport.files.writing import write_json
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.recipe import SAMPLER, Tables, build
from hf_medreport.systems.diffusion.training.build import noise_levels
from hf_medreport.systems.diffusion.training.checkpoints import AVERAGES, read_progress
from hf_medreport.systems.diffusion.training.denoiser import Denoiser
from hf_medreport.systems.diffusion.training.settings import (
    DataArguments,
    ModelArguments,
    TrainingArguments,
    stages_of,
)
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.recipe import RunArguments, checkpoints

CONFIG = Path(__file__).parents[2] / "examples" / "diffusion_tiny.yaml"
RESULT = Path(__file__).parents[1] / "results" / "diffusion_curve.json"
QUESTIONS = ("modality", "finding", "side", "zone", "grade")


def main(
    run: Annotated[Path, typer.Argument(help="The run's folder, with its checkpoints.")],
    n: Annotated[int, typer.Option(min=50, help="Pictures a checkpoint.")] = 500,
    steps: Annotated[int, typer.Option(min=1, help="Steps a picture.")] = 20,
    out: Annotated[Path, typer.Option(help="The JSON with the figures.")] = RESULT,
):
    """Print and keep a row a checkpoint."""
    with TemporaryDirectory() as elsewhere:  # nothing is trained
        parts, flags = (ModelArguments, DataArguments, TrainingArguments), ["--output_dir", elsewhere]
        model, data, training = read_arguments(parts, str(CONFIG), flags)
        asked = RunArguments("diffusion", str(CONFIG), model, data, training)
        pipe, _ = build(asked, Tables(asked, Accelerator(cpu=True)), stages_of(training))
    pipe.register_modules(scheduler=noise_levels(model, pipe))
    pipe.use_scheduler(SAMPLER)
    pipe.set_progress_bar_config(disable=True)
    parameters, rows = Denoiser(pipe).trained(), []
    print(f"| samples | validation loss | {' | '.join(QUESTIONS)} |\n|---:|---:|{'---:|' * len(QUESTIONS)}")
    for folder in sorted(checkpoints(run), key=lambda folder: read_progress(folder).step):
        progress = read_progress(folder)
        for name, average in load_file(folder / AVERAGES).items():
            parameters[name].data.copy_(average)
        scores = evaluate_generator(pipe, n=n, drawing=Drawing(num_inference_steps=steps))["faithfulness"]
        losses = [line["validation_loss"] for line in progress.history if "validation_loss" in line]
        row = {"samples": progress.seen, "validation_loss": losses[-1] if losses else None}
        row |= {question: {key: scores[question][key] for key in ("accuracy", "interval")} for question in QUESTIONS}
        rows.append(row)
        cells = " | ".join(f"{row[question]['accuracy']:.3f}" for question in QUESTIONS)
        print(f"| {row['samples']} | {row['validation_loss']:.4f} | {cells} |", flush=True)
    write_json(out, {"config": CONFIG.name, "n": n, "steps": steps, "rows": rows})


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        sys.exit(str(error))
