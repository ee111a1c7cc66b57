"""Scores of the reports that a validation generates, and the table of samples that it leaves."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sacrebleu

from hf_medreport.files.writing import write_text
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.phantom.chest.score import score_facts
from hf_medreport.phantom.slide.parser import parse_slide_report


def chest_facts(generated: list[str], references: list[str]) -> dict[str, float]:
    """Facts of phantom chests, parsed from both: `fact_f1` asks for kind, side, zone and severity, `kind_f1` for the
    kind."""
    scores = score_facts([parse_report(text) for text in generated], [parse_report(text) for text in references])
    return {"fact_f1": scores["exact"]["f1"] or 0.0, "kind_f1": scores["kind"]["f1"] or 0.0}


def slide_facts(generated: list[str], references: list[str]) -> dict[str, float]:
    """Facts of phantom slides, parsed from both: `fact_f1` over (field, value) pairs."""
    pairs = zip(map(parse_slide_report, generated), map(parse_slide_report, references), strict=True)
    hits, stated, true = np.sum([(len(one & other), len(one), len(other)) for one, other in pairs], axis=0)
    return {"fact_f1": float(2 * hits / max(stated + true, 1))}


class ReportMetrics:
    """`compute_metrics` for generated reports; also keeps a table of samples.

    BLEU-4 is sacrebleu's (0 to 100).

    Args:
        tokenizer: of the model.
        samples: file of the sample table, one JSON object a line, those of one step beside each other in the order of
            steps; None keeps none.
        facts: more metrics of (generated, references), for reports that follow a phantom's grammar.
    """

    NUM_SAMPLES = 8

    def __init__(self, tokenizer, samples: Path | None, facts: Callable[[list, list], dict] | None = None):
        self.tokenizer, self.samples, self.facts = tokenizer, samples, facts
        self.step = 0  # at which the model is scored; the trainer says it
        self.shown: list[tuple[str, str]] = []  # the first (reference, generated) of the last evaluation

    def __call__(self, prediction) -> dict[str, float]:
        generated, references = self._texts(prediction.predictions), self._texts(prediction.label_ids)
        metrics = {"bleu4": sacrebleu.corpus_bleu(generated, [references]).score}
        if self.facts is not None:
            metrics |= self.facts(generated, references)
        self.shown = list(zip(references, generated, strict=True))[: self.NUM_SAMPLES]
        if self.samples is not None and int(os.environ.get("RANK", "0")) == 0:
            rows = [{"step": self.step, **metrics, "reference": true, "generated": text} for true, text in self.shown]
            others = [row for row in read_samples(self.samples) if row["step"] != self.step]
            write_samples(self.samples, sorted(others + rows, key=lambda row: row["step"]))
        return metrics

    def _texts(self, ids: np.ndarray) -> list[str]:
        end = self.tokenizer.eos_token_id
        rows = np.where(ids == -100, end, ids)
        return [text.strip() for text in self.tokenizer.batch_decode(rows, skip_special_tokens=True)]


def drop_samples_beyond(path: Path, step: int) -> None:
    """Leave out of a sample table what an earlier run wrote after the step that this one goes on from, 0 at its
    start."""
    if path.exists():
        write_samples(path, [row for row in read_samples(path) if step and row["step"] <= step])


def read_samples(path: Path) -> list[dict]:
    """The rows of a sample table, none without a file; those of earlier versions, which have no step, are left out."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [row for row in map(json.loads, lines) if "step" in row]


def write_samples(path: Path, rows: list[dict]) -> None:
    """A sample table that is there as a whole."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    write_text(path, text)
