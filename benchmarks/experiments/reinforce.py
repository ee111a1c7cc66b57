"""What learning from rewards is worth: the shipped model of films goes on for the same minutes by each way.

    python benchmarks/experiments/reinforce.py run         # what has no result yet; stop it any time
    python benchmarks/experiments/reinforce.py run --arm supervised --seed 0
    python benchmarks/experiments/reinforce.py summarize   # the table, from the committed results

`start` is the model as it is shipped. `supervised` goes on as it was trained, on films that it has not seen;
`self-critical` and `group-relative` are given the composite reward of the same films. Each takes MINUTES of one core,
drawing and scoring not counted, and is scored on FILMS test films, in wordings that no training shows. Results are in
results/reinforce/ARM-SEED.json; an arm without one is "not run" in the table.
"""

import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import torch
import typer
from transformers import TrainerCallback, set_seed

from hf_medreport.data.drawn.films import PhantomReports, PhantomSource
from hf_medreport.evaluation.rewards import report_reward
from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.files.writing import write_json
from hf_medreport.hub.generation_settings import read_settings
from hf_medreport.inference.loading import load
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.phantom.chest.score import figures, film_counts, measure
from hf_medreport.processing.input_error import InputError
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.recipe import RunArguments
from hf_medreport.training.reinforce.data import DataArguments
from hf_medreport.training.reinforce.recipe import ModelArguments, ReinforceArguments, trainer_of
from hf_medreport.training.reinforce.trainer import REFERENCES, ReinforceTrainer
from hf_medreport.training.trainer import ReportTrainer

CONFIG = Path(__file__).parents[2] / "examples" / "reinforce_phantom.yaml"
RESULTS = Path(__file__).parents[1] / "results" / "reinforce"
ARMS, SEEDS, MINUTES, FILMS = ("start", "supervised", "self-critical", "group-relative"), (0, 1), 8.0, 500
SHOWN = ("exact.f1", "kind.f1", "wrong_side_rate", "hallucination_rate")
# Of each arm, beside what the YAML says.
SETTINGS = {
    "supervised": ["--learning_rate", "3e-4", "--per_device_train_batch_size", "32"],
    "self-critical": ["--method", "self-critical"],
    "group-relative": ["--method", "group-relative"],
}
DRAWN = 4000  # films to learn from: the supervised arm sees each some times, the others once or less
app = typer.Typer(add_completion=False)


class Until(TrainerCallback):
    """Ends a training after so many seconds of this process's own time."""

    def __init__(self, seconds: float):
        self.seconds, self.begun = seconds, time.process_time()

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = time.process_time() - self.begun >= self.seconds


@app.command()
def run(
    arm: str | None = None, seed: int | None = None, minutes: float = MINUTES, films: int = FILMS, out: Path = RESULTS
):
    """Train and score what has no result yet, one seed of all arms after the other."""
    for each in SEEDS if seed is None else (seed,):
        for name in ARMS if arm is None else (arm,):
            path = out / f"{name}-{each}.json"
            if name == "start" and each != SEEDS[0] or path.is_file():
                continue  # there is one model that is shipped
            out.mkdir(parents=True, exist_ok=True)
            write_json(path, {"arm": name, "seed": each} | result_of(name, each, minutes, films))
            print(path.name, file=sys.stderr)


def result_of(arm: str, seed: int, minutes: float, films: int) -> dict:
    """Train by an arm and score it."""
    parts, length = (ModelArguments, DataArguments, ReinforceArguments), ["--max_steps", "1000000"]
    flags = [*SETTINGS.get(arm, []), *length, "--seed", str(seed), "--eval_strategy", "no", "--save_strategy", "no"]
    with tempfile.TemporaryDirectory() as folder:
        model, data, training = read_arguments(parts, str(CONFIG), [*flags, "--output_dir", folder])
        asked = RunArguments("reinforce", str(CONFIG), model, data, training)
        set_seed(seed)
        pipe = load(model.model, device="cpu")
        if arm == "start":
            return scored(pipe, films)
        trainer = trainer_of(pipe, asked, drawn(data.phantom_seed, pipe.processor.image_processor.size), None)
        if arm == "supervised":
            trainer = supervised(trainer)
        begun = Until(60 * minutes)
        trainer.add_callback(begun)
        trainer.train()
        seconds = time.process_time() - begun.begun
    history = [row for row in trainer.state.log_history if "loss" in row]
    steps = trainer.state.global_step
    return {
        "steps": steps,
        "cases": steps * training.per_device_train_batch_size,
        "core_seconds": round(seconds),
        "reward_by_step": {row["step"]: row["reward"] for row in history if "reward" in row},
        "kl_by_step": {row["step"]: row["kl"] for row in history if "kl" in row},
        **scored(pipe, films),
    }


@cache
def drawn(seed: int, size: int) -> PhantomReports:
    """The films to learn from, the same for all arms."""
    return PhantomReports(PhantomSource(DRAWN, seed, size))


def supervised(trainer: ReinforceTrainer) -> ReportTrainer:
    """A trainer of the same model on the same films, by cross-entropy."""

    def batch(records: list[dict]) -> dict:
        return {name: value for name, value in trainer.data_collator(records).items() if name != REFERENCES}

    return ReportTrainer(
        model=trainer.model, args=trainer.args, data_collator=batch, train_dataset=trainer.train_dataset
    )


def scored(pipe, films: int) -> dict:
    """Facts of test films, with intervals, and what the reports earn."""
    pipe.model.eval()
    corpus = ChestCorpus(films, 1, size=pipe.processor.image_processor.size, split="test")
    cases = [corpus[index] for index in range(films)]
    texts = [record["generated_text"] for (record,) in pipe([case.image for case in cases], batch_size=50)]
    counts = film_counts([parse_report(text) for text in texts], [case.facts for case in cases])
    rewards = report_reward()(prompts=texts, completions=texts, reference=[case.report for case in cases])
    intervals = {name: bootstrap_interval(counts, lambda means, name=name: measure(means, name)) for name in SHOWN}
    return {
        "n": films,
        "reward": sum(rewards) / films,
        **figures(counts.sum(axis=0)),
        "intervals": {name: interval and list(interval) for name, interval in intervals.items()},
    }


@app.command()
def summarize(out: Path = RESULTS):
    """Print the table: a row a run."""
    print(table(out))


def table(out: Path) -> str:
    """Its Markdown."""
    lines = ["| arm, seed | exact-fact F1 | kind F1 | wrong side | hallucination | reward | steps | core-minutes |"]
    lines.append("|---|---|---|---|---|---:|---:|---:|")
    for arm in ARMS:
        for seed in SEEDS[: 1 if arm == "start" else None]:
            path = out / f"{arm}-{seed}.json"
            cells = ["not run"] + [""] * 6
            if path.is_file():
                row = read_settings(path, path.name)
                minutes = f"{row['core_seconds'] / 60:.1f}" if "core_seconds" in row else ""
                cells = [
                    *(cell(row, name) for name in SHOWN),
                    f"{row['reward']:.3f}",
                    str(row.get("steps", 0)),
                    minutes,
                ]
            name = arm if arm == "start" else f"{arm}, {seed}"
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(row: dict, name: str) -> str:
    """A figure with its interval."""
    figure = row
    for step in name.split("."):
        figure = figure[step]
    if figure is None:
        return "undefined"
    low, high = row["intervals"][name]
    return f"{figure:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    torch.set_num_threads(1)  # what a result costs is counted in seconds of one core
    try:
        app()
    except InputError as error:
        sys.exit(str(error))
