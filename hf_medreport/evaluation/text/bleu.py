"""BLEU: how many of a report's words, and of its runs of 2, 3 and 4 words, stand in the reference.

Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation". Two conventions are in use for
reports, and they give different numbers on the same text:

- COCO caption evaluation (pycocoevalcap; R2Gen, HistGen): lower-cased words without marks, 0 to 1, no smoothing beyond
  tiny constants, so a missing order makes 0.
- sacrebleu (Post 2018, "A call for clarity in reporting BLEU scores"): 13a words with marks and case, 0 to 100; an
  order without a match counts as half a match, the next as a quarter, ... (`exp`).

What it misses: meaning. "No effusion" and "effusion" differ by one word; a wrong side by one. The order of sentences
and mere style cost more than a wrong finding. It is a corpus figure: the mean of reports' own BLEU is another number.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from hf_medreport.evaluation.score import Score, check_texts
from hf_medreport.evaluation.text.ngrams import count_ngrams
from hf_medreport.evaluation.text.words import Pairs, Tokenizer, find_tokenizer, tokenize_pairs
from hf_medreport.processing.input_error import InputError

USUAL_ORDER = 4


@dataclass(frozen=True, eq=False)
class Matches:
    """What BLEU is computed from; sums over samples are the corpus's. All are int.

    Args:
        correct: (samples, orders), n-grams that stand in a reference, each at most as often as in one reference.
        total: (samples, orders), n-grams of the prediction.
        length: (samples,), words of the prediction.
        reference_length: (samples,), words of the reference nearest in length, the shorter of two.
    """

    correct: np.ndarray
    total: np.ndarray
    length: np.ndarray
    reference_length: np.ndarray

    def summed(self) -> "Matches":
        """The whole corpus as one sample."""
        columns = (self.correct, self.total, self.length, self.reference_length)
        return Matches(*(column.sum(axis=0, keepdims=True) for column in columns))


def bleu(predictions: list[str], references: list, *, order: int = 4, tokenizer: Tokenizer = "coco") -> Score:
    """BLEU-`order` as the COCO caption evaluation computes it, 0 to 1; `details` holds the lower orders too.

    Raises:
        InputError: see `check_texts`; an order below 1; an unknown tokenizer.
    """
    matches, named = corpus_matches(predictions, references, order, tokenizer)
    corpus = coco_bleu(matches.summed())[0]
    return Score(
        value=float(corpus[-1]),
        per_sample=coco_bleu(matches)[:, -1],
        name=f"bleu{order}",
        convention=f"BLEU-{order} of the COCO caption evaluation, corpus level, nearest length, {named} words, 0 to 1",
        details={f"bleu{n + 1}": float(corpus[n]) for n in range(order)} | _lengths(matches),
    )


def sacrebleu(
    predictions: list[str],
    references: list,
    *,
    order: int = 4,
    tokenizer: Tokenizer = "13a",
    lowercase: bool = False,
) -> Score:
    """BLEU-`order` as sacrebleu computes it, 0 to 100.

    `value` is its `corpus_bleu`; `per_sample` its `sentence_bleu`, which leaves out orders longer than the report.

    Raises:
        InputError: see `check_texts`; an order below 1; an unknown tokenizer.
    """
    matches, named = corpus_matches(predictions, references, order, tokenizer, lowercase)
    case = "lower-cased" if lowercase else "case kept"
    return Score(
        value=float(smoothed_bleu(matches.summed(), effective_order=False)[0]),
        per_sample=smoothed_bleu(matches, effective_order=True),
        name=f"sacrebleu{order}",
        convention=f"BLEU-{order} of sacrebleu, corpus level, smoothing exp, {named} words, {case}, 0 to 100",
        details=_lengths(matches),
    )


def corpus_matches(
    predictions: list[str], references: list, order: int, tokenizer: Tokenizer, lowercase: bool = False
) -> tuple[Matches, str]:
    """The matches of texts in the words of a tokenizer, and its name.

    Raises:
        InputError: see `check_texts`; an order below 1; an unknown tokenizer.
    """
    if order < 1:
        raise InputError("order", str(order), "1 or more", "BLEU-4 is the usual one")
    named, words = find_tokenizer(tokenizer)
    predictions, references = check_texts(predictions, references)
    every = _counted(tuple(predictions), tuple(map(tuple, references)), words, lowercase, max(order, USUAL_ORDER))
    return replace(every, correct=every.correct[:, :order], total=every.total[:, :order]), named


@lru_cache(maxsize=4)  # all orders, and the interval of each, are asked for of the same texts one after the other
def _counted(predictions: tuple, references: tuple, words: Callable, lowercase: bool, order: int) -> Matches:
    split = (lambda text: words(text.lower())) if lowercase else words
    return count_matches(tokenize_pairs(list(predictions), list(map(list, references)), split), order)


def count_matches(pairs: Pairs, order: int) -> Matches:
    """Clipped matches of 1 to `order` words. Of several references the one with the most of an n-gram counts for it."""
    samples = len(pairs.predictions)
    length, reference_lengths = pairs.lengths()
    correct = np.empty((samples, order), dtype=np.int64)
    for ngrams in count_ngrams(pairs.predictions + pairs.references, order):
        said, given = ngrams.counts[:samples], ngrams.counts[samples:]
        matched = given.minimum(said[pairs.owner] if len(pairs.references) > samples else said)
        correct[:, ngrams.order - 1] = _most_of_each(matched, pairs).sum(axis=1)
    orders = np.arange(order)
    distance = np.abs(reference_lengths - length[pairs.owner])
    nearest = np.lexsort((reference_lengths, distance, pairs.owner))[pairs.first]
    return Matches(correct, np.maximum(length[:, None] - orders, 0), length, reference_lengths[nearest])


def _most_of_each(counts, pairs: Pairs):
    """Sparse (references, n-grams) to (samples, n-grams): the highest count among a sample's references."""
    if counts.shape[0] == len(pairs.predictions):
        return counts
    last = np.append(pairs.first[1:], len(pairs.owner)) - 1
    most = counts[pairs.first]
    for step in range(1, int((last - pairs.first).max()) + 1):  # a sample with fewer references meets its last again
        most = most.maximum(counts[np.minimum(pairs.first + step, last)])
    return most


