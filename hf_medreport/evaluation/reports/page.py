"""The evaluation as one HTML page that a reviewer can read: nothing is loaded from outside, nothing runs.

It holds the texts of the worst reports. What `scores.json` and the card fragment hold is figures only.
"""

from html import escape

import numpy as np
from scipy.stats import rankdata

from hf_medreport.evaluation.reports.differences import differences
from hf_medreport.evaluation.reports.plots import bar_plot, distribution_plot, published_plot
from hf_medreport.evaluation.reports.published import DATA, compares, published_rows
from hf_medreport.evaluation.reports.scoring import Evaluation

__all__ = ["WORST", "evaluation_page", "worst_samples"]

WORST = 12  # samples shown
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #202124; background: #fff; max-width: 62rem; margin: 2rem auto;
  padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.under { color: #5f6368; margin-top: 0; }
table { border-collapse: collapse; width: 100%; } caption { text-align: left; color: #5f6368; padding: .3rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #e0e3e7; }
td.number { white-space: nowrap; font-variant-numeric: tabular-nums; } td.small { font-size: .82rem; color: #5f6368; }
div.wide { overflow-x: auto; } svg { max-width: 100%; height: auto; }
article { border: 1px solid #e0e3e7; border-radius: 6px; padding: .6rem 1rem; margin: .8rem 0; break-inside: avoid; }
article h3 { font-size: 1rem; margin: 0; }
article p { margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
del { background: #fde2c8; text-decoration: underline dotted; } ins { background: #cfe5f8; text-decoration: underline; }
"""
# Whatever stands in a report, the page loads nothing and runs nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def evaluation_page(evaluation: Evaluation, dataset: str = "") -> str:
    """The page's HTML; published figures stand on it where the data set is theirs, see `published.compares`."""
    name, other = evaluation.pairs.name, evaluation.compared and evaluation.compared.name
    parts = [
        f"<h1>{escape(name)}</h1>",
        f'<p class="under">{escape("; ".join(evaluation.remarks()))}</p>',
        "<h2>Figures</h2>",
        _figures(evaluation),
    ]
    if evaluation.per_report():
        parts += [
            "<h2>Distribution over the reports</h2>",
            f'<p class="under">Filled: {escape(name)}.{f" Outline: {escape(other)}." if other else ""}</p>',
            f'<div class="wide">{distribution_plot(evaluation)}</div>',
        ]
    if other:
        parts += [
            f"<h2>Beside {escape(other)}</h2>",
            '<p class="under">Lines: intervals. Star: the difference holds at 0.05 after Holm.</p>',
            f'<div class="wide">{bar_plot(evaluation)}</div>',
        ]
    if compares(dataset, evaluation.section):
        parts += ["<h2>Ours against published systems</h2>", _published(evaluation)]
    if evaluation.per_report():
        parts += [
            "<h2>Worst reports</h2>",
            '<p class="under">By the mean of their ranks over the metrics. <del>Only in the reference</del>, '
            "<ins>only in the prediction</ins>; case and punctuation are not compared.</p>",
            *(_sample(evaluation, index) for index in worst_samples(evaluation)),
        ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(name)}: evaluation</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def worst_samples(evaluation: Evaluation, count: int = WORST) -> list[int]:
    """Indices of the samples with the lowest mean rank over the metrics, worst first; of equals the earlier one.

    Metrics that give a report no value of its own do not count; none where there are only such.
    """
    ranks = [rankdata(result.score.per_sample, nan_policy="omit") for result in evaluation.per_report().values()]
    if not ranks:
        return []
    ranks = np.nan_to_num(np.array(ranks), nan=len(evaluation.pairs))  # an undefined value is no fault
    return np.argsort(ranks.mean(axis=0), kind="stable")[:count].tolist()


def _figures(evaluation: Evaluation) -> str:
    level = f"{evaluation.settings.level:.0%}"
    head = ["metric", f"{evaluation.pairs.name} [{level} interval]"]
    if evaluation.compared:
        head += [f"{evaluation.compared.name} [{level} interval]", "p", "p (Holm)"]
    rows = []
    for name, result in evaluation.results.items():
        row = [(name, "name"), (result.shown(), "number")]
        if evaluation.compared:
            row.append((result.shown_other(), "number"))
            row += [("undefined" if p is None else f"{p:.4f}", "number") for p in (result.p, result.p_holm)]
        rows.append([*row, (result.score.convention, "small")])
    settings = evaluation.settings
    caption = f"Intervals: bootstrap over the reports, {settings.resamples} resamples, seed {settings.seed}."
    if evaluation.compared:
        caption += f" p: paired approximate randomisation, {settings.randomizations} swappings."
    return _table([*head, "convention"], rows, caption)


def _published(evaluation: Evaluation) -> str:
    rows = published_rows({name: result.score.value for name, result in evaluation.results.items()})
    cells = [
        [
            (row["figure"], "name"),
            ("not run" if row["ours"] is None else f"{row['ours']:.2f} ({row['metric']})", "number"),
            ("; ".join(f"{system} {percent:.2f}" for system, percent in row["systems"].items()), "number"),
        ]
        for row in rows
    ]
    caption = (
        f"Published figures are of the {DATA}, in percent, as the thesis prints them. They compare with "
        "ours only on the same reports and by the same labeler: ours is a set of rules, theirs CheXbert."
    )
    table = _table(["figure", evaluation.pairs.name, "published"], cells, caption)
    return f'{table}\n<div class="wide">{published_plot(rows)}</div>'


def _table(head: list[str], rows: list[list[tuple[str, str]]], caption: str) -> str:
    """Rows of (text, class of the cell)."""
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    for row in rows:
        cells = "".join(f'<td class="{kind}">{escape(text)}</td>' for text, kind in row)
        lines.append(f"<tr>{cells}</tr>")
    return f'<div class="wide"><table><caption>{escape(caption)}</caption>\n' + "\n".join(lines) + "</table></div>"


def _sample(evaluation: Evaluation, index: int) -> str:
    pairs = evaluation.pairs
    results = evaluation.per_report()
    values = ", ".join(f"{name} {result.score.per_sample[index]:.3f}" for name, result in results.items())
    reference, prediction = differences(pairs.references[index][0], pairs.predictions[index])
    more = len(pairs.references[index]) - 1
    return (
        f"<article><h3>{escape(pairs.ids[index])}</h3>"
        f'<p class="under">{escape(values)}</p>'
        f"<p><b>Reference{f' (the first of {more + 1})' if more else ''}:</b> {_marked(reference, 'del')}</p>"
        f"<p><b>Prediction:</b> {_marked(prediction, 'ins') or '<i>empty</i>'}</p></article>"
    )


def _marked(runs: list[tuple[str, bool]], tag: str) -> str:
    parts = []
    for text, lacking in runs:
        words = escape(text.lstrip())
        parts += [escape(text[: len(text) - len(text.lstrip())]), f"<{tag}>{words}</{tag}>" if lacking else words]
    return "".join(parts)
