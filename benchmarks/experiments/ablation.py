"""Does layer-wise anatomical attention help? none, soft and strict priors on the phantom, three seeds each.

    python benchmarks/experiments/ablation.py run          # what has no result yet; stop and start it at any time
    python benchmarks/experiments/ablation.py summarize    # the table and the plot, from the committed results

Every run trains by examples/anatomical_ablation.yaml; only `mask_mode` and `seed` differ. Runs of one seed share the
warmed-up encoder and segmenter, so that they differ in the prior alone. A soft run is scored a second time with
`legacy_decode`, which loses the prior in generation as the published code does; its evidence maps would be the same,
since they are drawn without a cache. Evidence is scored on each model's own true sentences.

Each result is one JSON in results/ablation/; scores are on films that no run has seen. A row pools its seeds; the
interval is a bootstrap over films. A p-value is a paired approximate randomisation over films against "none"
(legacy_decode: against soft), corrected by Holm: it is about these trained models on other films. Whether training
again would say the same is shown by the seeds alone, so a star asks for p < 0.05 and the same sign in every seed.
"""

from pathlib import Path

import numpy as np
from runner import Experiment, Results, command_line

from hf_medreport.evaluation.phantom.evidence import COUNTS as EVIDENCE
from hf_medreport.evaluation.phantom.evidence import evidence_counts
from hf_medreport.evaluation.phantom.films import phantom_counts
from hf_medreport.evaluation.significance import bootstrap_interval, holm, paired_randomisation
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.score import COUNTS
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline

MODES, SEEDS = ("none", "soft", "strict"), (0, 1, 2)
CONFIG = Path("examples/anatomical_ablation.yaml")
PICTURE = Path(__file__).parents[2] / "examples" / "pictures" / "ablation.png"
# Films for the facts (natural prevalence) and for the evidence (balanced), both of the test split.
FACT_FILMS, EVIDENCE_FILMS, FILM_SEED = 500, 100, 1
LEGACY, CONSTANT = "soft, legacy_decode", "constant normal report"
COLORS = {"none": "#9aa5b1", "soft": "#2f7ed8", "strict": "#1b4f8f", LEGACY: "#e08e45"}
# Each figure as (summands of the part, summands of the whole) of what is kept of a film.
FACT_FIGURES = ("exact-fact F1", "finding-kind F1", "wrong-side rate", "hallucination rate")
RATIOS = {
    "exact-fact F1": (("hits", "hits"), ("stated", "true")),
    "finding-kind F1": (("kind_hits", "kind_hits"), ("kind_stated", "kind_true")),
    "wrong-side rate": (("wrong_side",), ("sided",)),
    "hallucination rate": (("hallucinated",), ("stated",)),
    "evidence: pointing": (("pointing.model",), ("sentences",)),
    "evidence, random weights": (("pointing.randomized",), ("sentences",)),
}
TESTED = ("exact-fact F1", "wrong-side rate", "hallucination rate", "evidence: pointing")
KEPT_FACTS = tuple(dict.fromkeys(n for f in FACT_FIGURES for names in RATIOS[f] for n in names))
KEPT_EVIDENCE = ("sentences", "pointing.model", "pointing.randomized")
KEPT = KEPT_FACTS + KEPT_EVIDENCE

Arm = dict[int, dict]  # the results of one row by seed


def score(mode: str, pipe: MedicalReportPipeline) -> dict:
    """What each film adds to the figures; of a soft run also where generation loses the prior."""
    found = scores(pipe)
    if mode == "soft":
        pipe.model.config.legacy_decode = True
        found["legacy_decode"] = scores(pipe)
    return found


def scores(pipe: MedicalReportPipeline) -> dict:
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


def summary(results: Results) -> tuple[dict, str]:
    """Figures and corrected p-values of each arm, and the table of them; draws the plot."""
    arms = {**results, LEGACY: {seed: legacy(result) for seed, result in results["soft"].items()}}
    pairs = (("soft", "none"), ("strict", "none"), (LEGACY, "soft"))
    tests = {(name, f): p for name, against in pairs for f, p in compared(arms[name], arms[against]).items()}
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    starred = {
        (name, figure)
        for name, against in pairs
        for figure in TESTED
        if adjusted.get((name, figure), 1) < 0.05 and same_sign(arms[name], arms[against], figure)
    }
    rows = {name: figures_of(of_arm) for name, of_arm in arms.items()}
    p_by_holm = {f"{name}, {figure}": p for (name, figure), p in adjusted.items()}
    draw(arms)
    return {"rows": rows, "p_by_holm": p_by_holm}, table(rows, starred)


def legacy(result: dict) -> dict:
    """The result of a soft run whose generation lost the prior; it has no evidence of its own."""
    return {**result, **result["legacy_decode"], "evidence": np.zeros_like(result["evidence"]).tolist()}


