"""BLEU-4, ROUGE-L and CIDEr-D on 20,000 pairs of 60 words: our time against pycocoevalcap's, and how the values differ.

Both get the same tokenized texts in one process, metric by metric in turn, each once (pycocoevalcap needs most of a
minute); CPU seconds, both use one core. pycocoevalcap's scorers are called directly, so no Java runs. Words are drawn
from 3,000 with Zipf's frequencies; the prediction is the reference with four words in ten drawn anew. Writes
benchmarks/results/text_metrics.json.

    python benchmarks/speed/text_metrics.py
"""

import time

import numpy as np
from measure import write_result
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from hf_medreport.evaluation.registry import metric

PAIRS, WORDS, VOCABULARY, CHANGED, BOUND = 20_000, 60, 3_000, 0.4, 5.0


def draw_pairs(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    frequency = 1 / np.arange(1, VOCABULARY + 1)
    frequency /= frequency.sum()
    references = rng.choice(VOCABULARY, (PAIRS, WORDS), p=frequency)
    others = rng.choice(VOCABULARY, (PAIRS, WORDS), p=frequency)
    predictions = np.where(rng.random((PAIRS, WORDS)) < CHANGED, others, references)
    return [[" ".join(f"w{number}" for number in row) for row in texts] for texts in (predictions, references)]


def timed(function, *arguments, **options):
    start = time.process_time()
    result = function(*arguments, **options)
    return time.process_time() - start, result


def main() -> None:
    predictions, references = draw_pairs(np.random.default_rng(0))
    said = {number: [text] for number, text in enumerate(predictions)}
    given = {number: [text] for number, text in enumerate(references)}
    seconds, furthest = {}, 0.0
    for name, scorer, options in (
        ("bleu4", Bleu(4), {"verbose": 0}),
        ("rougeL_coco", Rouge(), {}),
        ("cider_d", Cider(), {}),
    ):
        metric(name)(predictions[:10], references[:10])  # imports are not counted
        ours, score = timed(metric(name), predictions, references, tokenizer="whitespace")
        theirs, (value, per_sample) = timed(scorer.compute_score, given, said, **options)
        if name == "bleu4":  # it returns the lower orders too, and so do our details
            value, per_sample = value[-1], per_sample[-1]
        furthest = max(furthest, abs(score.value - value), np.abs(score.per_sample - np.array(per_sample)).max())
        seconds[name] = {
            "ours": round(ours, 2),
            "pycocoevalcap": round(theirs, 2),
            "times_faster": round(theirs / ours, 1),
        }
    ours, theirs = (sum(row[side] for row in seconds.values()) for side in ("ours", "pycocoevalcap"))
    write_result(
        "text_metrics",
        {
            "pairs": PAIRS,
            "words": WORDS,
            "cpu_seconds": seconds,
            "times_faster": round(theirs / ours, 1),
            "bound": BOUND,
            "largest_difference": float(furthest),
        },
    )


if __name__ == "__main__":
    main()
