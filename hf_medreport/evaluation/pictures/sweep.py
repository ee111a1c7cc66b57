"""What guidance buys and costs: faithfulness against diversity over guidance scales, with the same prompts and noise.

sweep = guidance_sweep(pipe, [1, 2, 3, 5, 8], n=200)
write_whole(path, lambda part: sweep_plot(sweep, part))
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hf_medreport.data.drawn.picture_folder import drawn_pictures
from hf_medreport.evaluation.pictures.distribution import distribution_figures, look_figures
from hf_medreport.evaluation.pictures.evaluate import Drawing
from hf_medreport.evaluation.pictures.faithfulness import faithfulness
from hf_medreport.evaluation.pictures.judging import QUESTIONS, load_judge
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.processing.input_error import InputError

__all__ = ["guidance_sweep", "sweep_plot", "sweep_table"]

COLORS = ("#1a6fb5", "#d95f02", "#1b9e77", "#7570b3", "#666666")


def guidance_sweep(
    pipe,
    scales: Sequence[float],
    *,
    n: int = 200,
    seed: int = 2,
    split: str = "test",
    judge: str | Path | None = None,
    drawing: Drawing | None = None,
    device: str | None = None,
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> dict:
    """Faithfulness, diversity and distances at several guidance scales; arguments as of `evaluate_generator`.

    Returns:
        {"n", "seed", "split", "judge", "drawn_diversity", "scales": [{"guidance_scale", "faithfulness", "diversity",
        "kid", "recall"}]}; diversity is the mean over modalities of the mean MS-SSIM of pairs, lower being more
        diverse.

    Raises:
        InputError: no scales, or as `evaluate_generator`.
    """
    if not scales or any(not np.isfinite(scale) or scale < 0 for scale in scales):
        raise InputError("scales", str(list(scales)), "guidance scales from 0", "name one or more")
    drawing, critic = drawing or Drawing(), load_judge(judge, device)
    drawn = drawn_pictures(PictureCorpus(n, seed, critic.size, split=split), lambda cases: progress(cases, n))
    real, rows, look = critic.look(drawn.images), [], {}
    for scale in scales:
        draw = replace(drawing, guidance_scale=float(scale), name=f"guidance-{scale:g}")
        images = draw(pipe, drawn.prompts, drawn.modalities, critic.size, seed, progress)
        fake = critic.look(images)
        scores = faithfulness(drawn.facts, fake.answers)
        look = look_figures(drawn.images, images, drawn.modalities, seed)
        between = distribution_figures(real, fake, drawn.modalities, seed)["all"] or {}
        rows.append(
            {
                "guidance_scale": float(scale),
                "faithfulness": {
                    name: {part: scores[name][part] for part in ("n", "accuracy", "interval")}
                    for name in (*QUESTIONS, "all")
                },
                "diversity": _mean(look, "generated"),
                "kid": between.get("kid"),
                "recall": between.get("recall"),
            }
        )
    return {
        "n": n,
        "seed": seed,
        "split": split,
        "judge": critic.name,
        "drawn_diversity": _mean(look, "drawn"),
        "scales": rows,
    }


def _mean(look: dict, label: str) -> float | None:
    values = [one for figures in look.values() if (one := figures["diversity"][label]) is not None]
    return float(np.mean(values)) if values else None


def sweep_table(sweep: dict) -> str:
    """A line a scale."""
    names = (*QUESTIONS, "all")
    lines = [f"{'guidance':<10}" + "".join(f"{name:>10}" for name in (*names, "MS-SSIM", "KID", "recall"))]
    for row in sweep["scales"]:
        cells = [row["faithfulness"][name]["accuracy"] for name in names]
        cells += [row["diversity"], row["kid"], row["recall"]]
        shown = ("-" if cell is None else f"{cell:.3f}" for cell in cells)
        lines.append(f"{row['guidance_scale']:<10g}" + "".join(f"{cell:>10}" for cell in shown))
    return "\n".join(lines)


def sweep_plot(sweep: dict, path: Path) -> None:
    """Draw a PNG: accuracy over guidance with its intervals, and accuracy against diversity."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    scales = [row["guidance_scale"] for row in sweep["scales"]]
    for color, name in zip(COLORS, QUESTIONS, strict=True):
        scored = [(scale, row["faithfulness"][name]) for scale, row in zip(scales, sweep["scales"], strict=True)]
        scored = [(scale, score) for scale, score in scored if score["n"]]
        if scored:
            places, values = zip(*((scale, score["accuracy"]) for scale, score in scored), strict=True)
            low, high = zip(*(score["interval"] for _, score in scored), strict=True)
            left.plot(places, values, "o-", color=color, label=name, markersize=3)
            left.fill_between(places, low, high, color=color, alpha=0.12, linewidth=0)
    left.set_xlabel("guidance scale")
    left.set_ylabel("asked and seen")
    left.set_ylim(0, 1.02)
    left.legend(fontsize=8, frameon=False)
    right.plot(
        [row["diversity"] for row in sweep["scales"]],
        [row["faithfulness"]["all"]["accuracy"] for row in sweep["scales"]],
        "o-",
        color=COLORS[0],
        markersize=3,
    )
    for row in sweep["scales"]:
        place = row["diversity"], row["faithfulness"]["all"]["accuracy"]
        right.annotate(f"{row['guidance_scale']:g}", place, fontsize=8, xytext=(4, 4), textcoords="offset points")
    if sweep["drawn_diversity"] is not None:
        right.axvline(sweep["drawn_diversity"], color=COLORS[4], linewidth=0.8, linestyle="--")
    right.set_xlabel("mean MS-SSIM of pairs (dashed: drawn pictures)")
    right.set_ylabel("all that was asked, seen")
    for ax in (left, right):
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8)
    figure.savefig(path, format="png", dpi=130, metadata={"Software": None})
