"""Metrics of the registry as rewards of TRL's trainers: `f(prompts, completions, **columns) -> list[float | None]`.

    GRPOTrainer(..., reward_funcs=[report_reward("rougeL"), report_reward("chexpert_f1")])

The data set needs a column `reference`. A row without a reference (None) gets None, which TRL leaves out of its sum.
A metric that counts over the set it is given, as CIDEr its document frequencies, would judge a report by its neighbors
in the batch: it is refused unless its frequencies are given. So is a macro figure, which gives no
report a value of its own.
"""

from collections.abc import Callable

from hf_medreport.evaluation.registry import metric
from hf_medreport.processing.input_error import InputError

__all__ = ["report_reward"]

OF_THE_SET = ("text.cider:cider",)  # functions whose per-sample values depend on the other samples


def report_reward(name: str, *, column: str = "reference", scale: float = 1.0, **options) -> Callable:
    """The reward function of a metric; its name is the metric's, as TRL logs it.

    Args:
        name: of the registry.
        column: of the data set, that holds a report's reference or list of references.
        scale: factor, such as 0.01 for a metric in percent.
        options: of the metric.

    Raises:
        InputError: an unknown metric, one whose option is missing, a macro figure, or one of the set without
            frequencies. The function: no such column, or one of another length than the completions.

    >>> report_reward("rougeL")(prompts=["", ""], completions=["No effusion.", "?"], reference=["No effusion.", None])
    [1.0, None]
    """
    row = metric(name)
    if not row.per_report:
        expected = "a metric that has a value a report"
        raise InputError("reward", f"'{name}'", expected, f"ask for '{name.replace('_macro', '')}'")
    if row.function in OF_THE_SET and options.get("frequencies") is None:
        expected = "given document frequencies"
        raise InputError("reward", f"'{name}' over a batch", expected, "pass frequencies=document_frequencies(...)")
    row.check_options(options)

    def reward(prompts: list, completions: list, **columns) -> list[float | None]:
        if columns.get(column) is None:
            found = f"the columns {', '.join(columns)}" if columns else "no columns"
            raise InputError("reward", found, f"a column '{column}'", "add it to the data set, or give column=")
        references, texts = columns[column], [completion_text(completion) for completion in completions]
        if len(references) != len(texts):
            found, expected = f"{len(references)} in the column '{column}'", f"{len(texts)}, one for each completion"
            raise InputError("reward", found, expected, "repeat each row's reference for each of its completions")
        judged = [index for index, reference in enumerate(references) if reference is not None]
        values: list[float | None] = [None] * len(texts)
        if judged:
            score = row([texts[i] for i in judged], [references[i] for i in judged], **options)
            for index, value in zip(judged, score.per_sample.tolist(), strict=True):
                values[index] = scale * value
        return values

    reward.__name__ = reward.__qualname__ = name
    return reward


def completion_text(completion: str | list[dict]) -> str:
    """What was written: a string, or of a conversation the last message's text (its parts of type text joined).

    A message that only calls tools has no content, or None: nothing was written."""
    if isinstance(completion, str):
        return completion
    content = (completion[-1].get("content") if completion else None) or ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part.get("type") == "text")
