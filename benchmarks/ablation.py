"""Does layer-wise anatomical attention help? none, soft and strict priors on the phantom, three seeds each.

    python benchmarks/ablation.py run             # every run that has no result yet; stop and start it at any time
    python benchmarks/ablation.py summarise       # the table and the plot, from the committed results

Every run trains by examples/anatomical_ablation.yaml; only `mask_mode` and `seed` differ. Runs of one seed share the
warmed-up encoder and segmenter, so that they differ in the prior alone. A soft run is scored a second time with
`legacy_decode`, which loses the prior in generation as the published code does. Each result is one JSON in
results/ablation/; scores are on films that no run has seen. The p-values are paired approximate randomisation over
the films, counts summed over seeds, against "none" (legacy_decode: against soft), corrected by Holm.
"""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from hf_medreport.evaluation.evidence import COUNTS as EVIDENCE
from hf_medreport.evaluation.evidence import evidence_counts
from hf_medreport.evaluation.phantom import phantom_counts
from hf_medreport.evaluation.significance import bootstrap_interval, holm, paired_randomisation
from hf_medreport.inference.loading import load
from hf_medreport.phantom.corpus import ChestCorpus
from hf_medreport.phantom.score import COUNTS
from hf_medreport.training import run as train

MODES, SEEDS = ("none", "soft", "strict"), (0, 1, 2)
CONFIG = "examples/anatomical_ablation.yaml"
RESULTS = Path(__file__).parent / "results" / "ablation"
PICTURE = Path(__file__).parent.parent / "examples" / "pictures" / "ablation.png"
# Films for the facts (natural prevalence) and for the evidence (balanced), both of the test split.
FACT_FILMS, EVIDENCE_FILMS, FILM_SEED = 500, 100, 1
LEGACY = "soft, legacy_decode"
COLOURS = {"none": "#9aa5b1", "soft": "#2f7ed8", "strict": "#1b4f8f", LEGACY: "#e08e45"}
# Each figure as (summands of the part, summands of the whole) of what is kept of a film.
FACT_FIGURES = ("exact-fact F1", "finding-kind F1", "wrong-side rate", "hallucination rate")
RATIOS = {
    "exact-fact F1": (("hits", "hits"), ("stated", "true")),
    "finding-kind F1": (("kind_hits", "kind_hits"), ("kind_stated", "kind_true")),
    "wrong-side rate": (("wrong_side",), ("sided",)),
    "hallucination rate": (("hallucinated",), ("stated",)),
    "evidence: pointing": (("pointing.model",), ("sentences",)),
    "the same, random weights": (("pointing.randomised",), ("sentences",)),
}
TESTED = ("exact-fact F1", "wrong-side rate", "hallucination rate", "evidence: pointing")
KEPT_FACTS = tuple(dict.fromkeys(n for f in FACT_FIGURES for names in RATIOS[f] for n in names))
KEPT_EVIDENCE = ("sentences", "pointing.model", "pointing.randomised")
KEPT = KEPT_FACTS + KEPT_EVIDENCE

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0])


@app.command()
def run(runs: Annotated[Path, typer.Option(help="Folder for the trainings.")] = Path("runs/ablation")):
    """Train and score what has no result yet."""
    for seed in SEEDS:
        for mode in MODES:
            result = RESULTS / f"{mode}-{seed}.json"
            if result.exists():
                continue
            output, start = runs / f"{mode}-{seed}", time.monotonic()
            flags = ["--mask_mode", mode, "--seed", str(seed), "--output_dir", str(output)]
            flags += ["--warm_up_folder", str(runs / "warm-up"), "--resume_from_checkpoint", "true"]
            trained = train("anatomical", CONFIG, flags)
            seconds = time.monotonic() - start
            pipe = load(trained["model"])
            content = {"mode": mode, "seed": seed, "training_seconds": round(seconds), **scores(pipe)}
            if mode == "soft":
                pipe.model.config.legacy_decode = True
                content["legacy_decode"] = scores(pipe)
            RESULTS.mkdir(parents=True, exist_ok=True)
            unfinished = result.with_suffix(".part")
            unfinished.write_text(json.dumps(content) + "\n", encoding="utf-8")
            unfinished.rename(result)
            print(result, file=sys.stderr)


def scores(pipe) -> dict:
    """What each film adds to the figures, and the figures of the blinded model."""
    size = pipe.processor.image_processor.size
    counts = phantom_counts(pipe, ChestCorpus(FACT_FILMS, FILM_SEED, size, "test"))
    evidence = evidence_counts(pipe, ChestCorpus(EVIDENCE_FILMS, FILM_SEED, size, "test", "balanced"))
    columns = [COUNTS.index(name) for name in KEPT_FACTS]
    facts = {reporter: of.sum(axis=1)[:, columns] for reporter, of in counts.items()}
    blinded = facts["blinded"].sum(axis=0)
    return {
        "facts": facts["model"].tolist(),
        "evidence": evidence[:, 0, [EVIDENCE.index(name) for name in KEPT_EVIDENCE]].tolist(),
        "blinded": {figure: number(ratio(figure, blinded)) for figure in FACT_FIGURES},
    }


