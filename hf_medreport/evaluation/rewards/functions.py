"""Reward functions as TRL's trainers call them: `f(prompts, completions, **columns) -> list[float | None]`.

    GRPOTrainer(..., reward_funcs=report_reward())                              # the composite reward, [-1, 1]
    GRPOTrainer(..., reward_funcs=[report_reward("rougeL"), report_reward("chexpert_f1")])

The data set needs a column `reference`. A row without a reference (None, or no word) gets None, which TRL leaves out of
its sum. The composite cannot be earned by saying nothing, or the same of every film (`composite`); a metric alone can:
the F1 of labels is 1 where neither text has any, so an empty report of a normal film earns all of it.

A metric that counts over the set it is given, as CIDEr its document frequencies, would judge a report by its neighbors
in the batch: it is refused unless its frequencies are given. So is a macro figure, which gives no
report a value of its own.
"""

from collections.abc import Callable, Iterable

import numpy as np

from hf_medreport.evaluation.registry import METRICS, metric
from hf_medreport.evaluation.rewards.composite import composite
from hf_medreport.evaluation.rewards.validity import known_of, words_of
from hf_medreport.files.nearest import did_you_mean
from hf_medreport.processing.input_error import InputError

__all__ = ["COMPOSITES", "completion_text", "report_reward"]

OF_THE_SET = ("text.cider:cider",)  # functions whose per-sample values depend on the other samples
COMPOSITES = {"composite": "chest", "slide_composite": "slide"}  # name -> kind of reports


def report_reward(
    name: str = "composite", *, column: str = "reference", scale: float = 1.0, texts: Iterable[str] = (), **options
) -> Callable:
    """The reward function of that name, under which TRL logs it.

    Args:
        name: `"composite"` of chest reports, `"slide_composite"` of pathology reports, or a metric of the registry.
        column: of the data set, that holds a report's reference or list of references; the best one counts.
        scale: factor, such as 0.01 for a metric in percent.
        texts: of a composite: reports of the training set, whose words and their order are then known.
        options: of the metric.

    A composite reads another column where there is one: `ended`, False where a report was cut.

    Raises:
        InputError: an unknown name, a metric whose option is missing, a macro figure, a metric of the set without
            frequencies, options of a composite. The function: no such column, or one of another length than the
            completions.

    >>> report_reward("rougeL")(prompts=["", ""], completions=["No effusion.", "?"], reference=["No effusion.", None])
    [1.0, None]
    >>> report_reward()(prompts=["", ""], completions=["No effusion.", "?"], reference=["No effusion."] * 2)
    [1.0, -1.0]
    """
    score = _composite(name, texts, options) if name in COMPOSITES else _metric(name, texts, options)

    def reward(prompts: list, completions: list, **columns) -> list[float | None]:
        said = [completion_text(completion) for completion in completions]
        references = _column(columns, column, len(said))
        ended = _column(columns, "ended", len(said)) if columns.get("ended") is not None else None
        judged = [index for index, reference in enumerate(references) if _has_words(reference)]
        values: list[float | None] = [None] * len(said)
        if judged:
            ends = None if ended is None else [ended[index] for index in judged]
            for index, value in zip(
                judged, score([said[i] for i in judged], [references[i] for i in judged], ends), strict=True
            ):
                values[index] = scale * float(value)
        return values

    reward.__name__ = reward.__qualname__ = name
    return reward


def _composite(name: str, texts: Iterable[str], options: dict) -> Callable:
    """(said, references, ended) -> rewards."""
    if options:
        raise InputError("reward", f"options {', '.join(options)} of '{name}'", "none", "leave them out")
    known = known_of(texts)

    def score(said: list[str], references: list, ended: list[bool] | None) -> list[float]:
        groups = [[one] if isinstance(one, str) else list(filter(_has_words, one)) for one in references]
        owner = [place for place, group in enumerate(groups) for _ in group]
        ends = None if ended is None else [ended[place] for place in owner]
        flat = [reference for group in groups for reference in group]
        rewards = composite([said[place] for place in owner], flat, COMPOSITES[name], known, ends)
        best = np.full(len(groups), -np.inf)
        np.maximum.at(best, owner, rewards)
        return best.tolist()

    return score


def _metric(name: str, texts: Iterable[str], options: dict) -> Callable:
    """(said, references, ended) -> rewards."""
    if name not in METRICS:
        names = [*COMPOSITES, *METRICS]
        raise InputError("reward", f"'{name}'", f"one of {', '.join(names)}", did_you_mean(name, names, "use one"))
    row = metric(name)
    if not row.per_report:
        expected = "a metric that has a value a report"
        raise InputError("reward", f"'{name}'", expected, f"ask for '{name.replace('_macro', '')}'")
    if row.function in OF_THE_SET and options.get("frequencies") is None:
        expected = "given document frequencies"
        raise InputError("reward", f"'{name}' over a batch", expected, "pass frequencies=document_frequencies(...)")
    row.check_options(options)
    return lambda said, references, ended: row(said, references, **options).per_sample


def _column(columns: dict, name: str, count: int) -> list:
    """A column of the batch, which has as many rows as there are completions."""
    if columns.get(name) is None:
        found = f"the columns {', '.join(columns)}" if columns else "no columns"
        raise InputError("reward", found, f"a column '{name}'", "add it to the data set, or give column=")
    if len(columns[name]) != count:
        found, expected = f"{len(columns[name])} in the column '{name}'", f"{count}, one for each completion"
        raise InputError("reward", found, expected, "repeat each row's reference for each of its completions")
    return columns[name]


def _has_words(reference: str | list[str] | None) -> bool:
    """Whether there is something to judge by."""
    texts = [reference] if isinstance(reference, str) else reference or []
    return any(words_of(text) for text in texts)


def completion_text(completion: str | list[dict]) -> str:
    """What was written: a string, or of a conversation the last message's text (its parts of type text joined).

    A message that only calls tools has no content, or None: nothing was written."""
    if isinstance(completion, str):
        return completion
    content = (completion[-1].get("content") if completion else None) or ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type") == "text")
