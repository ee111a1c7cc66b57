"""Tables of experiments that keep a JSON an arm and seed: a row an arm, the mean over seeds and each seed's figure."""

from importlib import import_module

from generators.results import RESULTS, at, read, table

# Of each experiment: arms in their order, and columns as (head, dotted keys, digits, factor).
EXPERIMENTS = {
    "diffusion_ablation": (
        (
            "stock",
            "minim",
            "stock + modality encoder",
            "stock + modality encoder + gates",
            "all",
            "stock + mask",
            "stock + feature pyramid",
            "stock + pyramid attention",
        ),
        (
            ("weights", "weights", 0, 1),
            ("held-out loss", "validation_loss", 4, 1),
            ("KID (judge features)", "kid", 4, 1),
            ("modality", "modality", 3, 1),
            ("finding", "finding", 3, 1),
            ("side", "side", 3, 1),
            ("core-minutes", "core_seconds", 1, 1 / 60),
        ),
    ),
}


def printed(experiment: str) -> str:
    """The table that an experiment's `summarize` prints, of what is committed."""
    rows = import_module(f"benchmarks.experiments.{experiment}").table(RESULTS / experiment)
    return f"{rows}\n\n`python benchmarks/experiments/{experiment}.py run`"


def seeds(name: str) -> str:
    """The table of an experiment; an arm without a result is "not run"."""
    arms, columns = EXPERIMENTS[name]
    found = [read(path) for path in sorted((RESULTS / name).glob("*.json"))]
    rows = []
    for arm in arms:
        runs = sorted((one for one in found if one["arm"] == arm), key=lambda one: one["seed"])
        cells = [_cell(runs, *column[1:]) for column in columns] if runs else ["not run", *[""] * (len(columns) - 1)]
        rows.append([arm, *cells])
    return f"{table(['', *(column[0] for column in columns)], rows)}\n\n`python benchmarks/experiments/{name}.py run`"


def _cell(runs: list[dict], keys: str, digits: int, factor: float) -> str:
    try:
        values = [at(one, keys) * factor for one in runs]
    except KeyError:
        return ""
    mean = f"{sum(values) / len(values):.{digits}f}"
    each = [f"{value:.{digits}f}" for value in values]
    return mean if len(set(each)) == 1 else f"{mean} ({', '.join(each)})"


PUBLIC = (printed, seeds)
