"""Score a report model on films whose truth is known, beside two reporters that see nothing.

`constant_report` calls every film normal. `blinded` is the model itself, shown noise in place of each film: what it
still gets right, it knows from the habits of reports. A model's figure says how well it sees only beside these.

A model of pairs is shown the frontal and the lateral film of each case. Where a system's row names metrics of text, its
words are scored too, as its source did, where `constant_report` is a text: the most frequent one in training; and where
it names other tasks, so are these.

A model that is given labels says `labels`: "oracle" are the true ones, which the blinded reporter is given too, so that
what it gets right is what they give away; "predicted" are its own, which are scored as well, see `given_labels`.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from tqdm import tqdm

from hf_medreport.evaluation.clinical.label_scores import FIGURES
from hf_medreport.evaluation.phantom.keeping import Keeper, in_one_line, written_of
from hf_medreport.evaluation.phantom.labels import LABEL_WORDS, label_head_interval, score_label_head, scored_labels
from hf_medreport.evaluation.registry import metric
from hf_medreport.evaluation.reports.resampling import FIGURE, resampled
from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.inference.loading import model_name
from hf_medreport.phantom.chest.corpus import ChestCase, ChestCorpus
from hf_medreport.phantom.chest.film import MIN_SIZE
from hf_medreport.phantom.chest.findings import observations
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.phantom.chest.score import figures, film_counts, measure
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import named, system_of

__all__ = ["INTERVALS", "constant_text", "evaluate_phantom", "phantom_counts", "score_table"]

# The figures that get an interval.
INTERVALS = ("exact.f1", "kind.f1", "hallucination_rate", "wrong_side_rate")
# The figures that `score_table` shows.
SHOWN = (
    *(f"{level}.{name}" for level in ("exact", "kind") for name in ("precision", "recall", "f1", "macro.f1")),
    *("hallucination_rate", "wrong_side_rate", "wrong_zone_rate", "wrong_severity_rate"),
    *("size_error_mm", "wrong_number_rate", "wrong_certainty_rate"),
)
# What a model that names the labels of a film is scored by beside the facts.
LABEL_HEAD = tuple(f"label_head.{average}.{name}" for average in ("micro", "macro") for name in FIGURES)
TRAINING_REPORTS = 500  # among which the constant text is the most frequent


@dataclass
class Written:
    """What was written of a corpus, each list in the order of its cases.

    Attributes:
        reports: of "model" and "blinded".
        truth: the facts that the films were drawn from.
        references: the true reports.
        labels: the true CheXpert labels.
        given: the labels that "model" and "blinded" were given; empty lists of a model that is given none.
    """

    reports: dict[str, list[str]]
    truth: list[frozenset]
    references: list[str]
    labels: list[list[str]]
    given: dict[str, list[list[str]]]

    def counts(self) -> dict[str, np.ndarray]:
        """As `phantom_counts` returns them."""
        stated = {name: [parse_report(text) for text in texts] for name, texts in self.reports.items()}
        stated["constant_report"] = [frozenset()] * len(self.truth)
        return {reporter: film_counts(facts, self.truth) for reporter, facts in stated.items()}


def phantom_counts(
    pipe: MedicalReportPipeline,
    corpus: ChestCorpus,
    *,
    labels: str | None = None,
    batch_size: int = 50,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """What each film adds to the scores; for `figures`, `bootstrap_interval` and `paired_randomisation`.

    Args:
        pipe: from `hf_medreport.inference.loading.load`; a model that has no segmenter is given the true masks.
        corpus: films at the model's image size.
        labels: as in `evaluate_phantom`.
        batch_size: films a pass.

    Returns:
        `film_counts`, (films, kinds, counts), of "model", "blinded" and "constant_report".
    """
    return phantom_reports(pipe, corpus, labels=labels, batch_size=batch_size, progress=progress).counts()


def phantom_reports(
    pipe: MedicalReportPipeline,
    corpus: ChestCorpus,
    *,
    labels: str | None = None,
    batch_size: int = 50,
    progress: bool = True,
    run: Keeper | None = None,
) -> Written:
    """What the model writes of each film, and of noise in its place; arguments as in `phantom_counts`.

    Args:
        run: keeps what was written, and knows what an earlier run has written.
    """
    labels = scored_labels(pipe, labels)
    written = Written({"model": [], "blinded": []}, [], [], [], {"model": [], "blinded": []})
    for start in tqdm(range(0, len(corpus), batch_size), desc="reporting phantom films", disable=not progress):
        cases = {index: corpus[index] for index in range(start, min(start + batch_size, len(corpus)))}
        written.truth += [frozenset(case.facts) for case in cases.values()]
        written.references += [case.report for case in cases.values()]
        written.labels += [observations(case.facts) for case in cases.values()]

        def write(indices: list[int], cases=cases) -> list[dict]:
            return _write(pipe, corpus.seed, {index: cases[index] for index in indices}, labels)

        for record in written_of(cases, write, run):
            for reporter in written.reports:
                written.reports[reporter].append(record[reporter])
                written.given[reporter].append(record["given"][reporter])
    return written


def _write(pipe: MedicalReportPipeline, seed: int, cases: dict[int, ChestCase], labels: str | None) -> list[dict]:
    """Of each case what "model" and "blinded" write, and the labels that they were `given`."""
    films = [films_of(case) for case in cases.values()]
    noise = [
        {view: noise_like(film, seed, index, number) for number, (view, film) in enumerate(of_case.items())}
        for index, of_case in zip(cases, films, strict=True)
    ]
    seen = _report(pipe, films, list(cases.values()), labels, sees=True)
    blind = _report(pipe, noise, list(cases.values()), labels, sees=False)
    pairs = [{"model": one, "blinded": other} for one, other in zip(seen, blind, strict=True)]
    return [
        {name: record["generated_text"] for name, record in pair.items()}
        | {"given": {name: record.get("labels", []) for name, record in pair.items()}}
        for pair in pairs
    ]


def films_of(case: ChestCase) -> dict[str, np.ndarray]:
    """The films of a case by view: frontal and, where it was drawn, lateral."""
    return {"frontal": case.image} | ({} if case.lateral is None else {"lateral": case.lateral.image})


def _report(
    pipe: MedicalReportPipeline, films: list[dict], cases: list[ChestCase], labels: str | None, sees: bool
) -> list[dict]:
    """The pipeline's record of each case's films; `labels` as `scored_labels` returns them."""
    if pipe.model.takes().get("mask") == "required":
        # A true mask would tell a blinded model the size of the heart: it gets an empty one.
        masks = [(case.lungs | case.heart) & sees for case in cases]
        films = [of_case | {"mask": mask} for of_case, mask in zip(films, masks, strict=True)]
    elif labels == "oracle":
        films = [of_case | {"labels": observations(case.facts)} for of_case, case in zip(films, cases, strict=True)]
    return [record for (record,) in pipe(films, batch_size=len(films))]


def noise_like(film: np.ndarray, seed: int, index: int, view: int = 0) -> np.ndarray:
    """Noise of the film's size, type, mean and standard deviation; another for every (seed, index, view)."""
    noise = np.random.default_rng((seed, index, view)).normal(film.mean(), film.std(), film.shape)
    return noise.round().clip(0, np.iinfo(film.dtype).max).astype(film.dtype)


