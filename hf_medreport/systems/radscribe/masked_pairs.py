"""MedViLL's two tasks as a data set: films with a report, some words of it masked, and which may be another film's.

As published (Moon et al. 2022): each piece of a report is chosen with probability 0.15, at least one a report; of the
chosen ones 80 % become [MASK], 10 % any piece of the vocabulary, 10 % stay. Half of the films come with the report of a
film whose labels are others; its words are guessed too. The pooled state tells whose report it is.

All chance depends on seed, epoch and record alone, so workers, batches and a kill in between change nothing.
"""

from collections.abc import Callable, Hashable

import numpy as np
import torch

from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.processing.input_error import InputError

CHOSEN, MASKED, REPLACED = 0.15, 0.8, 0.1
OWN_REPORT = 0.5
UNKNOWN = -100  # a word that is not to be guessed


class MaskedPairs:
    """Model inputs of `MedViLLForPreTraining`, one record each.

    Args:
        records: with `image`.
        texts: the report of each.
        findings: what each says, None where that is not known. A film is never given another's report that says the
            same; where some are not known, the texts are compared instead.
        processor: `MedViLLProcessor`.
        seed: of all chance.
        epoch: tells the current epoch.

    Raises:
        InputError: all reports say the same.
    """

    def __init__(
        self,
        records,
        texts: list[str],
        findings: list[Hashable | None],
        processor,
        seed: int,
        epoch: Callable[[], int] = lambda: 0,
    ):
        self.records, self.texts, self.processor, self.seed, self.epoch = records, texts, processor, seed, epoch
        self.said = texts if None in findings else findings
        if len(set(self.said)) < 2:
            found = f"{len(texts)} reports that say the same"
            raise InputError("reports", found, "two or more that differ", "a film needs another's report")

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict:
        """`pixel_values` (3, size, size); `input_ids`, `attention_mask` and `labels` (max_text_tokens + 1); whether the
        report is the film's as `match_labels` ()."""
        rng = np.random.default_rng((self.seed, self.epoch(), index))
        own = rng.random() < OWN_REPORT
        text = self.texts[index if own else self._another(index, rng)]
        inputs = self.processor(self.records[index]["image"], text=text)
        inputs = {name: value[0] for name, value in inputs.items()}
        inputs["input_ids"], inputs["labels"] = masked(inputs["input_ids"], self.processor.tokenizer, rng)
        return {**inputs, "match_labels": torch.tensor(int(own))}

    def _another(self, index: int, rng: np.random.Generator) -> int:
        """A record that says something else."""
        while self.said[other := int(rng.integers(len(self.said)))] == self.said[index]:
            pass
        return other


def masked(ids: torch.Tensor, tokenizer, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (length) with some pieces masked, and the pieces to be guessed (length), `UNKNOWN` elsewhere.

    [SEP] and padding are never chosen.
    """
    words = ~torch.isin(ids, torch.tensor([tokenizer.sep_token_id, tokenizer.pad_token_id]))
    chance, fate = (torch.from_numpy(rng.random(len(ids))) for _ in range(2))
    anything = torch.from_numpy(rng.integers(len(tokenizer), size=len(ids)))
    chosen = words & (chance < CHOSEN)
    if not chosen.any():
        chosen[0] = words[0]
    shown = torch.where(chosen & (fate < MASKED + REPLACED), anything, ids)
    shown = torch.where(chosen & (fate < MASKED), tokenizer.mask_token_id, shown)
    return shown, torch.where(chosen, ids, UNKNOWN)


def best_guesses(logits: tuple, labels: tuple) -> tuple[torch.Tensor, torch.Tensor]:
    """Of both tasks' scores only the best: words (batch, text) and matches (batch). Vocabularies are large."""
    return logits[0].argmax(-1), logits[1].argmax(-1)


def pair_figures(prediction) -> dict[str, dict]:
    """Accuracy, its 95 % interval over films, and chance: of `words` and of the `match`.

    Chance is the most frequent of the very words that were asked for, and one half. Of the words also the accuracy on
    films with their own report and with another's: what it is worth to see the right film.
    """
    (guessed, matches), (labels, own) = prediction.predictions, prediction.label_ids
    asked, own = labels != UNKNOWN, own.astype(bool)
    hits = np.stack([((guessed == labels) & asked).sum(1), asked.sum(1)], axis=1)  # (films, 2)
    right = (matches == own).astype(float)
    _, counts = np.unique(labels[asked], return_counts=True)
    return {
        "words": {
            "accuracy": share(hits),
            "interval": list(bootstrap_interval(hits, lambda means: means[:, 0] / means[:, 1])),
            "chance": counts.max() / counts.sum(),
            "own_film": share(hits[own]),
            "other_film": share(hits[~own]),
        },
        "match": {"accuracy": right.mean(), "interval": list(bootstrap_interval(right)), "chance": OWN_REPORT},
    }


def share(hits: np.ndarray) -> float | None:
    """Hits of all that was asked for, (films, 2) counts; None where nothing was."""
    right, asked = hits.sum(0)
    return right / asked if asked else None


def pair_metrics(prediction) -> dict[str, float]:
    """`compute_metrics` of both tasks."""
    figures = pair_figures(prediction)
    return {"word_accuracy": figures["words"]["accuracy"], "match_accuracy": figures["match"]["accuracy"]}
