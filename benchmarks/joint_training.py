"""Does joint training help each task of system 001? All tasks at once, each one alone, and all without skips.

    python benchmarks/joint_training.py run             # what has no result yet; stop and start it at any time
    python benchmarks/joint_training.py summarise       # the table, from the committed results
    python benchmarks/joint_training.py card FOLDER     # writes the shipped model's card again, with the table

Every run trains by examples/cxr_multitask_ablation.yaml; only `tasks`, `use_skips` and `seed` differ. The encoder is
not warmed up on findings: what it sees, it learned from the tasks. An arm without a task has no figure for it.

Each result is one JSON in results/joint_training/; scores are on cases of the test split that no run has seen, each
with its 95 % bootstrap interval over cases. An interval says nothing of what training again would give: only more seeds
would (`SEEDS`); with several, a cell gives their mean and, in round brackets, the lowest and the highest.
"""

import importlib.metadata
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from measure import read_run

from hf_medreport.evaluation.phantom import evaluate_phantom
from hf_medreport.files.writing import sha256
from hf_medreport.inference.loading import load
from hf_medreport.processing.input_error import InputError
from hf_medreport.training import cxr_multitask as recipe
from hf_medreport.training import run as train
from hf_medreport.training.arguments import read_arguments

SHIPPED = Path("examples/cxr_multitask_phantom.yaml")
CAPTION = "Tasks trained together and alone, smaller and shorter (`python benchmarks/joint_training.py summarise`)"
CONFIG = Path("examples/cxr_multitask_ablation.yaml")
RESULTS = Path(__file__).parent / "results" / "joint_training"
SEEDS = (0,)
CASES, CASE_SEED = 500, 1
# arm -> the tasks that it learns, and whether its decoders have skips
ARMS = {
    "all tasks": (("reconstruction", "verdict", "report"), True),
    "report alone": (("report",), True),
    "verdict alone": (("verdict",), True),
    "reconstruction alone": (("reconstruction",), True),
    "all tasks, no skips": (("reconstruction", "verdict", "report"), False),
}
# figure -> (the task it belongs to, where it lies in the scores)
FIGURES = {
    "SSIM frontal": ("reconstruction", ("tasks", "frontal", "ssim")),
    "SSIM lateral": ("reconstruction", ("tasks", "lateral", "ssim")),
    "MSE frontal": ("reconstruction", ("tasks", "frontal", "mse")),
    "MSE lateral": ("reconstruction", ("tasks", "lateral", "mse")),
    "accuracy": ("verdict", ("tasks", "verdict", "accuracy")),
    "AUC": ("verdict", ("tasks", "verdict", "auc")),
    "exact-fact F1": ("report", ("exact", "f1")),
    "finding-kind F1": ("report", ("kind", "f1")),
    "BLEU-4": ("report", ("text", "bleu4")),
    "ROUGE-L": ("report", ("text", "rougeL")),
}
DECIMALS = {"MSE frontal": 5, "MSE lateral": 5}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0])


@app.command()
def run(runs: Annotated[Path, typer.Option(help="Folder for the trainings.")] = Path("runs/joint_training")):
    """Train and score what has no result yet, one seed after the other."""
    for seed in SEEDS:
        for arm, (tasks, skips) in ARMS.items():
            if read(arm, seed) is not None:
                continue
            output, start = runs / stem(arm, seed), time.monotonic()
            flags = ["--tasks", *tasks, "--use_skips", str(skips), "--seed", str(seed), "--output_dir", str(output)]
            trained = train("cxr_multitask", str(CONFIG), [*flags, "--resume_from_checkpoint", "true"])
            seconds = round(time.monotonic() - start)  # after a kill: of the rest
            scores = evaluate_phantom(load(trained["model"]), n=CASES, seed=CASE_SEED)
            versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
            result = {"arm": arm, "seed": seed, "settings": settings(), "versions": versions}
            result |= {"training_seconds": seconds, "scores": scores}
            RESULTS.mkdir(parents=True, exist_ok=True)
            unfinished = place(arm, seed).with_suffix(".part")
            unfinished.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            unfinished.rename(place(arm, seed))
            print(place(arm, seed), file=sys.stderr)


