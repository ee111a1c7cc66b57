"""Which metric notices a wrong side? A heat map of what metrics do to reports with exactly one fact changed.

python examples/metric_divergence.py --out examples/pictures/metric_divergence.png \
    --json benchmarks/results/metric_divergence.json
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from hf_medreport.evaluation.phantom.divergence import divergence, table
from hf_medreport.files.writing import write_json

# The rows of the picture, from counting words to reading facts; the JSON holds all.
SHOWN = ("bleu1", "bleu4", "sacrebleu4", "rouge1", "rougeL", "meteor", "cider", "cider_d", "token_f1")
SHOWN += ("chexpert_f1", "chexpert5_f1", "facts_f1", "facts_whole_f1")


def picture(figures: dict) -> plt.Figure:
    rows = [name for name in SHOWN if name in figures["metrics"]]
    figure, panels = plt.subplots(
        1, 2, figsize=(12, 0.38 * len(rows) + 2.4), width_ratios=(6, 7), sharey=True, layout="constrained"
    )
    figure.suptitle(
        f"Which metric notices a wrong side? {figures['n']} phantom reports, one fact of each changed", fontsize=13
    )
    figure.supxlabel(
        "facts_* read by rule what these reports are written from: exact here by construction, not on real reports",
        fontsize=9,
    )
    titles = {
        "below_paraphrase": "% of wrong reports that score below\na right one in other words (100: all)",
        "drop": "drop of the mean score in %,\nagainst the report itself (0: not noticed)",
    }
    for panel, (what, title) in zip(panels, titles.items(), strict=True):
        columns = list(figures["metrics"][rows[0]][what])
        values = 100 * np.array([[figures["metrics"][row][what][column] for column in columns] for row in rows])
        panel.imshow(values, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            panel.text(column, row, f"{value:.0f}", ha="center", va="center", color="white" if value > 60 else "black")
        panel.set_title(title, fontsize=10)
        panel.set_xticks(range(len(columns)), columns, rotation=20)
        panel.set_yticks(range(len(rows)), rows)
        panel.tick_params(length=0)
        if "paraphrase" in columns:
            panel.axvline(len(columns) - 1.5, color="black", linewidth=1)
    return figure


def main(n: int, seed: int, out: Path, json_out: Path | None) -> None:
    figures = divergence(n, seed, progress=lambda rows: tqdm(rows, desc="metrics"))
    print(table(figures))
    if json_out:
        command = f"python examples/metric_divergence.py --n {n} --seed {seed}"
        write_json(json_out, figures | {"command": command}, indent=1)
    out.parent.mkdir(parents=True, exist_ok=True)
    picture(figures).savefig(out, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200, help="films")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("metric_divergence.png"))
    parser.add_argument("--json", type=Path, help="where the figures go")
    args = parser.parse_args()
    main(args.n, args.seed, args.out, args.json)
