"""Writes the report of a slide: what the summary of a pathology report says, every fact once."""

import numpy as np

from hf_medreport.phantom.slide.findings import BENIGN, SlideFacts
from hf_medreport.phantom.slide.wordings import WORDINGS, SlideWordings, Templates
from hf_medreport.processing.input_error import InputError

__all__ = ["WORDINGS", "write_slide_report"]

DIFFERENTIATED = {1: "well", 2: "moderately", 3: "poorly"}
# How often two clauses that can share a sentence do so.
JOINED_SHARE = 0.5


class _Writer:
    """Makes clauses about one slide from one set of wordings, chosen by chance."""

    def __init__(self, facts: SlideFacts, words: SlideWordings, rng: np.random.Generator):
        self.facts, self.words, self.rng = facts, words, rng
        self.slots = {
            "site": facts.site,
            "diagnosis": facts.diagnosis,
            "grade": facts.grade,
            "differentiated": DIFFERENTIATED.get(facts.grade),
            "size": f"{facts.size_cm} cm",
            "count": facts.mitoses,
            "mitoses": "1 mitosis" if facts.mitoses == 1 else f"{facts.mitoses} mitoses",
            "are": "is" if facts.mitoses == 1 else "are",
            "nodes": f"{facts.nodes_positive}/{facts.nodes_examined}",
        }

    def one_of(self, templates: Templates) -> str:
        return templates[self.rng.integers(len(templates))]

    def clause(self, templates: Templates, **more: str) -> str:
        return self.one_of(templates).format(**self.slots, **more)

    def amount(self, degree: str, some: Templates, none: Templates) -> str:
        return self.clause(none) if degree == "absent" else self.clause(some, degree=degree)

    def sentences(self) -> list[str]:
        """The clauses of the report, those of one row joined to one sentence or not."""
        facts, words = self.facts, self.words
        if facts.diagnosis == BENIGN:
            rows = [[self.clause(words.benign)]]
        else:
            size_and_margin = [self.clause(words.size), self.clause(words.margin[facts.margin])]
            rows = [[self.clause(words.tumor)], size_and_margin, [self.clause(words.mitoses)]]
        necrosis = self.amount(facts.necrosis, words.necrosis, words.no_necrosis)
        inflammation = self.amount(facts.inflammation, words.inflammation, words.no_inflammation)
        rows += [[necrosis, inflammation], [self.clause(words.nodes if facts.nodes_examined else words.no_nodes)]]
        said = []
        for row in rows:
            joined = len(row) > 1 and self.rng.random() < JOINED_SHARE
            said += [self.one_of(words.joints).join(row)] if joined else row
        return [text[0].upper() + text[1:] + "." for text in said]


def write_slide_report(facts: SlideFacts, rng: np.random.Generator, wordings: str = "train") -> str:
    """Word the facts as one line of three to seven sentences, with single spaces.

    Site, diagnosis and grade open it; then come size and margin, mitoses, necrosis and inflammation, lymph nodes. Where
    there is no malignancy, grade, size, margin and mitoses are not spoken of.

    Args:
        facts: what the slide shows.
        rng: chooses among the wordings.
        wordings: "train" or "held_out".

    Raises:
        InputError: unknown wordings.
    """
    if wordings not in WORDINGS:
        raise InputError("wordings", repr(wordings), " or ".join(WORDINGS), "name one of the two")
    return " ".join(_Writer(facts, WORDINGS[wordings], rng).sentences())