def ratio(figure: str, rows: np.ndarray) -> np.ndarray:
    """One figure of sums, or means, over films: (..., columns) -> (...), nan where it is 0 / 0."""
    part, whole = (sum(rows[..., KEPT.index(name)] for name in names) for names in RATIOS[figure])
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=np.asarray(whole) > 0)


def films(result: dict) -> np.ndarray:
    """(films, KEPT): what each film adds; the evidence films stand below the fact films."""
    facts, evidence = np.array(result["facts"], dtype=float), np.array(result["evidence"], dtype=float)
    rows = np.zeros((len(facts) + len(evidence), len(KEPT)))
    rows[: len(facts), : facts.shape[1]] = facts
    rows[len(facts) :, facts.shape[1] :] = evidence
    return rows


def pooled(arm: Arm) -> np.ndarray:
    return sum(films(result) for result in arm.values())


def by_seed(arm: Arm, figure: str) -> dict[int, float | None]:
    return {seed: number(ratio(figure, films(result).sum(axis=0))) for seed, result in arm.items()}


def figures_of(arm: Arm) -> dict:
    """Each figure of all seeds together, with its bootstrap interval over films, and of each seed."""
    if not arm:
        return {}
    together, rows = pooled(arm), {}
    for figure in RATIOS:
        interval = bootstrap_interval(together, lambda means, figure=figure: ratio(figure, means))
        value = number(ratio(figure, together.sum(axis=0)))
        rows[figure] = {"value": value, "interval": interval and list(interval), "seeds": by_seed(arm, figure)}
    blinded = {seed: result["blinded"]["exact-fact F1"] for seed, result in arm.items()}
    rows["blinded: exact-fact F1"] = {"value": float(np.mean(list(blinded.values()))), "seeds": blinded}
    return rows


def compared(one: Arm, other: Arm) -> dict[str, float]:
    """Raw p-values; none where a seed is missing on either side."""
    if one.keys() != other.keys() or not one:
        return {}
    a, b = pooled(one), pooled(other)
    found = {figure: paired_randomisation(a, b, lambda means, f=figure: ratio(f, means)) for figure in TESTED}
    return {figure: p for figure, p in found.items() if p is not None}


def same_sign(one: Arm, other: Arm, figure: str) -> bool:
    """Whether the difference goes the same way in every seed."""
    values, others = by_seed(one, figure), by_seed(other, figure)
    return len({np.sign(values[seed] - others[seed]) for seed in values}) == 1


def number(value: np.ndarray) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def table(rows: dict, starred: set) -> str:
    """Markdown: seeds together, [95 % interval over films], (lowest to highest seed)."""
    columns = [*RATIOS, "blinded: exact-fact F1"]
    lines = [f"| prior | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name, figures in rows.items():
        cells = [_cell(figures.get(column)) + "*" * ((name, column) in starred) for column in columns]
        seeds = len(figures["exact-fact F1"]["seeds"]) if figures else 0
        lines.append(
            f"| {name}{'' if seeds == len(SEEDS) else f' ({seeds} of {len(SEEDS)} seeds)'} | {' | '.join(cells)} |"
        )
    nothing_stated = ["0.000"] * 2 + ["undefined"] * 2 + ["none"] * 3  # F1 = 2 * 0 / (0 + true); the rates are 0 / 0
    return "\n".join([*lines, f"| {CONSTANT} | {' | '.join(nothing_stated)} |"])


def _cell(figure: dict | None) -> str:
    if figure is None:
        return "not run"
    if figure["value"] is None:
        return "none"
    parts = [f"{figure['value']:.3f}"]
    if figure.get("interval"):
        parts.append("[{:.3f}, {:.3f}]".format(*figure["interval"]))
    return " ".join([*parts, f"({min(figure['seeds'].values()):.3f} to {max(figure['seeds'].values()):.3f})"])


def draw(arms: dict[str, Arm]) -> None:
    """A panel a figure: a bar for all seeds together, a dot a seed."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(RATIOS), figsize=(2.6 * len(RATIOS), 3.2), layout="constrained")
    for axis, name in zip(axes, RATIOS, strict=True):
        for column, (arm, results) in enumerate(arms.items()):
            seeds = [value for value in by_seed(results, name).values() if value is not None]
            if seeds:
                axis.bar(column, ratio(name, pooled(results).sum(axis=0)), color=COLORS[arm], width=0.7)
                axis.plot([column] * len(seeds), seeds, "o", color="black", markersize=4)
        axis.set_xticks(range(len(arms)), [arm.replace(", ", ",\n") for arm in arms], fontsize=7, rotation=30)
        axis.set_title(name, fontsize=10)
        axis.set_ylim(bottom=0)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=110)


experiment = Experiment(
    name="ablation",
    system="anatomical",
    arms={mode: (CONFIG, ["--mask_mode", mode]) for mode in MODES},
    seeds=SEEDS,
    cases={"films": {"facts": FACT_FILMS, "evidence": EVIDENCE_FILMS, "seed": FILM_SEED}},
    score=score,
    summary=summary,
)

if __name__ == "__main__":
    command_line(experiment, __doc__)
