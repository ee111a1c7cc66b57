"""Whether a text is a report at all, seen beside the reference it will be judged by.

A metric pays for what it finds; some pay a text that says nothing, or no words at all. So a text is no report that

- has no word;
- lacks a section of the reference that says what is seen (`SEEN`), or leaves it blank;
- does not end as the reference does, with a full stop or its like, or was cut (`ended` False);
- says a sentence again within a section, some words three times in a row, or a passage of PASSAGE words twice, where
  the reference does not;
- is no language: fewer than SHAPED of its words are known or built as English words are, or fewer than KNOWN are known;
- says words in no order: fewer than ORDER of the pairs of known words that follow each other do so in a known text.

Known are the reference, the wordings of the drawn reports, which hold most words of real ones too, and the texts given.
The reference itself always passes.

What it misses: lies, which are for the reward to find; words that are out of order in one sentence of many, and made-up
words that look English among known ones. A report in another language than English needs texts of it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from itertools import pairwise

from hf_medreport.phantom.chest.findings import GRADES, SIDES, ZONES
from hf_medreport.phantom.chest.wordings import WORDINGS as CHEST
from hf_medreport.phantom.slide.findings import DIAGNOSES, SITES
from hf_medreport.phantom.slide.wordings import WORDINGS as SLIDE
from hf_medreport.processing.report_sections import section_spans, split_sections, split_sentences

__all__ = ["NO_TEXTS", "SEEN", "Known", "flaw", "known_of", "words_of"]

# Sections that say what is seen; the others say what was asked, or done.
SEEN = ("findings", "impression", "gross", "microscopic", "diagnosis")
SHAPED, KNOWN = 0.8, 0.3  # shares of a text's words
ORDER, FEW = 0.3, 5  # share of the pairs of known words; of fewer pairs nothing is said
PASSAGE = 20

_WORD = re.compile(r"[^\W\d_]+")
_CLAUSE_END = re.compile(r"[.:;]")
_SLOT = re.compile(r"\{(\w+)\}")
_END = re.compile(r"[.!?][\"')\]]*\s*\Z")
_LOOP = re.compile(r"\b(\w+(?: \w+){0,5})(?: \1\b){2}")
# Not built as an English word: no vowel, five consonants or four vowels or three equal letters in a row, q without u.
_MISSHAPEN = re.compile(r"\A[^aeiouy]+\Z|[^aeiouy]{5}|[aeiou]{4}|(.)\1\1|q(?!u)|[^a-z]")

# Fillings of the wordings' slots.
SLOTS = {"side": SIDES, "zone": ZONES, "severity": GRADES, "amount": ("small", "moderate", "large")}
SLOTS |= {"nodule": ("nodule", "mass"), "s": ("", "s"), "is": ("is", "are"), "has": ("has", "have")}
SLOTS |= {"count": ("a", "multiple", "a single"), "site": SITES, "are": ("is", "are")}
SLOTS |= {"differentiated": ("well", "moderately", "poorly"), "degree": ("mild", "focal", "marked", "extensive")}
SLOTS |= {"diagnosis": tuple(dict.fromkeys(name for names in DIAGNOSES.values() for name in names))}
SLOTS |= {"size": ("mm", "cm"), "mitoses": ("mitosis", "mitoses")}
SLOTS_FILLED = 12  # so that each filling comes with each that has another number of them


@dataclass(frozen=True)
class Known:
    """The words of some texts, in lower case, and which of them follow each other within a clause."""

    words: frozenset[str]
    pairs: frozenset[tuple[str, str]]


NO_TEXTS = Known(frozenset(), frozenset())


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without numbers."""
    return _WORD.findall(text.lower())


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Words that follow each other within a clause."""
    return [pair for clause in _CLAUSE_END.split(text) for pair in pairwise(words_of(clause))]


def known_of(texts: Iterable[str]) -> Known:
    """What is known by some texts."""
    words, pairs = set(), set()
    for text in texts:
        words.update(words_of(text))
        pairs.update(pairs_of(text))
    return Known(frozenset(words), frozenset(pairs))


def flaw(text: str, reference: str, known: Known = NO_TEXTS, ended: bool = True) -> str | None:
    """Why a text is no report, in a few words; None of one that is.

    Args:
        reference: by which it will be judged.
        known: beside the reference and the drawn reports.
        ended: False of a text that was cut.
    """
    said = words_of(text)
    if not said:
        return "empty"
    read, true, drawn = _read(text), _read(reference), _drawn()
    missing = [name for name in true.sections if name in SEEN and name not in read.sections]
    if missing:
        return f"no {missing[0]}"
    if not ended or (_END.search(reference) and not _END.search(text)):
        return "no end"
    if read.again - true.again:
        return "repetition"
    sources = (true.known, drawn, known)
    words = {word for word in said if any(word in source.words for source in sources)}
    shaped = [word in words or not _MISSHAPEN.search(word) for word in said]
    if sum(word in words for word in said) < KNOWN * len(said) or sum(shaped) < SHAPED * len(said):
        return "no words"
    pairs = [pair for pair in pairs_of(text) if words.issuperset(pair)]
    in_order = sum(any(pair in source.pairs for source in sources) for pair in pairs)
    return "no order" if len(pairs) >= FEW and in_order < ORDER * len(pairs) else None


@dataclass(frozen=True)
class _Read:
    """What `flaw` asks of a text; of a reference again and again.

    Attributes:
        sections: its sections in their order.
        again: what it repeats, and how often.
        known: its words.
    """

    sections: tuple[str, ...]
    again: Counter
    known: Known


@lru_cache(maxsize=1 << 12)
def _read(text: str) -> _Read:
    return _Read(tuple(split_sections(text)), _sentences(text) + _loops(text) + _passages(text), known_of([text]))


@lru_cache(maxsize=1)
def _drawn() -> Known:
    """Of the wordings of drawn chests and slides, each with several fillings of its slots."""
    texts = ["findings. impression. diagnosis."]
    for template in _strings([*CHEST.values(), *SLIDE.values()]):
        for number in range(SLOTS_FILLED):
            filled = _SLOT.sub(lambda slot, number=number: _filling(slot[1], number), template)
            texts.append(filled.replace("|", "."))
    return known_of(texts)


def _filling(slot: str, number: int) -> str:
    """What stands in a slot; of a slot that takes more than words a clause ends there."""
    words = SLOTS.get(slot)
    return "|" if words is None else words[number % len(words)]


def _strings(part) -> Iterator[str]:
    """Every string of nested dataclasses, mappings and sequences."""
    if isinstance(part, str):
        yield part
        return
    if is_dataclass(part):
        part = [getattr(part, field.name) for field in fields(part)]
    for each in part.values() if isinstance(part, dict) else part:
        yield from _strings(each)


def _sentences(text: str) -> Counter:
    """How often again a section says each sentence of two words or more."""
    again = Counter()
    for section, part in _joined(text).items():
        sentences = (tuple(words_of(part[start:end])) for start, end in split_sentences(part))
        again += Counter({(section, each): count - 1 for each, count in Counter(sentences).items() if len(each) > 1})
    total = Counter()
    for (_, sentence), count in again.items():
        total[sentence] += count
    return total


def _joined(text: str) -> dict[str, str]:
    parts: dict[str, str] = {}
    for name, start, end in section_spans(text):
        parts[name] = f"{parts.get(name, '')}\n\n{text[start:end]}"
    return parts


def _passages(text: str) -> Counter:
    """Passages that come again, whatever their sections."""
    words = re.findall(r"\w+", text.lower())
    count = Counter(tuple(words[place : place + PASSAGE]) for place in range(len(words) - PASSAGE + 1))
    return Counter({passage: times - 1 for passage, times in count.items() if times > 1})


def _loops(text: str) -> Counter:
    """Words that come three times in a row."""
    return Counter(loop[1] for loop in _LOOP.finditer(" ".join(re.findall(r"\w+", text.lower()))))
