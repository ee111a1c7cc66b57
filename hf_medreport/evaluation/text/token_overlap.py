"""Token accuracy, precision, recall and F1: which words are shared, whatever their order.

RadScribe logs four such figures of the whole set: all predictions' tokens as one list p, all references' as one list r.
accuracy is the share of p that stands anywhere in r; precision and recall are over the distinct tokens of both.

What they miss: nearly everything on a set, since over many reports every word occurs somewhere and the figures go to 1.
So each report gets its own figures too, in which a word counts as often as it stands in both (a multiset); their means
are in `details`. Order, negation and side are not seen at all.
"""

from collections import Counter
from itertools import chain

import numpy as np

from hf_medreport.evaluation.score import Score
from hf_medreport.evaluation.text.words import Tokenizer, find_tokenizer, tokenize_pairs
from hf_medreport.processing.input_error import InputError

FIGURES = ("accuracy", "precision", "recall", "f1")


def token_overlap(
    predictions: list[str], references: list, *, figure: str = "f1", tokenizer: Tokenizer = "coco"
) -> Score:
    """One of the four figures, 0 to 1: `value` is RadScribe's of the whole set, `per_sample` each report's own.

    `details` holds all four figures of the set, and their means over the reports under `mean_per_sample`. Two empty
    texts score 1, one empty text 0. Of several references a report is measured by the one with the best F1.

    Args:
        figure: `"accuracy"`, `"precision"`, `"recall"` or `"f1"`.
        tokenizer: RadScribe's own is a T5 tokenizer: give its `tokenize`.

    Raises:
        InputError: see `check_texts`; an unknown figure or tokenizer.
    """
    if figure not in FIGURES:
        raise InputError("figure", f"'{figure}'", f"one of {', '.join(FIGURES)}", "name the metric by one of these")
    named, words = find_tokenizer(tokenizer)
    pairs = tokenize_pairs(predictions, references, words)
    said = map(pairs.predictions.__getitem__, pairs.owner)
    of_pairs = np.array([pair_figures(*pair) for pair in zip(said, pairs.references, strict=True)])
    of_samples = of_pairs[pairs.best(of_pairs[:, FIGURES.index("f1")])]
    of_set = set_figures([*chain(*pairs.predictions)], [*chain(*pairs.references)])
    means = dict(zip(FIGURES, of_samples.mean(axis=0).tolist(), strict=True))
    return Score(
        value=of_set[figure],
        per_sample=of_samples[:, FIGURES.index(figure)],
        name=f"token_{figure}",
        convention=f"token {figure} of RadScribe, over the set's tokens as one text, {named} words, 0 to 1",
        details=of_set | {"mean_per_sample": means},
    )


def set_figures(said: list[str], given: list[str]) -> dict[str, float]:
    """RadScribe's four figures of two lists of tokens."""
    if not said or not given:
        return dict.fromkeys(FIGURES, float(said == given))
    distinct_said, distinct_given = set(said), set(given)
    shared = len(distinct_said & distinct_given)
    return {
        "accuracy": sum(word in distinct_given for word in said) / len(said),
        "precision": shared / len(distinct_said),
        "recall": shared / len(distinct_given),
        "f1": 2 * shared / (len(distinct_said) + len(distinct_given)),
    }


def pair_figures(said: list[str], given: list[str]) -> tuple[float, float, float, float]:
    """The four figures of one report, in which a word counts as often as it stands in both; accuracy as for the set."""
    if not said or not given:
        return (float(said == given),) * 4
    in_given = Counter(given)
    shared = (Counter(said) & in_given).total()
    accuracy = sum(word in in_given for word in said) / len(said)
    return accuracy, shared / len(said), shared / len(given), 2 * shared / (len(said) + len(given))
