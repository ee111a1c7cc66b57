"""Scores of generated reports by the names under which RadScribe logs them.

    ReportMetrics(tokenizer, samples, facts=OriginalFigures(tokenizer, linker="terms.tsv"))

What each of them misses stands beside it in the library of metrics. The four `TOKEN_` figures go to 1 on a set of any
size; the four `CLINICAL_` ones are scaled by the original's bonus for equal counts and compare with its runs only.
"""

from hf_medreport.evaluation.clinical.umls import umls
from hf_medreport.evaluation.registry import metric
from hf_medreport.evaluation.text.token_overlap import token_overlap

__all__ = ["OriginalFigures"]

TEXT = {
    "BLEU-4": "bleu4",
    "METEOR": "meteor",
    "ROUGE-1": "rouge1",
    "ROUGE-2": "rouge2",
    "ROUGE-L": "rougeL",
    "CIDEr": "cider",
}
TOKENS = {name: f"TOKEN_{name.upper()}" for name in ("accuracy", "precision", "recall", "f1")}
CLINICAL = {"precision": "PRECISION", "recall": "RECALL", "f1": "F1", "jaccard": "ACCURACY"}


class OriginalFigures:
    """A function of generated reports and references.

    Args:
        tokenizer: of the model; its tokens are what `TOKEN_` figures count.
        linker: of concepts, for the `CLINICAL_` figures, as `umls` takes it; None leaves them out.
    """

    def __init__(self, tokenizer, linker=None):
        self.tokenizer, self.linker = tokenizer, linker

    def __call__(self, generated: list[str], references: list[str]) -> dict[str, float]:
        """{the original's name without `eval/`: value}"""
        scores = {name: metric(ours)(generated, references).value for name, ours in TEXT.items()}
        shared = token_overlap(generated, references, tokenizer=self.tokenizer.tokenize).details
        scores |= {name: shared[figure] for figure, name in TOKENS.items()}
        if self.linker is not None:
            concepts = umls(generated, references, linker=self.linker).details["legacy_scaled"]
            scores |= {f"CLINICAL_{name}": concepts[figure] for figure, name in CLINICAL.items()}
        return scores
