"""The pictures of the evaluation page, as SVG text to be put into HTML."""

import io
import math

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from hf_medreport.evaluation.reports.resampling import FIGURE
from hf_medreport.evaluation.reports.scoring import Evaluation

__all__ = ["bar_plot", "distribution_plot", "published_plot"]

OURS, OTHERS, GRAY = "#1a6fb5", "#d95f02", "#9aa0a6"  # told apart by color-blind readers and in gray
COLUMNS = 4
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))  # no dates: the same scores give the same page


def distribution_plot(evaluation: Evaluation) -> str:
    """A histogram of the reports' own values a metric; the other system as an outline on the same bins.

    Of the metrics in `Evaluation.per_report`, of which there must be one.
    """
    results = evaluation.per_report()
    figure, axes = _grid(len(results), height=1.9)
    for ax, (name, result) in zip(axes, results.items(), strict=False):
        values = [score.per_sample for score in (result.score, result.other) if score is not None]
        values = [part[np.isfinite(part)] for part in values]
        joined = np.concatenate(values)
        if joined.size:
            bins = np.linspace(joined.min(), max(joined.max(), joined.min() + 1e-9), 31)
            ax.hist(values[0], bins, color=OURS, alpha=0.75)
            if len(values) > 1:
                ax.hist(values[1], bins, color=OTHERS, histtype="step", linewidth=1.4)
        ax.set_title(name, fontsize=9)
    axes[0].set_ylabel("reports", fontsize=8)
    return _svg(figure, "distribution of each metric over the reports")


def bar_plot(evaluation: Evaluation) -> str:
    """Both systems' figures with intervals, a metric each; a star where the difference holds after Holm."""
    figure, axes = _grid(len(evaluation.results), height=2.0)
    for ax, (name, result) in zip(axes, evaluation.results.items(), strict=False):
        systems = ((result.score, result.interval, OURS), (result.other, result.other_interval, OTHERS))
        for place, (score, interval, color) in enumerate(systems):
            height = score.value if result.of == FIGURE else np.mean(score.per_sample)  # what the interval is of
            ax.bar(place, height, color=color, width=0.6)
            if interval:
                ax.vlines(place, *interval, color="black", linewidth=1.2)
        star = " *" if result.p_holm is not None and result.p_holm < 0.05 else ""
        ax.set_title(name + star, fontsize=9)
        ax.set_xticks([0, 1], ["this", "other"])
        ax.margins(y=0.15)
    return _svg(figure, "both systems with intervals")


def published_plot(rows: list[dict]) -> str:
    """Ours against published systems, in percent: bars side by side, one group a figure."""
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    ax = figure.subplots()
    systems = list(dict.fromkeys(system for row in rows for system in row["systems"]))
    bars = [("this", OURS, [row["ours"] for row in rows])]
    grays = ["#5f6368", GRAY, "#c6cacd"]
    bars += [(s, grays[n % 3], [row["systems"].get(s) for row in rows]) for n, s in enumerate(systems)]
    width = 0.8 / len(bars)
    for number, (label, color, heights) in enumerate(bars):
        places = [(place + (number + 0.5) * width - 0.4, h) for place, h in enumerate(heights) if h is not None]
        if places:
            ax.bar(*zip(*places, strict=True), width=width, color=color, label=label)
    ax.set_xticks(range(len(rows)), [row["figure"].replace(" F1, ", "\n") for row in rows], fontsize=8)
    ax.set_ylabel("percent", fontsize=8)
    figure.legend(loc="outside upper center", fontsize=8, frameon=False, ncols=len(bars))
    _plain(ax)
    return _svg(figure, "ours against published systems")


def _grid(count: int, height: float) -> tuple[Figure, list]:
    """One small axis each; those of an unfilled last row are hidden."""
    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(2.25 * columns, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for ax in axes[:count]:
        _plain(ax)
    for ax in axes[count:]:
        ax.set_axis_off()
    return figure, axes


def _plain(ax) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=7)


def _svg(figure: Figure, label: str) -> str:
    """SVG with text as text and a label for screen readers. `label` also keeps the ids of two pictures apart."""
    text = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": label}):
        figure.savefig(text, format="svg", metadata=NO_METADATA)
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
