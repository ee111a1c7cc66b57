"""The reward that is paid where none is named: what a report says, and how, and nothing for what is no report.

A text that is none (`validity.flaw`) earns -1. Any other earns 2 v - 1, where v is

    FACTS * facts F1 + LABELS * label F1 + WORDS * ROUGE-L

of its reference, each from 0 to 1; ROUGE-L is that of the COCO caption evaluation, which reads any alphabet. The exact
facts are what counts, the labels are coarse and the words finer, so that the reports of one group seldom earn the same
and there is something to learn from. Where neither text states a fact, the labels take the facts' share. A text with a
grave error earns nothing for its words: in a chest report a finding of the reference on a side where it has none, in a
pathology report a tumor called benign or the reverse.

What follows, whatever the texts: rewards lie in [-1, 1], and the reference itself earns 1. What shares no fact and no
label with its reference earns less than 0, however alike the words: so does a normal report of an abnormal film.
Who states the facts and labels of the reference in other words earns more than who copies it with a wrong side.

What it misses: what no rule reads (a hernia, a rare word) counts by its words alone, so that a normal report of such a
film is well paid; the order of words counts in ROUGE-L alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hf_medreport.evaluation.registry import metric
from hf_medreport.evaluation.rewards.validity import NO_TEXTS, Known, flaw
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.phantom.slide.findings import BENIGN
from hf_medreport.phantom.slide.parser import parse_slide_report

__all__ = ["INVALID", "KINDS", "composite"]

FACTS, LABELS, WORDS = 0.5, 0.2, 0.3
INVALID = -1.0
OTHER_SIDE = {"left": "right", "right": "left"}


@dataclass(frozen=True)
class Kind:
    """What reports of one kind state.

    Attributes:
        facts: text -> facts, compared exactly.
        grave: (facts of a text, of its reference) -> whether the one contradicts the other gravely.
        labels: the metric of the registry that labels both; None: the facts count for it too.
    """

    facts: Callable[[str], frozenset]
    grave: Callable[[frozenset, frozenset], bool]
    labels: str | None


def _chest_facts(text: str) -> frozenset:
    return frozenset(one.key for one in parse_report(text))


def _wrong_side(said: frozenset, true: frozenset) -> bool:
    """Whether a finding of the reference is put on a side where it has none, as `wrong_side_rate` counts, or two
    findings of a kind have changed sides."""
    kinds, places = {key[0] for key in true}, {key[:2] for key in true}
    mirrored = {(kind, OTHER_SIDE.get(side), *rest) for kind, side, *rest in true}
    wrong = (key for key in said - true if key[1] and key[0] in kinds)
    return any(key[:2] not in places or key in mirrored for key in wrong)


def _wrong_dignity(said: frozenset, true: frozenset) -> bool:
    """Whether the one is benign alone and the other a tumor, or either says nothing of it."""

    def benign(facts: frozenset) -> set[bool]:
        return {value == BENIGN for name, value in facts if name == "diagnosis"}

    return benign(said) != benign(true)


KINDS = {
    "chest": Kind(lru_cache(maxsize=1 << 14)(_chest_facts), _wrong_side, "chexpert_f1"),
    "slide": Kind(lru_cache(maxsize=1 << 14)(parse_slide_report), _wrong_dignity, None),
}


def composite(
    texts: list[str], references: list[str], kind: str, known: Known = NO_TEXTS, ended: list[bool] | None = None
) -> np.ndarray:
    """The reward of each text by its reference, float64 (texts,) in [-1, 1].

    Args:
        references: one a text, each with a word at least.
        kind: of `KINDS`.
        known: as `validity.flaw` takes it.
        ended: False where a text was cut; None: nothing is known of it.
    """
    of_kind, rewards = KINDS[kind], np.full(len(texts), INVALID)
    ends = [True] * len(texts) if ended is None else ended
    cases = zip(texts, references, ends, strict=True)
    valid = [place for place, (text, true, end) in enumerate(cases) if flaw(text, true, known, end) is None]
    if valid:
        texts, references = [texts[place] for place in valid], [references[place] for place in valid]
        rewards[valid] = 2 * _values(texts, references, of_kind) - 1
    return rewards


def _values(texts: list[str], references: list[str], kind: Kind) -> np.ndarray:
    """v of each text, (texts,) in [0, 1]."""
    read = [(kind.facts(text), kind.facts(true)) for text, true in zip(texts, references, strict=True)]
    overlap = [2 * len(said & true) / max(1, len(said) + len(true)) for said, true in read]
    facts, stated = np.array(overlap), np.array([bool(said or true) for said, true in read])
    facts = np.where(stated, facts, 1.0)
    labels = facts if kind.labels is None else metric(kind.labels)(texts, references).per_sample
    words = metric("rougeL_coco")(texts, references).per_sample
    words = np.where([kind.grave(said, true) for said, true in read], 0.0, words)
    return FACTS * np.where(stated, facts, labels) + LABELS * labels + WORDS * words
