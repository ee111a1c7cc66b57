"""The registry's metrics for the `evaluate` library, opened from this folder, without a network.

    from hf_medreport.evaluation.modules import MODULE
    evaluate.load(MODULE, "bleu4").compute(predictions=[...], references=[...])
    # {"bleu4": 0.21, "per_sample": [...], "convention": "..."}

`evaluate` copies this file elsewhere before it imports it, so hf_medreport must be installed.
"""

import datasets
import evaluate

from hf_medreport.evaluation.registry import metric

DESCRIPTION = "The metrics of hf-medreport for medical reports; the configuration's name is the metric's."


class MedReport(evaluate.Metric):
    """One metric; the default configuration is BLEU-4 of the COCO caption evaluation."""

    def _info(self):
        name = self._metric_name()
        texts = datasets.Value("string")
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation="",
            inputs_description=f"{name}: predictions, strings; references, strings or lists of strings.",
            features=[
                datasets.Features({"predictions": texts, "references": datasets.Sequence(texts)}),
                datasets.Features({"predictions": texts, "references": texts}),
            ],
        )

    def _metric_name(self) -> str:
        return metric("bleu4" if self.config_name == "default" else self.config_name).name

    def _compute(self, predictions, references, **options):
        name = self._metric_name()
        score = metric(name)(predictions, references, **options)
        return {name: score.value, "per_sample": score.per_sample.tolist(), "convention": score.convention}
