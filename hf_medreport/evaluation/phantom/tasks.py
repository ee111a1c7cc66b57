"""Score the tasks of a multi-task model beside its report: two reconstructed films, and normal or abnormal.

Drawn pairs of films tell both truths: the film itself, and whether it was drawn from any finding. A reconstructed film
is compared with what the encoder saw, after the crop, and beside it stands `mean_film`: the mean of these very targets,
which is what a model draws that looks at nothing and hits the middle. Beside the classification stands `majority`, see
`classification`; and the classification of either film alone, the other's latent being the learned substitute.
"""

from collections.abc import Iterator

import numpy as np
import torch
from tqdm import tqdm

from hf_medreport.evaluation.classification import classification_figures, majority_figures
from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.inference.loading import model_name
from hf_medreport.inference.read_pairs import VIEWS
from hf_medreport.modeling.structural_similarity import structural_similarity
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import system_of

__all__ = ["evaluate_multitask", "tasks_table"]

INPUTS = {"frontal": "pixel_values", "lateral": "lateral_pixel_values"}
LIKENESSES = ("ssim", "mse")
ONE_VIEW_FIGURES = ("accuracy", "auc")
DIGITS = {"mse": 5}  # a good one is 0.0005; 3 for the others


def evaluate_multitask(
    pipe: MedicalReportPipeline,
    *,
    n: int = 200,
    seed: int = 1,
    split: str = "test",
    prevalence: str | None = None,
    batch_size: int = 50,
    progress: bool = True,
) -> dict:
    """Reconstructions and classifications of phantom cases, against the films and whether these show any finding.

    Args:
        pipe: from `hf_medreport.inference.loading.load`, with a model that reconstructs its films.
        n, seed, split, prevalence: of `ChestCorpus`; both films of a case are drawn at the size that the model reads.
        batch_size: cases a pass.

    Returns:
        `frontal` and `lateral`: `ssim` and `mse`, the means over cases, and the same of `mean_film`; `classification`:
        `accuracy`, `auc`, `brier`, `calibration_error`, `sensitivity`, `specificity`, the `prevalence` of abnormal
        cases, `majority` (accuracy and brier), and accuracy and auc of `frontal_alone` and `lateral_alone`. Each has
        its `intervals`: {figure: [low, high]}, the 95 % percentile bootstrap over cases (1,000 resamples), None where
        the figure is. Beside them `n`, `seed`, `split`, `prevalence`, `model`, and the `command` that prints the same.

    Raises:
        InputError: a model of another kind, an unknown split or prevalence, a number of cases below 1, or a model
            whose classifications are no numbers.
    """
    if system_of(pipe.model).reads != "pair":
        found = f"model_type '{pipe.model.config.model_type}'"
        remedy = "give a model that reconstructs its films"
        raise InputError(model_name(pipe), found, "a model of film pairs", remedy)
    size = pipe.processor.image_processor.size
    corpus = ChestCorpus(n=n, seed=seed, size=size, split=split, prevalence=prevalence, lateral=True)
    passes = list(_passes(pipe, corpus, batch_size, progress))
    columns = {name: np.concatenate([each[name] for each in passes]) for name in passes[0]}
    flags = f"--n {n} --seed {seed} --split {split}" + (f" --prevalence {prevalence}" if prevalence else "")
    return {
        "n": n,
        **{view: _likeness(columns, view) for view in VIEWS},
        "classification": _classification(columns),
        "seed": seed,
        "split": split,
        "prevalence": corpus.prevalence,
        "model": model_name(pipe),
        "command": f"hf-medreport evaluate phantom --model {model_name(pipe)} {flags} --json",
    }