@app.command()
def summarise():
    """Print the table, keep it as JSON and draw the plot; a run without a result is "not run"."""
    found = {(mode, seed): read(mode, seed) for mode in MODES for seed in SEEDS}
    arms = {mode: {seed: found[mode, seed] for seed in SEEDS if found[mode, seed]} for mode in MODES}
    arms[LEGACY] = {seed: {**result, **result["legacy_decode"]} for seed, result in arms["soft"].items()}
    rows = {name: summary(results) for name, results in arms.items() if results}
    tests = {
        f"{name} against {against}, {figure}": p
        for name, against in (("soft", "none"), ("strict", "none"), (LEGACY, "soft"))
        for figure, p in compared(arms[name], arms[against]).items()
    }
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    blinded = [result["blinded"] for results in arms.values() for result in results.values()]
    content = {
        "command": "python benchmarks/ablation.py summarise",
        "films": {"facts": FACT_FILMS, "evidence": EVIDENCE_FILMS, "seed": FILM_SEED, "split": "test"},
        "rows": rows,
        "best blinded model": {name: max(one[name] or 0.0 for one in blinded) for name in FACT_FIGURES[:2]},
        "p-values by Holm": adjusted,
    }
    (RESULTS.parent / "ablation.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(table(rows, adjusted))
    draw(arms)


def read(mode: str, seed: int) -> dict | None:
    path = RESULTS / f"{mode}-{seed}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def ratio(figure: str, rows: np.ndarray) -> np.ndarray:
    """One figure of sums, or means, over films: (..., columns) -> (...)."""
    part, whole = (sum(rows[..., KEPT.index(name)] for name in names) for names in RATIOS[figure])
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def summary(results: dict[int, dict]) -> dict:
    """Each figure of each seed, and of all seeds together with its bootstrap interval over the films."""
    together, rows = pooled(results), {}
    for figure in RATIOS:
        interval = bootstrap_interval(together, lambda means, figure=figure: ratio(figure, means))
        rows[figure] = {
            "value": number(ratio(figure, together.sum(axis=0))),
            "interval": interval and list(interval),
            "seeds": {seed: number(ratio(figure, films(one).sum(axis=0))) for seed, one in results.items()},
        }
    return rows


def films(result: dict) -> np.ndarray:
    """(films, KEPT): what each film adds; the evidence films stand below the fact films."""
    facts, evidence = np.array(result["facts"], dtype=float), np.array(result["evidence"], dtype=float)
    rows = np.zeros((len(facts) + len(evidence), len(KEPT)))
    rows[: len(facts), : facts.shape[1]] = facts
    rows[len(facts) :, facts.shape[1] :] = evidence
    return rows


def pooled(results: dict[int, dict]) -> np.ndarray:
    return sum(films(result) for result in results.values())


def compared(one: dict[int, dict], other: dict[int, dict]) -> dict[str, float]:
    """Raw p-values, over the seeds that both have."""
    seeds = sorted(one.keys() & other.keys())
    if not seeds:
        return {}
    a, b = (pooled({seed: results[seed] for seed in seeds}) for results in (one, other))
    found = {figure: paired_randomisation(a, b, lambda means, f=figure: ratio(f, means)) for figure in TESTED}
    return {figure: p for figure, p in found.items() if p is not None}


def number(value: np.ndarray) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def table(rows: dict, p_values: dict) -> str:
    """Markdown: all seeds together, with 95 % intervals; * marks p < 0.05 by Holm."""
    lines = [f"| prior | {' | '.join(RATIOS)} |", "|---|" + "---:|" * len(RATIOS)]
    for name in (*MODES, LEGACY):
        cells = []
        for figure in RATIOS:
            cell = rows[name][figure] if name in rows else None
            if cell is None or cell["value"] is None:
                cells.append("not run" if cell is None else "undefined")
                continue
            starred = any(
                p < 0.05 for t, p in p_values.items() if t.startswith(f"{name} against") and t.endswith(f", {figure}")
            )
            low, high = cell["interval"]
            cells.append(f"{cell['value']:.3f} [{low:.3f}, {high:.3f}]{'*' if starred else ''}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(arms: dict[str, dict[int, dict]]) -> None:
    """A panel a figure: a dot a seed, a bar for all seeds together."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(RATIOS), figsize=(3.0 * len(RATIOS), 3.2), layout="constrained")
    for axis, name in zip(axes, RATIOS, strict=True):
        for place, (arm, results) in enumerate(arms.items()):
            if not results:
                continue
            seeds = [ratio(name, films(one).sum(axis=0)) for one in results.values()]
            axis.bar(place, ratio(name, pooled(results).sum(axis=0)), color=COLOURS[arm], width=0.7)
            axis.plot([place] * len(seeds), seeds, "o", color="black", markersize=4)
        axis.set_xticks(range(len(arms)), [arm.replace(", ", ",\n") for arm in arms], fontsize=8)
        axis.set_title(name, fontsize=10)
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    app()
