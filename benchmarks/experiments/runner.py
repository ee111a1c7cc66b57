"""What the experiments share: arms times seeds, each trained by a recipe, scored, and kept as one JSON.

An experiment is a module beside this one, with three verbs:

    python benchmarks/experiments/NAME.py run             # what has no result yet; stop and start it at any time
    python benchmarks/experiments/NAME.py summarize       # the table, from the committed results
    python benchmarks/experiments/NAME.py card FOLDER     # writes the shipped model's card again, with the table

A result belongs to the settings that it was made with: what its YAML says (comments and layout aside), and the cases
that it was scored on. One of other settings is refused.
"""

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from hf_medreport.files.settings import read_yaml
from hf_medreport.files.writing import sha256, write_text
from hf_medreport.inference.loading import load
from hf_medreport.processing.input_error import InputError
from hf_medreport.training import run as train
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.recipe import RunArguments, write_model_card

RESULTS = Path(__file__).parents[1] / "results"
VERSIONS = ("torch", "transformers")

Table = list[list[str]]  # rows of cells, the first of them the head
Results = dict[str, dict[int, dict]]  # arm -> seed -> what was kept of the run


@dataclass
class Experiment:
    """An experiment.

    Args:
        name: of its module, and of its results.
        system: whose recipe trains.
        arms: {arm: (YAML, flags)}.
        seeds: that each arm is trained with.
        cases: what the scores are on; results that differ in it do not stand in one table.
        score: (arm, pipeline of the trained model) -> what is kept of a run.
        summary: results -> (what is kept beside them, among it `rows`, and the text that is printed).
        shipped: the YAML of the shipped model, whose card gets the table; None where no card does.
        caption: of the table in the card.
        table: `rows` -> the table in the card.
        recipe: the recipe's module, for the card.
        folder: of the results; results/NAME by default.
    """

    name: str
    system: str
    arms: dict[str, tuple[Path, list[str]]]
    seeds: tuple[int, ...]
    cases: dict
    score: Callable[[str, object], dict]
    summary: Callable[[Results], tuple[dict, str]]
    shipped: Path | None = None
    caption: str = ""
    table: Callable[[dict], Table] | None = None
    recipe: ModuleType | None = None
    folder: Path | None = None

    def __post_init__(self):
        self.folder = self.folder or RESULTS / self.name

    @property
    def command(self) -> str:
        """What prints the table."""
        return f"python benchmarks/experiments/{self.name}.py summarize"

    def settings(self, arm: str) -> dict:
        """What a result of an arm must have been made with to stand in the table."""
        return {"config_sha256": config_digest(self.arms[arm][0]), **self.cases}

    def stem(self, arm: str, seed: int) -> str:
        """The name of a run."""
        return f"{arm.replace(', ', '-').replace(' ', '-')}-{seed}"

    def place(self, arm: str, seed: int) -> Path:
        """Where the result of a run is kept."""
        return self.folder / f"{self.stem(arm, seed)}.json"

    def read(self, arm: str, seed: int) -> dict | None:
        """The result of a run, None where it was not run.

        Raises:
            InputError: the file is cut, or was made with other settings than today's.
        """
        path = self.place(arm, seed)
        if not path.exists():
            return None
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise InputError(path.name, "cut JSON", "a whole result", "delete it and run again") from error
        if result["settings"] != self.settings(arm):
            raise InputError(path.name, "a result of other settings", "those of today", "delete it and run again")
        return result

    def run(self, runs: Path) -> None:
        """Train and score what has no result yet, one seed after the other.

        Runs of one seed share what they warm up, so that they differ in their flags alone.
        """
        for seed in self.seeds:
            for arm, (config, flags) in self.arms.items():
                if self.read(arm, seed) is not None:
                    continue
                output, start = runs / self.stem(arm, seed), time.monotonic()
                told = [*flags, "--seed", str(seed), "--output_dir", str(output)]
                told += ["--warm_up_folder", str(runs / "warm-up"), "--resume_from_checkpoint", "true"]
                trained = train(self.system, str(config), told)
                # After a kill: of the rest; without the warm-up where an earlier run of the seed left it.
                seconds = round(time.monotonic() - start)
                versions = {name: importlib.metadata.version(name) for name in VERSIONS}
                result = {"arm": arm, "seed": seed, "settings": self.settings(arm), "versions": versions}
                result |= {"training_seconds": seconds, **self.score(arm, load(trained["model"]))}
                write_json(self.place(arm, seed), result, indent=None)
                print(self.place(arm, seed), file=sys.stderr)

    def summarize(self) -> None:
        """Print the table and keep it as JSON; a run without a result is "not run"."""
        results = {arm: {seed: found for seed in self.seeds if (found := self.read(arm, seed))} for arm in self.arms}
        kept, printed = self.summary(results)
        content = {
            "command": self.command,
            "settings": {arm: self.settings(arm) for arm in self.arms},
            "seeds": {arm: list(of_arm) for arm, of_arm in results.items()},
            "training_seconds": {
                arm: [result["training_seconds"] for result in of_arm.values()] for arm, of_arm in results.items()
            },
        }
        write_json(self.folder.with_suffix(".json"), content | kept, indent=2)
        print(printed)

    def card(self, folder: Path) -> None:
        """Write the card of a folder that the shipped model's YAML made, with the committed table."""
        parts = (self.recipe.ModelArguments, self.recipe.DataArguments, self.recipe.RecipeArguments)
        arguments = read_arguments(parts, str(self.shipped), ["--output_dir", "runs/card"])
        asked = RunArguments(self.system, str(self.shipped), *arguments)
        evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        rows = json.loads(self.folder.with_suffix(".json").read_text(encoding="utf-8"))["rows"]
        tables = {f"{self.caption} (`{self.command}`)": self.table(rows)}
        write_model_card(folder, evaluation, asked, self.recipe.described(asked), tables)


