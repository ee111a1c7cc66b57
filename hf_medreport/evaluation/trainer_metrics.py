"""Metrics of the registry as `compute_metrics` of `Seq2SeqTrainer`.

    Seq2SeqTrainer(..., compute_metrics=TrainerMetrics(tokenizer, ["bleu4", "rougeL"]))

The trainer must generate (`predict_with_generate=True`): scores of teacher-forced words are not scores of reports.
"""

from collections.abc import Sequence

import numpy as np

from hf_medreport.evaluation.registry import metric
from hf_medreport.processing.input_error import InputError

__all__ = ["TrainerMetrics"]

IGNORED = -100  # what the trainer pads with


class TrainerMetrics:
    """A function of an `EvalPrediction`.

    Args:
        tokenizer: of the model: `batch_decode` and a `pad_token_id` or `eos_token_id`.
        metrics: names of the registry.
        options: {metric: its options}.

    Raises:
        InputError: an unknown metric, or one whose option is missing; a tokenizer with neither token.
    """

    def __init__(self, tokenizer, metrics: Sequence[str] = ("bleu4", "rougeL"), options: dict[str, dict] | None = None):
        self.metrics = [metric(name) for name in metrics]
        self.options = options or {}
        for row in self.metrics:
            row.check_options(self.options.get(row.name, {}))
        self.tokenizer = tokenizer
        self.filler = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        if self.filler is None:
            raise InputError("tokenizer", "no pad and no eos token", "one of them", "set tokenizer.pad_token")

    def __call__(self, prediction) -> dict[str, float]:
        """{metric: value}; predictions and labels are ids (samples, length), or lists of rows of any length.

        Raises:
            InputError: the predictions are no generated ids.
        """
        predictions = self._texts("predictions", prediction.predictions)
        references = self._texts("labels", prediction.label_ids)
        return {row.name: row(predictions, references, **self.options.get(row.name, {})).value for row in self.metrics}

    def _texts(self, role: str, ids: np.ndarray | list) -> list[str]:
        rows = _rows(role, ids)
        filled = np.full((len(rows), max(map(len, rows), default=0)), self.filler)
        for place, row in zip(filled, rows, strict=True):
            place[: len(row)] = np.where(row == IGNORED, self.filler, row)
        return [text.strip() for text in self.tokenizer.batch_decode(filled, skip_special_tokens=True)]


def _rows(role: str, ids: np.ndarray | list) -> list[np.ndarray]:
    """The rows of ids, an array each; InputError where they are something else, such as logits."""
    expected, remedy = "ids (samples, length)", "set predict_with_generate=True"
    if isinstance(ids, tuple):  # what a model returns beside its logits
        raise InputError(role, f"{len(ids)} arrays", expected, remedy)
    rows = [np.asarray(row) for row in ids]
    for row in rows:
        if row.ndim != 1 or (row.size and not np.issubdtype(row.dtype, np.integer)):
            raise InputError(role, f"rows of shape {row.shape} of {row.dtype}", expected, remedy)
    return rows