@lru_cache(maxsize=1)
def constant_text() -> str:
    """The most frequent report among the first 500 of the training split with seed 0, of equally frequent ones the
    first: a normal one. The grammar words normal findings in many ways, so it is a weaker baseline here than on
    hospitals' impressions, more than half of which repeat an earlier one."""
    corpus = ChestCorpus(n=TRAINING_REPORTS, seed=0, size=MIN_SIZE, split="train")
    return Counter(corpus[index].report for index in range(len(corpus))).most_common(1)[0][0]


def evaluate_phantom(
    pipe: MedicalReportPipeline,
    *,
    n: int = 200,
    seed: int = 1,
    split: str = "test",
    prevalence: str | None = None,
    labels: str | None = None,
    batch_size: int = 50,
    progress: bool = True,
    run: Keeper | None = None,
) -> dict:
    """Facts that the model states in its reports of phantom films, against the facts that the films were drawn from.

    Args:
        pipe: from `hf_medreport.inference.loading.load`; a model that has no segmenter is given the true masks.
        n, seed, split, prevalence: of `ChestCorpus`; the films are drawn at the model's image size.
        labels: that the model is given: `"oracle"`, the true ones, or `"predicted"`, its own; None: as its label_mode.
        batch_size: films a pass.
        run: keeps what was written of each film, and knows what an earlier run has written; what a row's other tasks
            do is done anew.

    Returns:
        the figures of `score_facts` (n, exact, kind, hallucination_rate, wrong_side_rate, ...) and `intervals`:
        {figure: [low, high]}, the 95 % percentile bootstrap over films (1,000 resamples), None where the figure is.
        Beside them `seed`, `split`, `prevalence`, `model`, the `command` that prints the same, and the same figures
        with intervals of `constant_report` (every film called normal) and `blinded` (the model shown noise).
        Where the system's row names metrics of text, the model and its baselines have `text` too: each metric, from 0
        to 1, with an interval where it is a mean over reports (`token_f1` and `chexpert_f1` are of the whole set);
        `constant_report` there is `constant_text`, which stands beside them as `report`. Where the row names other
        tasks, `tasks` is what their function returns for the same cases.
        Of a model that takes labels, `labels` stands at the top: "none", "predicted" or "oracle". Where they are
        predicted, it and its baselines have `label_head`: what `score_label_head` returns, with an interval of micro
        F1; `constant_report` names nothing.

    Raises:
        InputError: an unknown split or prevalence, a number of films below 1, or labels that the model cannot be scored
            with.
        CaseError: the model fails on some film, see `keeping.written_of`.
    """
    told = scored_labels(pipe, labels)
    size = pipe.processor.image_processor.size
    row = system_of(pipe.model)
    drawn = {"n": n, "seed": seed, "split": split, "prevalence": prevalence}
    corpus = ChestCorpus(**drawn, size=size, lateral=row.reads == "pair")
    written = phantom_reports(pipe, corpus, labels=labels, batch_size=batch_size, progress=progress, run=run)
    scores = {reporter: _scores(rows) for reporter, rows in written.counts().items()}
    tasks = {}
    if row.text_metrics:
        _add_text_scores(scores, written, row.text_metrics)
    if row.tasks:
        with in_one_line("other tasks"):
            tasks["tasks"] = named(row.tasks[0])(pipe, **drawn, batch_size=batch_size, progress=progress)
    if told == "predicted":
        _add_label_scores(scores, written)
    flags = f"--n {n} --seed {seed} --split {split}" + (f" --prevalence {prevalence}" if prevalence else "")
    flags += f" --labels {labels}" if labels else ""
    return {
        **({} if told is None else {"labels": told}),
        **scores.pop("model"),
        **tasks,
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


def _add_text_scores(scores: dict[str, dict], written: Written, names: tuple[str, ...]) -> None:
    """Add `text` and its intervals to each reporter's scores."""
    constant = constant_text()
    for reporter, texts in {**written.reports, "constant_report": [constant] * len(written.truth)}.items():
        scores[reporter]["text"] = {}
        for name in names:
            row = metric(name)
            score = row(texts, written.references)
            scores[reporter]["text"][name] = score.value
            rows = resampled(row, score, texts, written.references)
            if rows.of == FIGURE:  # an interval of the mean over reports says nothing of a figure of the set
                scores[reporter]["intervals"][f"text.{name}"] = list(rows.interval())
    scores["constant_report"]["text"]["report"] = constant


def _add_label_scores(scores: dict[str, dict], written: Written) -> None:
    """Add `label_head` and its interval to each reporter's scores."""
    for reporter, labels in {**written.given, "constant_report": [[]] * len(written.truth)}.items():
        scores[reporter]["label_head"] = score_label_head(labels, written.labels)
        scores[reporter]["intervals"]["label_head.micro.f1"] = label_head_interval(labels, written.labels)


def score_table(scores: dict, shown: tuple[str, ...] = SHOWN, unit: str = "films") -> str:
    """The figures of an evaluation, and of its baselines beside them, as lines of text.

    Args:
        scores: of `evaluate_phantom`, or of another evaluation with the same baselines.
        shown: the figures' ways in there, joined by dots.
        unit: what was reported.
    """
    shown += tuple(f"text.{name}" for name in scores.get("text", ()))
    shown += LABEL_HEAD if "label_head" in scores else ()
    reporters = {"model": scores, "blinded": scores["blinded"], "constant report": scores["constant_report"]}
    rows = [
        [name.replace("_", " ").replace(".", " "), *(_cell(of, name) for of in reporters.values())] for name in shown
    ]
    head = [f"{scores['n']} {unit}", *(name.replace("_", " ") for name in reporters)]
    width = max(24, 2 + max(len(row[0]) for row in rows))
    lines = (f"{row[0]:{width}}" + "".join(f"{cell:24}" for cell in row[1:]) for row in [head, *rows])
    told = [LABEL_WORDS[scores["labels"]]] if "labels" in scores else []
    return "\n".join([*told, *(line.rstrip() for line in lines)])


def _cell(scores: dict, name: str) -> str:
    figure = scores
    for step in name.split("."):
        figure = figure[step]
    if figure is None:
        return "undefined"
    interval = scores["intervals"].get(name)
    return f"{figure:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")
