"""Two systems on the same made-up reports: one that is often right, one that is often wrong."""

import numpy as np

from hf_medreport.evaluation.reports.predictions import ReportPairs

PARTS = (
    "Small left pleural effusion.",
    "No pneumothorax.",
    "The heart is enlarged.",
    "There is consolidation in the right lower zone.",
    "The lungs are clear.",
)


def two_systems(n: int = 40, seed: int = 0) -> tuple[ReportPairs, ReportPairs]:
    rng = np.random.default_rng(seed)
    references, good, bad = [], [], []
    for _ in range(n):
        true = rng.permutation(5)[:3]
        changed = np.where(rng.random(3) < 0.1, rng.integers(5, size=3), true)
        for texts, numbers in ((references, true), (good, changed), (bad, rng.integers(5, size=2))):
            texts.append(" ".join(PARTS[number] for number in numbers))
    bad[3] = ""
    ids, groups = [f"case-{number}" for number in range(n)], [[text] for text in references]
    notes = {"empty predictions": 1}
    return ReportPairs("good.jsonl", ids, good, groups), ReportPairs("bad.jsonl", ids, bad, groups, notes)
