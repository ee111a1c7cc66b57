"""The table of metrics: a name, and where its function stands. A module is imported when its metric is first used.

from hf_medreport.evaluation.registry import metric
metric("cider_d")(predictions, references).value
"""

import difflib
import importlib
from dataclasses import dataclass, field

from hf_medreport.evaluation.score import Score
from hf_medreport.processing.input_error import InputError

__all__ = ["METRICS", "Metric", "metric"]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Args:
        name: as users write it.
        function: `"module:function"` below `hf_medreport.evaluation`.
        options: what makes the function this metric.
        needs: what a user must have beside this package and give as an option; empty where nothing.
    """

    name: str
    function: str
    options: dict = field(default_factory=dict)
    needs: str = ""

    def resolve(self):
        """The function, without the options."""
        module, _, name = self.function.partition(":")
        return getattr(importlib.import_module(f"hf_medreport.evaluation.{module}"), name)

    def __call__(self, predictions: list[str], references: list, **options) -> Score:
        return self.resolve()(predictions, references, **self.options, **options)


def _label_scores(labels: str, function: str, needs: str = "") -> list[Metric]:
    """On 14 observations and on five, micro and macro."""
    return [
        Metric(
            f"{labels}{'5' if five else ''}_{'macro_' if average == 'macro' else ''}{figure}",
            function,
            {"figure": figure, "average": average, "observations": 5 if five else 14},
            needs,
        )
        for five in (False, True)
        for average in ("micro", "macro")
        for figure in ("f1", "precision", "recall")
    ]


_ROWS = (
    *(Metric(f"bleu{n}", "text.bleu:bleu", {"order": n}) for n in (1, 2, 3, 4)),
    *(Metric(f"sacrebleu{n}", "text.bleu:sacrebleu", {"order": n}) for n in (1, 2, 3, 4)),
    *(Metric(kind, "text.rouge:rouge", {"kind": kind}) for kind in ("rouge1", "rouge2", "rougeL")),
    Metric("rougeL_coco", "text.rouge:rouge_coco"),
    Metric("meteor", "text.meteor:meteor"),
    Metric("cider", "text.cider:cider"),
    Metric("cider_d", "text.cider:cider", {"clipped": True}),
    *(
        Metric(f"token_{figure}", "text.token_overlap:token_overlap", {"figure": figure})
        for figure in ("accuracy", "precision", "recall", "f1")
    ),
    Metric("bertscore", "text.bertscore:bertscore", needs="an encoder's folder, as the option model"),
    *_label_scores("chexpert", "clinical.label_scores:chexpert"),
    *_label_scores("chexbert", "clinical.chexbert:chexbert", "the package f1chexbert, or CheXbert's folder as model"),
    *(
        Metric(f"pathology_{figure}", "clinical.pathology:pathology", {"figure": figure})
        for figure in ("f1", "precision", "recall")
    ),
    *(
        Metric(f"facts_{prefix}{figure}", "clinical.facts:facts", {"figure": figure, "level": level})
        for level, prefix in (("exact", ""), ("whole", "whole_"))
        for figure in ("f1", "precision", "recall")
    ),
    *(
        Metric(
            f"umls_{figure}{'' if scaling == 'raw' else '_' + scaling}",
            "clinical.umls:umls",
            {"figure": figure, "scaling": scaling},
            "a table of terms (id<TAB>term) or a linker, as the option linker",
        )
        for scaling in ("raw", "legacy_scaled", "length_penalised")
        for figure in ("f1", "precision", "recall", "jaccard")
    ),
    *(
        Metric(
            f"radgraph_{variant}",
            "clinical.radgraph:radgraph",
            {"variant": variant},
            "the package radeval or radgraph and the option model, such as radgraph-xl",
        )
        for variant in ("E", "ER", "bar")
    ),
    Metric("learned", "learned:learned", needs="your scorer, as the option scorer"),
)
METRICS = {row.name: row for row in _ROWS}


def metric(name: str) -> Metric:
    """The metric of that name, to be called; InputError lists the known ones for an unknown name."""
    if name not in METRICS:
        nearest = difflib.get_close_matches(name, METRICS, n=1)
        hint = f"did you mean '{nearest[0]}'?" if nearest else "use one of these"
        raise InputError("metric", f"'{name}'", f"one of {', '.join(METRICS)}", hint)
    return METRICS[name]
