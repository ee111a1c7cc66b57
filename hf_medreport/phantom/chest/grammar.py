"""Writes the report of a film: every fact one sentence, in one of several wordings, and a short impression; and the
description of a film, a line of its findings alone."""

import re
from collections.abc import Iterable

import numpy as np

from hf_medreport.phantom.chest.findings import KINDS, Fact, report_order
from hf_medreport.phantom.chest.wordings import ORGANS, WORDINGS, Templates, Wordings
from hf_medreport.processing.input_error import InputError

__all__ = ["WORDINGS", "write_description", "write_report"]

GRADE_AS_SIZE = {"mild": "small", "moderate": "moderate", "severe": "large"}
COUNTS = {"single": "a single", "multiple": "multiple", None: "a"}
SIZED = ("pleural_effusion", "pneumothorax")  # whose grade is said as a size
LARGEST_NODULE_MM = 30
# A report always speaks of these, and of the other organs that have a normal sentence in one report of two.
ALWAYS = ("heart", "pleura", "lungs")


class _Writer:
    """Makes sentences of one set of wordings, chosen by chance."""

    def __init__(self, words: Wordings, rng: np.random.Generator):
        self.words, self.rng = words, rng

    def one_of(self, templates: Templates) -> str:
        return templates[self.rng.integers(len(templates))]

    def filled(self, template: str, fact: Fact) -> str:
        several = fact.number == "multiple"
        large = fact.size_mm is not None and fact.size_mm > LARGEST_NODULE_MM
        slots = {
            "amount": GRADE_AS_SIZE.get(fact.severity),
            "size": f"{fact.size_mm} mm" if fact.size_mm else "",
            "nodule": "mass" if large else "nodule",
            "count": COUNTS[fact.number],
            "s": "s" if several else "",
            "is": "are" if several else "is",
            "has": "have" if several else "has",
        }
        text = template.format(side=fact.side, zone=fact.zone, severity=fact.severity, **slots)
        return re.sub(r"\b([Aa]) (?=1[18] mm)", r"\1n ", " ".join(text.split()))  # an eleven, an eighteen

    def name(self, fact: Fact) -> str:
        return self.filled(self.one_of(self.words.names[fact.kind]), fact)

    def stated(self, fact: Fact) -> str:
        templates = (self.words.findings if fact.certain else self.words.doubtful)[fact.kind]
        change = self.one_of(self.words.changes[fact.change]) if fact.change else ""
        return _sentence(self.filled(self.one_of(templates) + change, fact))

    def resolved(self, fact: Fact) -> str:
        template = self.one_of(self.words.resolved[KINDS[fact.kind].organ])
        return _sentence(self.filled(template.replace("{name}", self.one_of(self.words.names[fact.kind])), fact))

    def described(self, fact: Fact) -> str:
        """A fact in a few words, with all that is known of it."""
        name = self.name(fact)
        grade = GRADE_AS_SIZE[fact.severity] if fact.kind in SIZED else fact.severity
        if grade and name.startswith("enlarged"):
            grade += "ly"
        size = f"{fact.size_mm} mm" if fact.size_mm else None
        words = (None if fact.certain else "possible", fact.number, size, grade, name)
        return " ".join(word for word in words if word)

    def findings(self, facts: list[Fact], resolved: list[Fact]) -> list[str]:
        """Organ by organ: what is there, what is gone, what is normal."""
        sentences = []
        for organ in ORGANS:
            here, gone = ([fact for fact in group if KINDS[fact.kind].organ == organ] for group in (facts, resolved))
            sentences += [self.stated(fact) for fact in here] + [self.resolved(fact) for fact in gone]
            if here:
                absent = set(self.words.absent) - {fact.kind for fact in here}
                absent = [kind for kind in KINDS if kind in absent and KINDS[kind].organ == organ]
                sentences += [self.one_of(self.words.absent[kind]) for kind in absent]
            elif organ in ALWAYS or organ in self.words.normal and self.rng.random() < 0.5:
                sentences.append(self.one_of(self.words.normal[organ]))
        return sentences

    def impression(self, facts: list[Fact], as_before: bool) -> list[str]:
        names = [self.name(fact) for fact in facts]
        doubt = ["" if fact.certain else "possible " for fact in facts]
        sentences = [_sentence(one + name) for one, name in zip(doubt, names, strict=True)]
        sentences = sentences or [self.one_of(self.words.nothing)]
        return sentences + ([self.one_of(self.words.no_change)] if as_before else [])


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def write_report(
    facts: Iterable[Fact],
    rng: np.random.Generator,
    wordings: str = "train",
    resolved: Iterable[Fact] | None = None,
) -> str:
    """Word the facts as one line, "FINDINGS: ... IMPRESSION: ...", with single spaces.

    The findings go organ by organ as in `KINDS`. Heart, pleura and lungs without a fact get a sentence that says they
    are normal; mediastinum, diaphragm and bones in half of the reports. The impression names each fact again, or says
    that there is nothing acute, and says so if nothing changed since the prior film.

    Args:
        facts: the findings, in any order, each with its `change` if there is a prior film.
        rng: chooses among the wordings.
        wordings: "train" or "held_out".
        resolved: what the prior film showed and this one does not; None: there is no prior film.

    Raises:
        InputError: unknown wordings.
    """
    if wordings not in WORDINGS:
        raise InputError("wordings", repr(wordings), " or ".join(WORDINGS), "name one of the two")
    writer, facts = _Writer(WORDINGS[wordings], rng), report_order(facts)
    gone = report_order(resolved or ())
    as_before = resolved is not None and not gone and all(fact.change == "unchanged" for fact in facts)
    return " ".join(["FINDINGS:", *writer.findings(facts, gone), "IMPRESSION:", *writer.impression(facts, as_before)])


def write_description(facts: Iterable[Fact], rng: np.random.Generator, wordings: str = "train") -> str:
    """Word the facts as who asks for a picture does: "small left pleural effusion, enlarged heart".

    Each fact comes with its side, zone, grade, size and number, in any order; one description of two is made of
    sentences. Without a fact it is one of the impressions that say that there is nothing.

    Args:
        facts: the findings.
        rng: chooses among the wordings.
        wordings: "train" or "held_out".

    Raises:
        InputError: unknown wordings.
    """
    if wordings not in WORDINGS:
        raise InputError("wordings", repr(wordings), " or ".join(WORDINGS), "name one of the two")
    writer, facts = _Writer(WORDINGS[wordings], rng), report_order(facts)
    if not facts:
        return writer.one_of(WORDINGS[wordings].nothing)
    facts = [facts[place] for place in rng.permutation(len(facts))]
    if rng.random() < 0.5:
        return " ".join(writer.stated(fact) for fact in facts)
    return ", ".join(writer.described(fact) for fact in facts)
