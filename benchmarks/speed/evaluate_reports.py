"""How long `evaluate_reports` takes on 20,000 pairs of phantom reports.

Run are the clinical metrics and all text metrics but METEOR; BERTScore and CheXbert need weights and are not run.
Intervals are included, tests of a difference are not. One process, with a bar; the bound is two minutes. Predictions
word the same facts anew, with one in five left out; each text has a sentence that no other has.
`--pairs 500` tries it out and writes nothing. Writes benchmarks/results/evaluate_reports.json.

    python benchmarks/speed/evaluate_reports.py
"""

import argparse
import time

import numpy as np
from measure import write_result
from tqdm import tqdm

from hf_medreport.evaluation.registry import METRICS
from hf_medreport.evaluation.reports.predictions import ReportPairs
from hf_medreport.evaluation.reports.scoring import evaluate_reports
from hf_medreport.phantom.chest.grammar import write_report
from hf_medreport.phantom.chest.patients import draw_facts

PAIRS, BOUND_SECONDS = 20_000, 120
NOT_RUN = ("meteor",)


def draw_pairs(count: int) -> ReportPairs:
    predictions, references = [], []
    for number in range(count):
        rng = np.random.default_rng([0, number])
        facts = draw_facts(rng, "balanced")
        # A sentence of its own for every text, so that reading each sentence once does not flatter the figure.
        seen = [
            f" Seen by reader {rng.integers(10**6)} as study {number} of {count} on the evening list." for _ in "ab"
        ]
        references.append([write_report(facts, rng) + seen[0]])
        predictions.append(write_report([fact for fact in facts if rng.random() < 0.8], rng, "held_out") + seen[1])
    return ReportPairs("phantom", [str(number) for number in range(count)], predictions, references)


class Timed:
    """A bar over the metrics that also keeps the seconds of each."""

    def __init__(self):
        self.seconds = {}

    def __call__(self, rows: list):
        for row in tqdm(rows, unit="metrics"):
            start = time.perf_counter()
            yield row
            self.seconds[row.name] = round(time.perf_counter() - start, 2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=PAIRS)
    pairs = draw_pairs(parser.parse_args().pairs)
    names = [name for name, row in METRICS.items() if not row.needs and name not in NOT_RUN]
    timed, start, cpu = Timed(), time.perf_counter(), time.process_time()
    evaluate_reports(pairs, names, progress=timed)
    figures = {
        "pairs": len(pairs),
        "words_a_report": round(float(np.mean([len(group[0].split()) for group in pairs.references])), 1),
        "metrics": len(names),
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "bound_seconds": BOUND_SECONDS,
        "seconds_a_metric": timed.seconds,
    }
    if len(pairs) == PAIRS:
        write_result("evaluate_reports", figures)
    else:
        print(figures)


if __name__ == "__main__":
    main()
