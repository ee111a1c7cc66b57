"""The rewards that a run names, as one number a report."""

import math
from collections.abc import Callable, Iterable

from hf_medreport.evaluation.rewards import report_reward
from hf_medreport.processing.input_error import InputError

__all__ = ["Rewards", "named_rewards"]


class Rewards:
    """A weighted sum of reward functions.

    Args:
        functions: as TRL calls them; with the columns `reference` and `ended`.
        weights: one each.
    """

    def __init__(self, functions: list[Callable], weights: list[float]):
        self.functions, self.weights = functions, weights

    def __call__(self, texts: list[str], references: list[str], ended: list[bool]) -> tuple[list[float], dict]:
        """The reward of each report, nan where no function judges it, and `{function: its values}`.

        Raises:
            InputError: a function that returns another number of values, or one that is no finite number.
        """
        each = {}
        for function in self.functions:
            columns = {"reference": references, "ended": ended}
            each[function.__name__] = checked(
                function.__name__, function(prompts=[""] * len(texts), completions=texts, **columns), len(texts)
            )
        totals = []
        for values in zip(*each.values(), strict=True):
            judged = [w * value for w, value in zip(self.weights, values, strict=True) if value is not None]
            totals.append(sum(judged) if judged else math.nan)
        return totals, each


def checked(name: str, values, count: int) -> list[float | None]:
    """What a reward function gave; InputError where it is not one finite number, or None, a report."""
    values = list(values) if isinstance(values, Iterable) else [values]
    if len(values) != count:
        found, expected = f"{len(values)} values for {count} reports", "one a report"
        raise InputError(f"reward '{name}'", found, expected, "return a list as long as the completions")
    for place, value in enumerate(values):
        if value is not None and not math.isfinite(value):
            found, expected = f"{value} for report {place + 1} of {count}", "a finite number, or None"
            raise InputError(f"reward '{name}'", found, expected, "return None where there is nothing to judge by")
    return [None if value is None else float(value) for value in values]


def named_rewards(names: list[str], weights: list[float], texts: Iterable[str]) -> Rewards:
    """The rewards of these names.

    Args:
        weights: one each; empty: 1 each.
        texts: reports of the training set, whose words a composite knows.

    Raises:
        InputError: no name, one twice, one that `report_reward` refuses, another number of weights, or one of 0.
    """
    if not names or len(set(names)) < len(names):
        raise InputError("rewards", ", ".join(names) or "none", "names, each once", "see `report_reward`")
    if weights and len(weights) != len(names):
        found = f"{len(weights)} weights for {len(names)} rewards"
        raise InputError("reward_weights", found, "one a reward", "give as many, or none")
    if any(not math.isfinite(weight) or weight == 0 for weight in weights):
        found = ", ".join(f"{weight:g}" for weight in weights)
        raise InputError("reward_weights", found, "finite numbers, none of them 0", "leave that reward out")
    return Rewards([report_reward(name, texts=texts) for name in names], weights or [1.0] * len(names))
