"""What do labels buy system 004, what does its mask do, and with which image encoder does it see?

    python benchmarks/label_modes.py run             # what has no result yet; stop and start it at any time
    python benchmarks/label_modes.py summarise       # the table, from the committed results
    python benchmarks/label_modes.py card FOLDER     # writes the shipped model's card again, with the table

Every arm trains by examples/radscribe_ablation.yaml (the ViT's by radscribe_ablation_vit.yaml, which differs in the
image encoder alone); only `label_mode`, `mask_mode` and `seed` differ. The image encoder is not warmed up on findings.

- `oracle` is told the labels of the true report, in training and in scoring, as RadScribe is: it is a bound, not a
  result. Its blinded row, which sees noise and is told the labels all the same, is what leakage alone buys.
- `predicted` names them by its own head, which learns from the true labels: more supervision than `none` has.
- The mask arms are `predicted` ones; `legacy` shows RadScribe's inert mask.

Each result is one JSON in results/label_modes/; scores are on films of the test split that no run has seen, each with
its 95 % bootstrap interval over films. An interval says nothing of what training again would give: only more seeds
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
from hf_medreport.training import radscribe as recipe
from hf_medreport.training import run as train
from hf_medreport.training.arguments import read_arguments

SHIPPED = Path("examples/radscribe_phantom.yaml")
CAPTION = (
    "Label modes, mask modes and image encoders, smaller and shorter (`python benchmarks/label_modes.py summarise`)"
)
CONFIG, WITH_VIT = Path("examples/radscribe_ablation.yaml"), Path("examples/radscribe_ablation_vit.yaml")
RESULTS = Path(__file__).parent / "results" / "label_modes"
SEEDS = (0,)
FILMS, FILM_SEED = 500, 1
# arm -> label mode, mask mode, configuration
ARMS = {
    "no labels": ("none", "full", CONFIG),
    "predicted labels": ("predicted", "full", CONFIG),
    "oracle labels": ("oracle", "full", CONFIG),
    "predicted, bar mask": ("predicted", "bar", CONFIG),
    "predicted, legacy mask": ("predicted", "legacy", CONFIG),
    "predicted, ViT": ("predicted", "full", WITH_VIT),
}
FIGURES = {
    "exact-fact F1": ("exact", "f1"),
    "finding-kind F1": ("kind", "f1"),
    "hallucination rate": ("hallucination_rate",),
    "wrong-side rate": ("wrong_side_rate",),
    "exact-fact F1, blinded": ("blinded", "exact", "f1"),
    "finding-kind F1, blinded": ("blinded", "kind", "f1"),
    "BLEU-4": ("text", "bleu4"),
    "METEOR": ("text", "meteor"),
    "ROUGE-L": ("text", "rougeL"),
    "CIDEr": ("text", "cider"),
    "token F1": ("text", "token_f1"),
    "CheXpert-label F1": ("text", "chexpert_f1"),
}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0])


@app.command()
def run(runs: Annotated[Path, typer.Option(help="Folder for the trainings.")] = Path("runs/label_modes")):
    """Train and score what has no result yet, one seed after the other."""
    for seed in SEEDS:
        for arm, (labels, mask, config) in ARMS.items():
            if read(arm, seed) is not None:
                continue
            output, start = runs / stem(arm, seed), time.monotonic()
            flags = ["--label_mode", labels, "--mask_mode", mask, "--seed", str(seed), "--output_dir", str(output)]
            trained = train("radscribe", str(config), [*flags, "--resume_from_checkpoint", "true"])
            seconds = round(time.monotonic() - start)  # after a kill: of the rest
            scores = evaluate_phantom(load(trained["model"]), n=FILMS, seed=FILM_SEED)
            versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers")}
            result = {"arm": arm, "seed": seed, "settings": settings(arm), "versions": versions}
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
    rows = {arm: {figure: cell(keys, results) for figure, keys in FIGURES.items()} for arm, results in arms.items()}
    content = {
        "command": "python benchmarks/label_modes.py summarise",
        "settings": {arm: settings(arm) for arm in ARMS},
        "seeds": {arm: [result["seed"] for result in results] for arm, results in arms.items()},
        "training_seconds": {arm: [result["training_seconds"] for result in results] for arm, results in arms.items()},
        "rows": rows,
    }
    (RESULTS.parent / "label_modes.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print("\n".join(markdown(table(rows))))


@app.command()
def card(folder: Annotated[Path, typer.Argument(help="The shipped model's.")]):
    """Write the card of a folder that the phantom recipe made, with the committed table."""
    parts = (recipe.ModelArguments, recipe.DataArguments, recipe.RecipeArguments)
    arguments = read_arguments(parts, str(SHIPPED), ["--output_dir", "runs/card"])
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    rows = json.loads((RESULTS.parent / "label_modes.json").read_text(encoding="utf-8"))["rows"]
    recipe.write_model_card(folder, evaluation, *arguments, str(SHIPPED), {CAPTION: table(rows)})


def settings(arm: str) -> dict:
    """What a result must have been made with to stand in the table."""
    return {"config_sha256": sha256(ARMS[arm][2]), "films": FILMS, "film_seed": FILM_SEED}


def stem(arm: str, seed: int) -> str:
    return f"{arm.replace(', ', '-').replace(' ', '-')}-{seed}"


def place(arm: str, seed: int) -> Path:
    return RESULTS / f"{stem(arm, seed)}.json"


def read(arm: str, seed: int) -> dict | None:
    """A run's result; see `read_run`."""
    return read_run(place(arm, seed), settings(arm))


def cell(keys: tuple[str, ...], results: list[dict]) -> dict:
    """Mean, values and intervals of the seeds."""
    found = [figure_of(result["scores"], keys) for result in results]
    values = [value for value, _ in found]
    if not values or None in values:
        return {"value": None, "seeds": values}
    mean = round(sum(values) / len(values), 6)
    return {"value": mean, "seeds": values, "intervals": [interval for _, interval in found]}


def figure_of(scores: dict, keys: tuple[str, ...]) -> tuple[float | None, list[float] | None]:
    """A figure and its interval, which stands beside the reporter's figures under a dotted name."""
    reporter = scores[keys[0]] if keys[0] == "blinded" else scores
    keys = keys[1:] if keys[0] == "blinded" else keys
    value = reporter
    for key in keys:
        value = value[key]
    return value, reporter["intervals"].get(".".join(keys))


def table(rows: dict) -> list[list[str]]:
    """A head, and one row a figure with one cell an arm."""
    return [["", *rows], *([figure, *(shown(cells[figure]) for cells in rows.values())] for figure in FIGURES)]


def shown(found: dict) -> str:
    if found["value"] is None:
        return "undefined" if found["seeds"] else "not run"
    text, seeds = f"{found['value']:.3f}", found["seeds"]
    return text if len(seeds) < 2 else f"{text} ({min(seeds):.3f} to {max(seeds):.3f})"


def markdown(lines: list[list[str]]) -> list[str]:
    head, *body = lines
    return ["| " + " | ".join(row) + " |" for row in (head, ["---", *["---:"] * (len(head) - 1)], *body)]


if __name__ == "__main__":
    try:
        app()
    except InputError as error:
        sys.exit(str(error))
