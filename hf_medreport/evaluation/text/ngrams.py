"""Counts of n-grams in many texts at once: the one thing that BLEU, ROUGE-N and CIDEr share.

Words become whole numbers, n-grams too: an n-gram is its first n - 1 words' number and its last word's, renumbered
densely, so nothing is hashed and no two n-grams fall together. Texts by n-grams is then a sparse matrix, and clipping,
document frequencies and cosines are sums over it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Ngrams:
    """The n-grams of one order in all texts.

    Args:
        order: n.
        counts: int32 (texts, distinct n-grams), sparse: how often each stands in each text.
        words: the words of all texts, one after the other.
        places: int (distinct n-grams,), one place in `words` where each n-gram begins.
    """

    order: int
    counts: csr_array
    words: list[str]
    places: np.ndarray

    def spelled(self) -> list[tuple[str, ...]]:
        """The n-gram of each column, as words."""
        return [tuple(self.words[place : place + self.order]) for place in self.places]


def count_ngrams(texts: list[list[str]], max_order: int) -> Iterator[Ngrams]:
    """The n-grams of 1, 2, ... `max_order` words, one order at a time.

    Args:
        texts: tokenized; a text shorter than n has no n-grams of that order.
    """
    words = [word for text in texts for word in text]
    numbers = {word: number for number, word in enumerate(dict.fromkeys(words))}
    word = np.fromiter(map(numbers.__getitem__, words), dtype=np.int64, count=len(words))
    length = np.array([len(text) for text in texts])
    left = np.repeat(np.cumsum(length), length) - np.arange(len(words))  # words from here to the end of the text
    gram = word.copy()  # the n-gram that begins here
    for order in range(1, max_order + 1):
        begin = np.flatnonzero(left >= order)
        if order > 1:
            longer = gram[begin] * len(numbers) + word[begin + order - 1]
            gram[begin] = np.unique(longer, return_inverse=True)[1]
        columns = gram[begin]
        places = np.empty(columns.max(initial=-1) + 1, dtype=np.int64)
        places[columns] = begin
        row_ends = np.concatenate([[0], np.cumsum(np.maximum(length - order + 1, 0))])
        ones = np.ones(len(begin), dtype=np.int32)
        counts = csr_array((ones, columns, row_ends), shape=(len(texts), len(places)))
        counts.sum_duplicates()
        yield Ngrams(order, counts, words, places)
