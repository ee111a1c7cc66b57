"""Does joint training help each task of the multi-task chest X-ray? All at once, each one alone, and all without skips.

    python benchmarks/experiments/joint_training.py run         # what has no result yet; stop and start it at any time
    python benchmarks/experiments/joint_training.py summarize   # the table, from the committed results
    python benchmarks/experiments/joint_training.py card FOLDER # writes the shipped model's card again, with the table

Every run trains by examples/cxr_multitask_ablation.yaml; only `tasks`, `use_skips` and `seed` differ. The encoder is
not warmed up on findings: what it sees, it learned from the tasks. An arm without a task has no figure for it.

Each result is one JSON in results/joint_training/; scores are on cases of the test split that no run has seen, each
with its 95 % bootstrap interval over cases. An interval says nothing of what training again would give: only more seeds
would (`seeds`); with several, a cell gives their mean and, in round brackets, the lowest and the highest.
"""

from pathlib import Path

from runner import Experiment, Results, Table, averaged, command_line, figure_of, markdown, shown

from hf_medreport.evaluation.phantom.films import evaluate_phantom
from hf_medreport.systems.cxr_multitask import recipe

CONFIG = Path("examples/cxr_multitask_ablation.yaml")
CASES, CASE_SEED = 500, 1
# arm -> the tasks that it learns, and whether its decoders have skips
ARMS = {
    "all tasks": (("reconstruction", "classification", "report"), True),
    "report alone": (("report",), True),
    "classification alone": (("classification",), True),
    "reconstruction alone": (("reconstruction",), True),
    "all tasks, no skips": (("reconstruction", "classification", "report"), False),
}
# figure -> (the task it belongs to, where it lies in the scores)
FIGURES = {
    "SSIM frontal": ("reconstruction", ("tasks", "frontal", "ssim")),
    "SSIM lateral": ("reconstruction", ("tasks", "lateral", "ssim")),
    "MSE frontal": ("reconstruction", ("tasks", "frontal", "mse")),
    "MSE lateral": ("reconstruction", ("tasks", "lateral", "mse")),
    "accuracy": ("classification", ("tasks", "classification", "accuracy")),
    "AUC": ("classification", ("tasks", "classification", "auc")),
    "exact-fact F1": ("report", ("exact", "f1")),
    "finding-kind F1": ("report", ("kind", "f1")),
    "BLEU-4": ("report", ("text", "bleu4")),
    "ROUGE-L": ("report", ("text", "rougeL")),
}
DECIMALS = {"MSE frontal": 5, "MSE lateral": 5}


def summary(results: Results) -> tuple[dict, str]:
    """Each figure of each arm, beside the baseline's, and the table of them."""
    rows = {arm: {figure: cell(arm, figure, of_arm) for figure in FIGURES} for arm, of_arm in results.items()}
    scored = [result for of_arm in results.values() for result in of_arm.values()]
    if scored:
        rows["baseline"] = baselines(scored[0]["scores"])
    return {"rows": rows}, markdown(table(rows))


def cell(arm: str, figure: str, results: dict[int, dict]) -> dict | None:
    """Mean, values and intervals of the seeds; None where the arm does not learn what the figure is about."""
    task, keys = FIGURES[figure]
    if task not in ARMS[arm][0]:
        return None
    return averaged([figure_of(result["scores"], keys) for result in results.values()])


def baselines(scores: dict) -> dict:
    """What stands beside each figure: the mean film, the majority's classification, the constant report."""
    tasks, constant = scores["tasks"], scores["constant_report"]
    found = {
        "SSIM frontal": tasks["frontal"]["mean_film"]["ssim"],
        "SSIM lateral": tasks["lateral"]["mean_film"]["ssim"],
        "MSE frontal": tasks["frontal"]["mean_film"]["mse"],
        "MSE lateral": tasks["lateral"]["mean_film"]["mse"],
        "accuracy": tasks["classification"]["majority"]["accuracy"],
        "AUC": 0.5,  # of a classification that is the same for all
        "exact-fact F1": constant["exact"]["f1"] or 0.0,
        "finding-kind F1": constant["kind"]["f1"] or 0.0,
        "BLEU-4": constant["text"]["bleu4"],
        "ROUGE-L": constant["text"]["rougeL"],
    }
    return {figure: {"value": value} for figure, value in found.items()}


def table(rows: dict) -> Table:
    """A head, and one row a figure with one cell an arm, blank where the arm does not learn it."""
    body = [
        [
            figure,
            *(
                "" if (found := cells[figure]) is None else shown(found, DECIMALS.get(figure, 3))
                for cells in rows.values()
            ),
        ]
        for figure in FIGURES
    ]
    return [["", *rows], *body]


experiment = Experiment(
    name="joint_training",
    system="cxr_multitask",
    arms={arm: (CONFIG, ["--tasks", *tasks, "--use_skips", str(skips)]) for arm, (tasks, skips) in ARMS.items()},
    seeds=(0,),
    cases={"cases": CASES, "case_seed": CASE_SEED},
    score=lambda arm, pipe: {"scores": evaluate_phantom(pipe, n=CASES, seed=CASE_SEED)},
    summary=summary,
    shipped=Path("examples/cxr_multitask_phantom.yaml"),
    caption="Tasks trained together and alone, smaller and shorter",
    table=table,
    recipe=recipe,
)

if __name__ == "__main__":
    command_line(experiment, __doc__)
