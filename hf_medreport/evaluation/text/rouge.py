"""ROUGE: how much of the reference's words the report recalls, and how much of the report is backed by the reference.

Lin 2004, "ROUGE: a package for automatic evaluation of summaries". ROUGE-1 and ROUGE-2 count shared words and pairs of
words; ROUGE-L the longest sequence of words that stands in both texts in the same order, with gaps. Two conventions:

- rouge_score (the Python package; `evaluate`): words of a-z and 0-9, Porter stems if asked for, F1; of several
  references the one with the best F1.
- COCO caption evaluation (pycocoevalcap; R2Gen, HistGen): ROUGE-L only, F with beta 1.2, which leans to recall; of
  several references the best precision and the best recall, though they be of different ones.

What it misses: meaning, as all counts of words do. ROUGE-1 does not see order at all: swap "left" and "right" between
two sentences and it stays 1. `evaluate` (so RadScribe) reports the middle of a bootstrap's means; ours is the mean.
"""

import numpy as np

from hf_medreport.evaluation.score import Score
from hf_medreport.evaluation.text.ngrams import count_ngrams
from hf_medreport.evaluation.text.porter import stem
from hf_medreport.evaluation.text.words import Pairs, Tokenizer, find_tokenizer, rouge_words, tokenize_pairs
from hf_medreport.processing.input_error import InputError

KINDS = ("rouge1", "rouge2", "rougeL")


def rouge(predictions: list[str], references: list, *, kind: str = "rougeL", stemmer: bool = False) -> Score:
    """ROUGE-1, ROUGE-2 or ROUGE-L as rouge_score computes it: mean F1, 0 to 1.

    `details` holds mean precision and recall.

    Args:
        kind: `"rouge1"`, `"rouge2"` or `"rougeL"`.
        stemmer: compare Porter stems of words of more than three letters.

    Raises:
        InputError: see `check_texts`; an unknown kind; a stemmer without nltk.
    """
    if kind not in KINDS:
        raise InputError("kind", f"'{kind}'", f"one of {', '.join(KINDS)}", "name the metric by one of these")
    pairs = tokenize_pairs(predictions, references, stemmed_words if stemmer else rouge_words)
    said, given = pairs.lengths()
    if kind == "rougeL":
        shared = _longest_common(pairs)
    else:
        order = int(kind[-1])
        shared = _shared_ngrams(pairs, order)
        said, given = np.maximum(said - order + 1, 0), np.maximum(given - order + 1, 0)
    precision = shared / np.maximum(said[pairs.owner], 1)
    recall = shared / np.maximum(given, 1)
    f1 = 2 * precision * recall / np.where(shared > 0, precision + recall, 1)
    best = pairs.best(f1)
    return Score(
        value=float(f1[best].mean()),
        per_sample=f1[best],
        name=kind,
        convention=f"ROUGE-{kind[-1]} of rouge_score, mean F1, {'Porter stems' if stemmer else 'no stemming'}, 0 to 1",
        details={"precision": float(precision[best].mean()), "recall": float(recall[best].mean())},
    )


def rouge_coco(predictions: list[str], references: list, *, tokenizer: Tokenizer = "coco") -> Score:
    """ROUGE-L as the COCO caption evaluation computes it: mean F with beta 1.2, 0 to 1.

    An empty text counts there as one empty word: two empty texts score 1.

    Raises:
        InputError: see `check_texts`; an unknown tokenizer.
    """
    beta = 1.2
    named, words = find_tokenizer(tokenizer)
    pairs = tokenize_pairs(predictions, references, lambda text: words(text) or [""])
    said, given = pairs.lengths()
    common = _longest_common(pairs)
    precision = np.maximum.reduceat(common / said[pairs.owner], pairs.first)
    recall = np.maximum.reduceat(common / given, pairs.first)
    score = (1 + beta**2) * precision * recall / np.where(precision > 0, recall + beta**2 * precision, 1)
    return Score(
        value=float(score.mean()),
        per_sample=score,
        name="rougeL_coco",
        convention=f"ROUGE-L of the COCO caption evaluation, mean F with beta 1.2, {named} words, 0 to 1",
        details={"precision": float(precision.mean()), "recall": float(recall.mean())},
    )


def stemmed_words(text: str) -> list[str]:
    """rouge_score's words with its stemmer on."""
    return [stem(word) if len(word) > 3 else word for word in rouge_words(text)]


def longest_common_subsequence(first: list, second: list) -> int:
    """Length of the longest sequence that stands in both lists in order, gaps allowed.

    Bit-parallel (Crochemore et al. 2001; Hyyro 2004): a row of the usual table rises by 0 or 1 a step, so it fits in
    the bits of one whole number (a 0 bit is a rise), and a few operations on it make the next row.
    """
    positions: dict = {}
    for place, word in enumerate(first):
        positions[word] = positions.get(word, 0) | 1 << place
    full = (1 << len(first)) - 1
    row = full
    for word in second:
        matches = row & positions.get(word, 0)
        row = (row + matches | row - matches) & full
    return len(first) - row.bit_count()


def _longest_common(pairs: Pairs) -> np.ndarray:
    """int (references,): the longest common subsequence of each reference and its prediction."""
    said = map(pairs.predictions.__getitem__, pairs.owner)
    return np.array([*map(longest_common_subsequence, pairs.references, said)])


def _shared_ngrams(pairs: Pairs, order: int) -> np.ndarray:
    """int (references,): n-grams that each reference shares with its prediction, each as often as in both."""
    *_, ngrams = count_ngrams(pairs.predictions + pairs.references, order)
    samples = len(pairs.predictions)
    return ngrams.counts[samples:].minimum(ngrams.counts[:samples][pairs.owner]).sum(axis=1)