@app.command()
def summarise():
    """Print the table and keep it as JSON; a run without a result is "not run"."""
    arms = {arm: [found for seed in SEEDS if (found := read(arm, seed))] for arm in ARMS}
    rows = {arm: {figure: cell(arm, figure, results) for figure in FIGURES} for arm, results in arms.items()}
    baseline = next((results[0]["scores"] for results in arms.values() if results), None)
    if baseline is not None:
        rows["baseline"] = baselines(baseline)
    content = {
        "command": "python benchmarks/joint_training.py summarise",
        "settings": settings(),
        "seeds": {arm: [result["seed"] for result in results] for arm, results in arms.items()},
        "training_seconds": {arm: [result["training_seconds"] for result in results] for arm, results in arms.items()},
        "rows": rows,
    }
    (RESULTS.parent / "joint_training.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(table(rows))


@app.command()
def card(folder: Annotated[Path, typer.Argument(help="The shipped model's.")]):
    """Write the card of a folder that the phantom recipe made, with the committed table."""
    parts = (recipe.ModelArguments, recipe.DataArguments, recipe.RecipeArguments)
    arguments = read_arguments(parts, str(SHIPPED), ["--output_dir", "runs/card"])
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    rows = json.loads((RESULTS.parent / "joint_training.json").read_text(encoding="utf-8"))["rows"]
    tables = {CAPTION: [["", *rows], *([figure, *cells] for figure, *cells in cells_of(rows))]}
    recipe.write_model_card(folder, evaluation, *arguments, str(SHIPPED), tables)


def settings() -> dict:
    """What results that stand in one table must share."""
    return {"config_sha256": sha256(CONFIG), "cases": CASES, "case_seed": CASE_SEED}


def stem(arm: str, seed: int) -> str:
    return f"{arm.replace(', ', '-').replace(' ', '-')}-{seed}"


def place(arm: str, seed: int) -> Path:
    return RESULTS / f"{stem(arm, seed)}.json"


def read(arm: str, seed: int) -> dict | None:
    """A run's result; see `read_run`."""
    return read_run(place(arm, seed), settings())


def cell(arm: str, figure: str, results: list[dict]) -> dict | None:
    """Mean, range and intervals of the seeds; None where the arm does not learn what the figure is about."""
    task, keys = FIGURES[figure]
    if task not in ARMS[arm][0]:
        return None
    found = [figure_of(result["scores"], keys) for result in results]
    if not found:
        return {"value": None}
    values = [value for value, _ in found]
    return {
        "value": round(sum(values) / len(values), 6),
        "seeds": values,
        "intervals": [interval for _, interval in found],
    }


def figure_of(scores: dict, keys: tuple[str, ...]) -> tuple[float, list[float] | None]:
    """A figure and its interval; intervals stand beside figures under dotted names."""
    holder = scores
    for depth, key in enumerate(keys[:-1]):
        if "intervals" in holder and ".".join(keys[depth:]) in holder["intervals"]:
            break
        holder = holder[key]
    interval = next(
        (holder["intervals"][name] for name in (".".join(keys), keys[-1]) if name in holder.get("intervals", {})), None
    )
    value = scores
    for key in keys:
        value = value[key]
    return value, interval


def baselines(scores: dict) -> dict:
    """What stands beside each figure: the mean film, the majority's verdict, the constant report."""
    tasks, constant = scores["tasks"], scores["constant_report"]
    found = {
        "SSIM frontal": tasks["frontal"]["mean_film"]["ssim"],
        "SSIM lateral": tasks["lateral"]["mean_film"]["ssim"],
        "MSE frontal": tasks["frontal"]["mean_film"]["mse"],
        "MSE lateral": tasks["lateral"]["mean_film"]["mse"],
        "accuracy": tasks["verdict"]["majority"]["accuracy"],
        "AUC": 0.5,  # of a verdict that is the same for all
        "exact-fact F1": constant["exact"]["f1"] or 0.0,
        "finding-kind F1": constant["kind"]["f1"] or 0.0,
        "BLEU-4": constant["text"]["bleu4"],
        "ROUGE-L": constant["text"]["rougeL"],
    }
    return {figure: {"value": value} for figure, value in found.items()}


def table(rows: dict) -> str:
    """Markdown: one row a figure, one column an arm."""
    lines = ["| | " + " | ".join(rows) + " |", "|---|" + "---:|" * len(rows)]
    return "\n".join([*lines, *("| " + " | ".join(cells) + " |" for cells in cells_of(rows))])


def cells_of(rows: dict) -> list[list[str]]:
    """[figure, one cell an arm]."""
    return [[figure, *(shown(figure, cells[figure]) for cells in rows.values())] for figure in FIGURES]


def shown(figure: str, found: dict | None) -> str:
    if found is None:
        return ""
    if found["value"] is None:
        return "not run"
    decimals = DECIMALS.get(figure, 3)
    text, seeds = f"{found['value']:.{decimals}f}", found.get("seeds", [])
    return text if len(seeds) < 2 else f"{text} ({min(seeds):.{decimals}f} to {max(seeds):.{decimals}f})"


if __name__ == "__main__":
    try:
        app()
    except InputError as error:
        sys.exit(str(error))
