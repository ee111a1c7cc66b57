"""Texts to words. Metrics differ by their tokenization more than by their formula, so each is named.

- `coco`: for the metrics of the COCO caption evaluation, whose own tokenizer (Stanford's PTB tokenizer, then a list of
  marks removed) needs Java. Lower case; words keep hyphens, slashes, points, commas, colons and apostrophes that stand
  between letters or digits ("x-ray", "1.5", "2,000", "pa/lateral"); other signs are words of their own; quotes,
  brackets and `. ? ! , : ; -` are removed. It differs from PTB in clitics ("isn't" stays one word, PTB has "is n't"),
  in abbreviations ("dr." loses its point) and in brackets, whose names PTB leaves in lower-cased text ("-lrb-").
- `rouge`: rouge_score's. Lower case, runs of a-z and 0-9; all else separates.
- `13a`: mteval's and sacrebleu's. Case is kept, marks are split off as words.
- `whitespace`: for text that is already tokenized. Splits at white space and does nothing else.

A tokenizer is one of these names or any function from a text to its words.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hf_medreport.evaluation.score import check_texts
from hf_medreport.processing.input_error import InputError

Tokenizer = str | Callable[[str], list[str]]

_COCO_WORD = re.compile(r"\w+(?:[-'’.,:/]\w+)*|--+|\.\.+|[^\w\s]")
_COCO_REMOVED = frozenset("'’‘`\"“”()[]{}.?!,:;-")
_ROUGE_WORD = re.compile(r"[a-z0-9]+")
_13A_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_13A_SPLITS = (
    (re.compile(r"([{-~\[-`!-&(-+:-@/])"), r" \1 "),  # marks, but not ' , - .
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),  # a point or comma, unless a digit stands before it
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),  # or after it
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),  # a hyphen after a digit
)


def coco_words(text: str) -> list[str]:
    """The words of `coco`."""
    words = _COCO_WORD.findall(text.lower())
    return [word for word in words if word not in _COCO_REMOVED and word[:2] not in ("--", "..")]


def rouge_words(text: str) -> list[str]:
    """The words of `rouge`."""
    return _ROUGE_WORD.findall(text.lower())


def mteval_words(text: str) -> list[str]:
    """The words of `13a`."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, sign in _13A_ENTITIES:
        text = text.replace(entity, sign)
    text = f" {text} "
    for pattern, replacement in _13A_SPLITS:
        text = pattern.sub(replacement, text)
    return text.split()


TOKENIZERS = {"coco": coco_words, "rouge": rouge_words, "13a": mteval_words, "whitespace": str.split}


def find_tokenizer(tokenizer: Tokenizer) -> tuple[str, Callable[[str], list[str]]]:
    """The name of a tokenizer, for the convention line, and its function; InputError for an unknown name."""
    if callable(tokenizer):
        return getattr(tokenizer, "__qualname__", type(tokenizer).__name__), tokenizer
    if tokenizer not in TOKENIZERS:
        raise InputError("tokenizer", f"'{tokenizer}'", f"one of {', '.join(TOKENIZERS)}", "or give a function")
    return tokenizer, TOKENIZERS[tokenizer]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Tokenized predictions and references; a sample may have several references.

    Args:
        predictions: n lists of words.
        references: the m >= n references of all samples, one after the other, as lists of words.
        owner: int (m,), to which sample each reference belongs; rising.
    """

    predictions: list[list[str]]
    references: list[list[str]]
    owner: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """int (n,): where each sample's references begin."""
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    def best(self, values: np.ndarray) -> np.ndarray:
        """int (n,): for each sample the reference with its highest value, the first of equals.

        Args:
            values: float (m,), one a reference.
        """
        order = np.lexsort((np.arange(len(values)), -values, self.owner))
        return order[self.first]

    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """Words in each prediction, int (n,), and in each reference, int (m,)."""
        return np.array([*map(len, self.predictions)]), np.array([*map(len, self.references)])


def tokenize_pairs(predictions: list[str], references: list, words: Callable[[str], list[str]]) -> Pairs:
    """Check (see `check_texts`) and tokenize what a metric was given."""
    predictions, references = check_texts(predictions, references)
    return Pairs(
        predictions=[words(text) for text in predictions],
        references=[words(text) for group in references for text in group],
        owner=np.repeat(np.arange(len(references)), [len(group) for group in references]),
    )