def command_line(experiment: Experiment, doc: str) -> None:
    """The experiment's verbs; a refusal is one line.

    Args:
        doc: of its module; the first line is its help.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=doc.splitlines()[0])
    trainings = Path("runs") / experiment.name

    @app.command()
    def run(runs: Annotated[Path, typer.Option(help="Folder for the trainings.")] = trainings):
        """Train and score what has no result yet."""
        experiment.run(runs)

    @app.command()
    def summarize():
        """Print the table, from the committed results."""
        experiment.summarize()

    if experiment.shipped is not None:

        @app.command()
        def card(folder: Annotated[Path, typer.Argument(help="The shipped model's.")]):
            """Write the shipped model's card again, with the table."""
            experiment.card(folder)

    try:
        app()
    except InputError as error:
        sys.exit(str(error))


def config_digest(path: Path) -> str:
    """SHA-256 of what a YAML says: other comments, and another order of its fields, change nothing."""
    return sha256(json.dumps(read_yaml(str(path)), sort_keys=True).encode())


def write_json(path: Path, content: dict, indent: int | None) -> None:
    """A JSON file that is there as a whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=indent) + "\n"
    write_text(path, text)


def figure_of(scores: dict, keys: tuple[str, ...]) -> tuple[float | None, list[float] | None]:
    """A figure and its interval; intervals stand beside figures under dotted names."""
    value, interval = scores, None
    for depth, key in enumerate(keys):
        interval = interval or value.get("intervals", {}).get(".".join(keys[depth:]))
        value = value[key]
    return value, interval


def averaged(figures: list[tuple[float | None, list[float] | None]]) -> dict:
    """A cell of one figure and its interval a seed: mean, values and intervals; no mean of none, or of an undefined
    one."""
    values = [value for value, _ in figures]
    if not values or None in values:
        return {"value": None, "seeds": values}
    mean = round(sum(values) / len(values), 6)
    return {"value": mean, "seeds": values, "intervals": [interval for _, interval in figures]}


def shown(cell: dict, decimals: int = 3) -> str:
    """A cell in words: the mean; of several seeds also the lowest and the highest."""
    seeds = cell.get("seeds", [])
    if cell["value"] is None:
        return "undefined" if seeds else "not run"
    text = f"{cell['value']:.{decimals}f}"
    return text if len(seeds) < 2 else f"{text} ({min(seeds):.{decimals}f} to {max(seeds):.{decimals}f})"


def markdown(table: Table) -> str:
    """A table whose first column is words and whose others are figures."""
    head, *body = table
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ["---", *["---:"] * (len(head) - 1)], *body))
