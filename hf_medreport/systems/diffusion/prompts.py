"""Descriptions in other words, for training: other names, another order, some left out; what matters stays as it is.

A sentence that has a negation, a side, a place, a number, a grade or a doubt in it (`KEPT`) is never left out, and its
words stay in their order: "no effusion, nodule" denies both, "effusion, left" has a side behind it. Only names that
mean the same take each other's place there. A sentence without such words may lose or exchange the terms between its
commas. A text in which one sentence leans on another ("it", "otherwise"), or with headings, keeps all in order.

    reword = PromptAugmentation(shuffle=0.5, dropout=0.1)
    reword("Cardiomegaly, tortuous aorta. No left effusion.", "CXR", random.Random(0))
"""

import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hf_medreport.processing.input_error import InputError

__all__ = ["KEPT", "LEANS", "SYNONYMS", "PromptAugmentation", "sentences"]


def _words(*groups: str) -> re.Pattern:
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(groups)})(?![^\W_])", re.IGNORECASE)


KEPT = _words(
    # negations, and what limits a statement
    r"no|not|non|none|nor|neither|never|nothing|without|w/o|absent|absence|lacks?|lacking|free|clear(?:ed)?|negative",
    r"den(?:y|ies|ied)|exclud\w+|ruled?|resolv\w+|remov\w+|cannot|\w+n['\u2019]t|but|except|however|although|though",
    r"only|rather|than|versus|vs|unchanged|new|increas\w+|decreas\w+|stable",
    # sides and places
    r"left|right|l|r|lt|rt|(?:bi|uni|contra|ipsi)?lateral(?:ly)?|both|either|sides?|sided|od|os|ou|dextro\w*|levo\w*",
    r"upper|middle|mid|lower|superior|inferior|anterior|posterior|medial|nasal|temporal|peripheral|apical",
    r"bas(?:al|es?|ilar)|bi(?:basal|basilar|apical)",
    # numbers
    r"\w*\d\w*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|once|twice|first|second|third|[ivx]+",
    r"single|solitary|isolated|multiple|several|numerous|few|many|scattered|pair|half|double|grade|stage|type",
    # grades
    r"mild(?:ly)?|moderate(?:ly)?|severe(?:ly)?|small|large|tiny|trace|minimal(?:ly)?|slight(?:ly)?|marked(?:ly)?",
    r"massive|huge|giant|early|late|acute|chronic|subtle|extensive|diffuse|focal",
    # doubts
    r"possibl[ey]|probabl[ey]|suspect\w*|suspicio\w+|question\w*|equivocal|may|might|could|likely|suggest\w*|uncertain",
)
# A sentence with one of these means what it does because of another; a colon ends a heading, a number begins an item.
LEANS = re.compile(
    r":|(?<!\S)\d+[.)]\s|"
    + _words(
        "it|its|this|that|these|those|they|them|their|which|also|otherwise|other|others|another|same|such|former|latter",
        "again|additional(?:ly)?|associated|remaining|remainder|rest|respectively|similar(?:ly)?|there(?! (?:is|are))",
    ).pattern,
    re.IGNORECASE,
)
# Names that mean the same, as nouns that take the same article and the same adjectives.
SYNONYMS = (
    ("cardiomegaly", "cardiac enlargement", "enlargement of the heart"),
    ("pleural effusion", "pleural fluid"),
    ("consolidation", "airspace consolidation"),
    ("hyperinflation", "overinflation"),
    ("interstitial edema", "interstitial oedema"),
    ("pulmonary edema", "pulmonary oedema"),
    ("macular edema", "macular oedema"),
    ("pulmonary nodule", "lung nodule"),
    ("central venous line", "central venous catheter"),
    ("hemorrhage", "haemorrhage"),
    ("hemorrhages", "haemorrhages"),
    ("tumor", "tumour"),
    ("tumors", "tumours"),
    ("optic disc", "optic disk"),
    ("white matter lesions", "white matter foci"),
)
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
TERM = re.compile(r"[,;]\s+")
ARTICLE = r"(?<!\ba )(?<!\ban )"  # an article would have to change with the noun


def sentences(prompt: str) -> list[str]:
    """The sentences of a description: each ends with a mark, before a capital."""
    return SENTENCE.split(prompt)


@dataclass(frozen=True)
class PromptAugmentation:
    """Says a description in other words; the same words for the same source of chance.

    Args:
        synonym: the share of names that are replaced where there is another.
        shuffle: the share of descriptions whose sentences, and terms, take another order.
        dropout: the share of terms and sentences that are left out; one always stays.
        synonyms: groups of names that mean the same.

    Raises:
        InputError: a share that is none, or a name with a word that must stay as it is.
    """

    synonym: float = 0.5
    shuffle: float = 0.5
    dropout: float = 0.1
    synonyms: Sequence[Iterable[str]] = SYNONYMS

    def __post_init__(self):
        for name in ("synonym", "shuffle", "dropout"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise InputError(name, str(share), "a share from 0 to 1", "correct it")
        for name in (name for group in self.synonyms for name in group):
            if kept := KEPT.search(name):
                raise InputError("synonyms", f"'{kept[0]}' in '{name}'", "names of findings alone", "leave it out")

    def __call__(self, prompt: str, modality: str | None, chance: random.Random) -> str:
        """The prompt in other words; they are the same for every modality."""
        prompt = self._renamed(prompt, chance)
        if LEANS.search(prompt):
            return prompt
        parts = [_Sentence.read(sentence) for sentence in sentences(prompt)]
        kept = [replace(part, terms=[term for term in part.terms if self._stays(term, chance)]) for part in parts]
        parts = [part for part in kept if part.terms] or parts
        if chance.random() < self.shuffle:
            parts = [replace(part, terms=_in_any_order(part.terms, chance)) for part in _in_any_order(parts, chance)]
        return " ".join(part.written(is_last=part is parts[-1]) for part in parts)

    def _stays(self, term: str, chance: random.Random) -> bool:
        return bool(KEPT.search(term)) or chance.random() >= self.dropout

    def _renamed(self, prompt: str, chance: random.Random) -> str:
        groups = {name.lower(): list(group) for group in self.synonyms for name in group}
        names = sorted(groups, key=len, reverse=True)
        if not names:
            return prompt

        def other(match: re.Match) -> str:
            if chance.random() >= self.synonym:
                return match[0]
            others = [name for name in groups[match[0].lower()] if name.lower() != match[0].lower()]
            name = others[int(chance.random() * len(others))]
            return name[0].upper() + name[1:] if match[0][0].isupper() else name

        found = ARTICLE + r"\b(?:" + "|".join(map(re.escape, names)) + r")\b"
        return re.sub(found, other, prompt, flags=re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class _Sentence:
    """The terms of a sentence that may be moved and left out; all of it is one term where a word is kept."""

    terms: list[str]
    end: str
    capital: bool

    @classmethod
    def read(cls, sentence: str) -> "_Sentence":
        body = sentence.rstrip(".!?")
        terms = [body] if KEPT.search(body) else TERM.split(body)
        capital = body[:1].isupper()
        if len(terms) > 1 and capital and terms[0][1:2].islower():  # not of an abbreviation
            terms[0] = terms[0][0].lower() + terms[0][1:]
        return cls(terms, sentence[len(body) :], capital)

    def written(self, is_last: bool) -> str:
        text = ", ".join(self.terms)
        if self.capital:
            text = text[:1].upper() + text[1:]
        return text + (self.end or "." * (not is_last))


def _in_any_order(values: list, chance: random.Random) -> list:
    return sorted(values, key=lambda _: chance.random())
