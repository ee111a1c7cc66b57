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
        InputError: an unknown metric; a tokenizer with neither token.
    """

    def __init__(self, tokenizer, metrics: Sequence[str] = ("bleu4", "rougeL"), options: dict[str, dict] | None = None):
        self.metrics = [metric(name) for name in metrics]
        self.options = options or {}
        self.tokenizer = tokenizer
        self.filler = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        if self.filler is None:
            raise InputError("tokenizer", "no pad and no eos token", "one of them", "set tokenizer.pad_token")

    def __call__(self, prediction) -> dict[str, float]:
        """{metric: value}; predictions and labels are ids (samples, length).

        Raises:
            InputError: the predictions are no generated ids.
        """
        ids = prediction.predictions
        if isinstance(ids, tuple) or np.ndim(ids) != 2 or not np.issubdtype(np.asarray(ids).dtype, np.integer):
            found = f"{len(ids)} arrays" if isinstance(ids, tuple) else f"shape {np.shape(ids)} of {ids.dtype}"
            raise InputError("predictions", found, "ids (samples, length)", "set predict_with_generate=True")
        predictions, references = self._texts(ids), self._texts(prediction.label_ids)
        return {row.name: row(predictions, references, **self.options.get(row.name, {})).value for row in self.metrics}

    def _texts(self, ids: np.ndarray) -> list[str]:
        rows = np.where(ids == IGNORED, self.filler, ids)
        return [text.strip() for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]
