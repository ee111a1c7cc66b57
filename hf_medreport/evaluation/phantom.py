"""Score a report model on films whose truth is known, beside two reporters that see nothing.

`constant_report` calls every film normal. `blinded` is the model itself, shown noise in place of each film: what it
still gets right, it knows from the habits of reports. A model's figure says how well it sees only beside these.
"""

import numpy as np
from tqdm import tqdm

from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.inference.report import model_name, needs_masks
from hf_medreport.phantom.corpus import ChestCase, ChestCorpus
from hf_medreport.phantom.parser import parse_report
from hf_medreport.phantom.score import figures, film_counts, measure

__all__ = ["INTERVALS", "evaluate_phantom", "phantom_counts", "score_table"]

# The figures that get an interval.
INTERVALS = ("exact.f1", "kind.f1", "hallucination_rate", "wrong_side_rate")
# The figures that `score_table` shows.
SHOWN = (
    *(f"{level}.{name}" for level in ("exact", "kind") for name in ("precision", "recall", "f1", "macro.f1")),
    *("hallucination_rate", "wrong_side_rate", "wrong_zone_rate", "wrong_severity_rate"),
    *("size_error_mm", "wrong_number_rate", "wrong_certainty_rate"),
)


def phantom_counts(pipe, corpus: ChestCorpus, *, batch_size: int = 50, progress: bool = True) -> dict[str, np.ndarray]:
    """What each film adds to the scores; for `figures`, `bootstrap_interval` and `paired_randomisation`.

    Args:
        pipe: from `hf_medreport.inference.loading.load`; a model that has no segmenter is given the true masks.
        corpus: films at the model's image size.
        batch_size: films a pass.

    Returns:
        `film_counts`, (films, kinds, counts), of "model", "blinded" and "constant_report".
    """
    stated, truth = {"model": [], "blinded": []}, []
    for start in tqdm(range(0, len(corpus), batch_size), desc="reporting phantom films", disable=not progress):
        indices = range(start, min(start + batch_size, len(corpus)))
        cases = [corpus[index] for index in indices]
        truth += [frozenset(case.facts) for case in cases]
        noise = [noise_like(case.image, corpus.seed, index) for index, case in zip(indices, cases, strict=True)]
        stated["model"] += _report(pipe, [case.image for case in cases], cases, sees=True)
        stated["blinded"] += _report(pipe, noise, cases, sees=False)
    stated["constant_report"] = [frozenset()] * len(truth)
    return {reporter: film_counts(facts, truth) for reporter, facts in stated.items()}


def _report(pipe, films: list[np.ndarray], cases: list[ChestCase], sees: bool) -> list[frozenset]:
    """What the model states of each film."""
    if needs_masks(pipe):
        # A true mask would tell a blinded model the size of the heart: it gets an empty one.
        masks = [(case.lungs | case.heart) & sees for case in cases]
        films = [{"frontal": film, "mask": mask} for film, mask in zip(films, masks, strict=True)]
    records = pipe(films, batch_size=len(films))
    return [parse_report(record[0]["generated_text"]) for record in records]


def noise_like(film: np.ndarray, seed: int, index: int) -> np.ndarray:
    """Noise of the film's size, type, mean and standard deviation; another for every (seed, index)."""
    noise = np.random.default_rng((seed, index)).normal(film.mean(), film.std(), film.shape)
    return noise.round().clip(0, np.iinfo(film.dtype).max).astype(film.dtype)


def evaluate_phantom(
    pipe,
    *,
    n: int = 200,
    seed: int = 1,
    split: str = "test",
    prevalence: str | None = None,
    batch_size: int = 50,
    progress: bool = True,
) -> dict:
    """Facts that the model states in its reports of phantom films, against the facts that the films were drawn from.

    Args:
        pipe: from `hf_medreport.inference.loading.load`; a model that has no segmenter is given the true masks.
        n, seed, split, prevalence: of `ChestCorpus`; the films are drawn at the model's image size.
        batch_size: films a pass.

    Returns:
        the figures of `score_facts` (n, exact, kind, hallucination_rate, wrong_side_rate, ...) and `intervals`:
        {figure: [low, high]}, the 95 % percentile bootstrap over films (1,000 resamples), None where the figure is.
        Beside them `seed`, `split`, `prevalence`, `model`, the `command` that prints the same, and the same figures
        with intervals of `constant_report` (every film called normal) and `blinded` (the model shown noise).

    Raises:
        InputError: an unknown split or prevalence, or a number of films below 1.
    """
    size = pipe.processor.image_processor.size
    corpus = ChestCorpus(n=n, seed=seed, size=size, split=split, prevalence=prevalence)
    counts = phantom_counts(pipe, corpus, batch_size=batch_size, progress=progress)
    scores = {reporter: _scores(rows) for reporter, rows in counts.items()}
    flags = f"--n {n} --seed {seed} --split {split}" + (f" --prevalence {prevalence}" if prevalence else "")
    return {
        **scores.pop("model"),
        "seed": seed,
        "split": split,
        "prevalence": corpus.prevalence,
        "model": model_name(pipe),
        "command": f"hf-medreport evaluate phantom --model {model_name(pipe)} {flags} --json",
        **scores,
    }


def _scores(counts: np.ndarray) -> dict:
    """`score_facts` of counted films, with intervals."""
    intervals = {name: bootstrap_interval(counts, lambda means, name=name: measure(means, name)) for name in INTERVALS}
    return {
        "n": len(counts),
        **figures(counts.sum(axis=0)),
        "intervals": {name: interval and list(interval) for name, interval in intervals.items()},
    }


def score_table(scores: dict, shown: tuple[str, ...] = SHOWN, unit: str = "films") -> str:
    """The figures of an evaluation, and of its baselines beside them, as lines of text.

    Args:
        scores: of `evaluate_phantom`, or of another evaluation with the same baselines.
        shown: the figures' ways in there, joined by dots.
        unit: what was reported.
    """
    reporters = {"model": scores, "blinded": scores["blinded"], "constant report": scores["constant_report"]}
    rows = [
        [name.replace("_", " ").replace(".", " "), *(_cell(of, name) for of in reporters.values())] for name in shown
    ]
    head = [f"{scores['n']} {unit}", *(name.replace("_", " ") for name in reporters)]
    width = max(24, 2 + max(len(row[0]) for row in rows))
    lines = (f"{row[0]:{width}}" + "".join(f"{cell:24}" for cell in row[1:]) for row in [head, *rows])
    return "\n".join(line.rstrip() for line in lines)


def _cell(scores: dict, name: str) -> str:
    figure = scores
    for step in name.split("."):
        figure = figure[step]
    if figure is None:
        return "undefined"
    interval = scores["intervals"].get(name)
    return f"{figure:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")
