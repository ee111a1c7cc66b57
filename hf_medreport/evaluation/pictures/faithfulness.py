"""Do pictures show what was asked for? Modality, finding, side, zone and grade, each where it was asked.

A judge is not the truth, so beside each figure stands the ceiling: what the same judge says of *drawn* pictures of the
same facts, brought through the generator's codec where it has one. A share of the ceiling above 1 is chance. Intervals
are Wilson's (1927), "Probable inference, the law of succession, and statistical inference", for 95 %: they hold near 1,
where that of a normal distribution does not.
"""

from collections.abc import Sequence

import numpy as np

from hf_medreport.evaluation.pictures.judging import QUESTIONS
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError

__all__ = ["faithfulness", "faithfulness_table", "wilson_interval"]

Z = 1.959963984540054  # of 95 %, two-sided


def wilson_interval(right: int, n: int) -> list[float] | None:
    """95 % interval of a share of `right` in `n`; None of none.

    >>> [round(bound, 3) for bound in wilson_interval(10, 10)]
    [0.722, 1.0]
    """
    if n == 0:
        return None
    share, shrink = right / n, 1 + Z**2 / n
    middle = (share + Z**2 / (2 * n)) / shrink
    reach = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / shrink
    # Of none or all the bound is exact, but for rounding.
    return [float(middle - reach) if right else 0.0, float(middle + reach) if right < n else 1.0]


def faithfulness(
    asked: Sequence[PictureFact], answers: Sequence[dict[str, str]], ceiling: Sequence[dict[str, str]] | None = None
) -> dict:
    """How often the judge sees what was asked for.

    Args:
        asked: the fact behind each prompt.
        answers: what the judge says of each picture.
        ceiling: what it says of drawn pictures of the same facts, in the same order.

    Returns:
        {question: {"n", "right", "accuracy", "interval"}}, with a ceiling also "ceiling" and "of_ceiling"; "finding"
        has `by_modality` of the same; and "all": everything that was asked of a picture at once. None where nothing
        was asked.

    Raises:
        InputError: unequal counts.
    """
    for name, other in (("answers", answers), ("ceiling", ceiling)):
        if other is not None and len(other) != len(asked):
            raise InputError(name, str(len(other)), f"{len(asked)}, one a prompt", "judge all pictures")
    scores = {question: _score(question, asked, answers, ceiling) for question in (*QUESTIONS, "all")}
    by_modality = {}
    for modality in dict.fromkeys(fact.modality for fact in asked):
        rows = [row for row, fact in enumerate(asked) if fact.modality == modality]
        parts = [None if part is None else [part[row] for row in rows] for part in (asked, answers, ceiling)]
        by_modality[modality] = _score("finding", *parts)
    scores["finding"]["by_modality"] = by_modality
    return scores


def _score(question: str, asked, answers, ceiling) -> dict:
    right = _right(question, asked, answers)
    n, hits = len(right), int(sum(right))
    score = {"n": n, "right": hits, "accuracy": hits / n if n else None, "interval": wilson_interval(hits, n)}
    if ceiling is not None:
        best = float(np.mean(_right(question, asked, ceiling))) if n else None
        score |= {"ceiling": best, "of_ceiling": score["accuracy"] / best if best else None}
    return score


def _right(question: str, asked: Sequence[PictureFact], answers: Sequence[dict[str, str]]) -> list[bool]:
    """Of each picture of which it was asked, whether the answer is the one that was asked for."""
    if question == "all":
        pairs = [
            [getattr(fact, name) == answer[name] for name in QUESTIONS if getattr(fact, name) is not None]
            for fact, answer in zip(asked, answers, strict=True)
        ]
        return [all(pair) for pair in pairs]
    wanted = [(getattr(fact, question), answer[question]) for fact, answer in zip(asked, answers, strict=True)]
    return [one == other for one, other in wanted if one is not None]


def faithfulness_table(scores: dict) -> str:
    """The figures as lines of text."""
    rows = [(question, scores[question]) for question in (*QUESTIONS, "all")]
    rows[2:2] = [(f"  {modality}", score) for modality, score in scores["finding"]["by_modality"].items()]
    lines = [f"{'asked and seen':<16}{'n':>6}{'accuracy':>10}  {'95 % interval':<16}{'ceiling':>8}{'share':>8}"]
    for name, score in rows:
        if score["n"]:
            low, high = score["interval"]
            line = f"{name:<16}{score['n']:>6}{score['accuracy']:>10.3f}  {f'{low:.3f} to {high:.3f}':<16}"
            if "ceiling" in score:
                share = "-" if score["of_ceiling"] is None else f"{score['of_ceiling']:.3f}"
                line += f"{score['ceiling']:>8.3f}{share:>8}"
            lines.append(line)
    return "\n".join(lines)
