"""CIDEr: are the n-grams that matter in the reference said? An n-gram counts by how few references use it.

Vedantam et al. 2015, "CIDEr: consensus-based image description evaluation". Texts become vectors of their n-grams'
counts times log(documents / documents with it); the score is ten times the mean cosine, over n = 1 to 4 and over the
references.

- CIDEr is that plain mean of cosines.
- CIDEr-D, which pycocoevalcap computes under the name CIDEr and which papers report, also clips each n-gram to what
  the reference holds, and shrinks by exp(-d^2 / (2 sigma^2)), d the difference in length, so that repeating words and
  padding do not pay.

Words are not stemmed (the paper stems). The range is 0 to 10.

What it misses: it depends on the set it is computed on. The same report scores differently beside other references, and
on one sample every n-gram is in every document, so the score is 0: give `frequencies` of a fixed corpus to compare sets
or to reward single reports. A rare style of wording weighs as much as a rare finding.
"""

from dataclasses import dataclass

import numpy as np

from hf_medreport.evaluation.score import Score, check_references
from hf_medreport.evaluation.text.ngrams import Ngrams, count_ngrams
from hf_medreport.evaluation.text.words import Pairs, Tokenizer, find_tokenizer, tokenize_pairs
from hf_medreport.processing.input_error import InputError

ORDERS = 4


@dataclass(frozen=True)
class DocumentFrequencies:
    """In how many of a corpus's documents each n-gram stands. A document is all references of one sample.

    Args:
        documents: how many documents.
        counts: n-gram of 1 to 4 words -> documents with it.
        tokenizer: name of the tokenizer whose words these are.
    """

    documents: int
    counts: dict[tuple[str, ...], int]
    tokenizer: str


def document_frequencies(references: list, *, tokenizer: Tokenizer = "coco") -> DocumentFrequencies:
    """Count a corpus once, for `frequencies` of `cider`: for example the training set's reports.

    Args:
        references: strings, or lists of strings where a sample has several.

    Raises:
        InputError: see `check_texts`; an unknown tokenizer.
    """
    named, words = find_tokenizer(tokenizer)
    groups = check_references(references)
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    counts = {}
    for ngrams in count_ngrams([words(text) for group in groups for text in group], ORDERS):
        counts.update(zip(ngrams.spelled(), _documents_with(ngrams, owner).tolist(), strict=True))
    return DocumentFrequencies(len(groups), counts, named)


def cider(
    predictions: list[str],
    references: list,
    *,
    clipped: bool = False,
    sigma: float = 6.0,
    frequencies: DocumentFrequencies | None = None,
    tokenizer: Tokenizer = "coco",
) -> Score:
    """CIDEr, or CIDEr-D with `clipped`: the mean over the reports, 0 to 10.

    Args:
        clipped: CIDEr-D.
        sigma: CIDEr-D's tolerance for a difference in length, in words.
        frequencies: from `document_frequencies`; by default counted from `references`.

    Raises:
        InputError: see `check_texts`; a sigma not above 0; an unknown tokenizer; frequencies of another tokenizer.
    """
    named, words = find_tokenizer(tokenizer)
    if not sigma > 0:
        raise InputError("sigma", str(sigma), "a number above 0", "6 is CIDEr-D's")
    if frequencies is not None and frequencies.tokenizer != named:
        raise InputError("frequencies", f"{frequencies.tokenizer} words", f"{named} words", "count them with the same")
    pairs = tokenize_pairs(predictions, references, words)
    samples = len(pairs.predictions)
    documents = frequencies.documents if frequencies else samples
    similarity = np.zeros(len(pairs.references))
    for ngrams in count_ngrams(pairs.predictions + pairs.references, ORDERS):
        if frequencies:
            found = np.array([frequencies.counts.get(ngram, 0) for ngram in ngrams.spelled()])
        else:
            found = _documents_with(_references_only(ngrams, samples), pairs.owner)
        weight = np.log(documents) - np.log(np.maximum(found, 1))  # an n-gram in no document weighs as one in one
        similarity += _cosines(ngrams.counts, weight, pairs, clipped)
    similarity /= ORDERS
    if clipped:
        said, given = pairs.lengths()
        # The reference implementation takes a text's number of bigrams for its length: words - 1, but 0 for none.
        gap = np.maximum(given - 1, 0) - np.maximum(said - 1, 0)[pairs.owner]
        similarity *= np.exp(-(gap**2) / (2 * sigma**2))
    per_sample = 10 * np.add.reduceat(similarity, pairs.first) / np.bincount(pairs.owner)
    variant = f"CIDEr-D of pycocoevalcap, sigma {sigma:g}" if clipped else "CIDEr (plain cosine, no stemming)"
    corpus = f"{documents} given documents" if frequencies else "these references"
    return Score(
        value=float(per_sample.mean()),
        per_sample=per_sample,
        name="cider_d" if clipped else "cider",
        convention=f"{variant}, frequencies from {corpus}, {named} words, 0 to 10",
        details={"documents": documents},
    )


def _references_only(ngrams: Ngrams, samples: int) -> Ngrams:
    return Ngrams(ngrams.order, ngrams.counts[samples:], ngrams.words, ngrams.places)


def _documents_with(ngrams: Ngrams, owner: np.ndarray) -> np.ndarray:
    """int (n-grams,): samples with the n-gram in at least one reference. `ngrams` are the references' only."""
    counts = ngrams.counts
    column, sample = counts.indices.astype(np.int64), np.repeat(owner, np.diff(counts.indptr))
    if len(owner) > owner[-1] + 1:  # some sample has several references: count it once
        column = np.unique(column * (owner[-1] + 1) + sample) // (owner[-1] + 1)
    return np.bincount(column, minlength=counts.shape[1])


def _cosines(counts, weight: np.ndarray, pairs: Pairs, clipped: bool) -> np.ndarray:
    """(references,): cosine of each reference's weighted n-grams with its prediction's, 0 where one has no weight."""
    vectors = counts.astype(np.float64)
    vectors.data *= weight[vectors.indices]
    length = np.sqrt((vectors**2).sum(axis=1))
    samples = len(pairs.predictions)
    said, given = vectors[:samples], vectors[samples:]
    if given.shape[0] > samples:
        said = said[pairs.owner]
    shared = (said.minimum(given) if clipped else said).multiply(given).sum(axis=1)
    norm = length[:samples][pairs.owner] * length[samples:]
    return np.divide(shared, norm, where=norm > 0, out=np.zeros(len(norm)))