@torch.no_grad()
def _passes(
    pipe: MedicalReportPipeline, corpus: ChestCorpus, batch_size: int, progress: bool
) -> Iterator[dict[str, np.ndarray]]:
    """What the model makes of a batch of cases at a time: columns (cases, ...)."""
    for start in tqdm(range(0, len(corpus), batch_size), desc="reconstructing phantom films", disable=not progress):
        cases = [corpus[index] for index in range(start, min(start + batch_size, len(corpus)))]
        inputs = pipe.preprocess([{"frontal": case.image, "lateral": case.lateral.image} for case in cases])
        inputs = {name: value.to(pipe.device) for name, value in inputs.items()}
        output = pipe.model(**inputs)
        columns = {"label": np.array([int(bool(case.facts)) for case in cases])}
        columns["both"] = _probabilities(output)
        for view, name in INPUTS.items():
            columns[f"{view}_alone"] = _probabilities(pipe.model(**{name: inputs[name]}, reconstruct=False))
            drawn, target = output[f"{view}_reconstruction"].float(), output[f"{view}_target"].float()
            columns |= {f"{view}_{key}": value for key, value in _compared(drawn, target).items()}
            # A drawn film is gray: one of three equal channels is kept for the mean film.
            columns[f"{view}_target"] = target[:, :1].cpu().numpy()
        yield columns


def _probabilities(output) -> np.ndarray:
    return output.abnormal_logits.float().sigmoid().cpu().numpy()


def _compared(drawn: torch.Tensor, target: torch.Tensor) -> dict[str, np.ndarray]:
    """SSIM and mean squared error of each pair of pictures (cases, channels, size, size) in [0, 1]."""
    likeness = {"ssim": structural_similarity(drawn, target), "mse": (drawn - target).square().mean(dim=(1, 2, 3))}
    return {name: values.cpu().numpy() for name, values in likeness.items()}


def _likeness(columns: dict[str, np.ndarray], view: str) -> dict:
    """The figures of one view's reconstructed films, and of the mean film in their place."""
    targets = torch.from_numpy(columns[f"{view}_target"])
    mean = targets.mean(dim=0, keepdim=True)
    of_mean = [_compared(mean, target) for target in targets.split(1)]  # one at a time: n blurred films are many
    of_mean = {name: np.concatenate([each[name] for each in of_mean]) for name in LIKENESSES}
    figures = _means({name: columns[f"{view}_{name}"] for name in LIKENESSES})
    return {**figures, "mean_film": _means(of_mean)}


def _means(columns: dict[str, np.ndarray]) -> dict:
    intervals = {name: list(bootstrap_interval(values)) for name, values in columns.items()}
    return {**{name: float(values.mean(dtype=float)) for name, values in columns.items()}, "intervals": intervals}


def _classification(columns: dict[str, np.ndarray]) -> dict:
    labels = columns["label"]
    alone = {
        name: classification_figures(columns[name], labels, ONE_VIEW_FIGURES) for name in map("{}_alone".format, VIEWS)
    }
    return {
        **classification_figures(columns["both"], labels),
        "prevalence": float(labels.mean()),
        "majority": majority_figures(labels),
        **alone,
    }


def tasks_table(tasks: dict) -> str:
    """The figures of `evaluate_multitask`, and of its baselines beside them, as lines of text."""
    classification = tasks["classification"]
    lines = [[f"{tasks['n']} cases", "model", "mean film"]]
    for view in VIEWS:
        lines += [[f"{view} {name}", *_cells(name, tasks[view], tasks[view]["mean_film"])] for name in LIKENESSES]
    lines += [["", "", ""], ["classification", "model", "majority"]]
    for name in classification["intervals"]:
        baseline = [classification["majority"]] if name in classification["majority"] else []
        lines.append([name.replace("_", " "), *_cells(name, classification, *baseline)])
    for view in VIEWS:
        lines += [
            [f"{name}, {view} alone", *_cells(name, classification[f"{view}_alone"])] for name in ONE_VIEW_FIGURES
        ]
    lines.append(["share of abnormal cases", f"{classification['prevalence']:.3f}"])
    return "\n".join("".join(f"{cell:30}" for cell in line).rstrip() for line in lines)


def _cells(name: str, *reporters: dict) -> list[str]:
    """A figure of each, with its interval where it has one."""
    cells, digits = [], DIGITS.get(name, 3)
    for scores in reporters:
        figure, interval = scores[name], scores.get("intervals", {}).get(name)
        bounds = f" [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]" if interval else ""
        cells.append("undefined" if figure is None else f"{figure:.{digits}f}{bounds}")
    return cells