def coco_bleu(matches: Matches) -> np.ndarray:
    """(samples, orders): BLEU of each order; the two constants keep 0 / 0 at 0 and are part of the convention."""
    tiny, small = 1e-15, 1e-9
    precision = (matches.correct + tiny) / (matches.total + small)
    mean = np.cumprod(precision, axis=1) ** (1 / np.arange(1, precision.shape[1] + 1))
    ratio = (matches.length + tiny) / (matches.reference_length + small)
    return mean * np.exp(np.minimum(1 - 1 / ratio, 0))[:, None]


def smoothed_bleu(matches: Matches, *, effective_order: bool) -> np.ndarray:
    """(samples,): BLEU in percent, smoothed. With `effective_order` the mean is over the orders that the report has."""
    correct, total = matches.correct, matches.total
    missing = (correct == 0) & (total > 0)
    halved = np.where(missing, 0.5 ** np.cumsum(missing, axis=1), correct)
    has_order = total > 0
    logs = np.log(halved / np.maximum(total, 1), where=has_order, out=np.zeros(total.shape))
    orders = has_order.sum(axis=1) if effective_order else total.shape[1]
    mean = np.exp(logs.sum(axis=1) / np.maximum(orders, 1))
    complete = correct.any(axis=1) & (effective_order | has_order.all(axis=1))
    shortness = 1 - matches.reference_length / np.maximum(matches.length, 1)
    return 100 * np.where(complete, mean * np.exp(np.minimum(shortness, 0)), 0.0)


def _lengths(matches: Matches) -> dict[str, int]:
    return {"words": int(matches.length.sum()), "reference_words": int(matches.reference_length.sum())}
