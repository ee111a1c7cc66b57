"""What do labels buy RadScribe, what does its mask do, and with which image encoder does it see?

    python benchmarks/experiments/label_modes.py run         # what has no result yet; stop and start it at any time
    python benchmarks/experiments/label_modes.py summarize   # the table, from the committed results
    python benchmarks/experiments/label_modes.py card FOLDER # writes the shipped model's card again, with the table

Every arm trains by examples/radscribe_ablation.yaml (the ViT's by radscribe_ablation_vit.yaml, which differs in the
image encoder alone); only `label_mode`, `mask_mode` and `seed` differ. The image encoder is not warmed up on findings.

- `oracle` is given the labels of the true report, in training and in scoring, as RadScribe is: it is a bound, not a
  result. Its blinded row, which sees noise and is given the labels all the same, is what leakage alone buys.
- `predicted` names them by its own head, which learns from the true labels: more supervision than `none` has.
- The mask arms are `predicted` ones; `legacy` shows RadScribe's inert mask.

Each result is one JSON in results/label_modes/; scores are on films of the test split that no run has seen, each with
its 95 % bootstrap interval over films. An interval says nothing of what training again would give: only more seeds
would (`seeds`); with several, a cell gives their mean and, in round brackets, the lowest and the highest.
"""

from pathlib import Path

from runner import Experiment, Results, Table, averaged, command_line, figure_of, markdown, shown

from hf_medreport.evaluation.phantom.films import evaluate_phantom
from hf_medreport.systems.radscribe import recipe

CONFIG, WITH_VIT = Path("examples/radscribe_ablation.yaml"), Path("examples/radscribe_ablation_vit.yaml")
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


def summary(results: Results) -> tuple[dict, str]:
    """Each figure of each arm, and the table of them."""
    rows = {
        arm: {
            figure: averaged([figure_of(result["scores"], keys) for result in of_arm.values()])
            for figure, keys in FIGURES.items()
        }
        for arm, of_arm in results.items()
    }
    return {"rows": rows}, markdown(table(rows))


def table(rows: dict) -> Table:
    """A head, and one row a figure with one cell an arm."""
    return [["", *rows], *([figure, *(shown(cells[figure]) for cells in rows.values())] for figure in FIGURES)]


experiment = Experiment(
    name="label_modes",
    system="radscribe",
    arms={arm: (config, ["--label_mode", labels, "--mask_mode", mask]) for arm, (labels, mask, config) in ARMS.items()},
    seeds=(0,),
    cases={"films": FILMS, "film_seed": FILM_SEED},
    score=lambda arm, pipe: {"scores": evaluate_phantom(pipe, n=FILMS, seed=FILM_SEED)},
    summary=summary,
    shipped=Path("examples/radscribe_phantom.yaml"),
    caption="Label modes, mask modes and image encoders, smaller and shorter",
    table=table,
    recipe=recipe,
)

if __name__ == "__main__":
    command_line(experiment, __doc__)
