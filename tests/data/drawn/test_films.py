"""The phantom as a training set."""

import numpy as np

from hf_medreport.data.collator import ReportCollator
from hf_medreport.data.drawn.films import PhantomReports, PhantomSource
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.registry import system
from tests.tiny import tiny_processor

SOURCE = PhantomSource(n=5, seed=3, size=64, split="validation")


def test_any_number_of_processes_draws_the_corpus():
    corpus = ChestCorpus(n=5, seed=3, size=64, split="validation")
    for workers in (1, 2):
        records = PhantomReports(SOURCE, workers)
        assert len(records) == 5
        for index in range(5):
            case, record = corpus[index], records[index]
            assert record["text"] == case.report and record["facts"] == case.facts
            assert np.array_equal(record["image"], case.image) and np.array_equal(record["heart"], case.heart)


def test_records_become_a_batch():
    records = PhantomReports(SOURCE, 1)
    batch = ReportCollator(tiny_processor(system("anatomical_report")), max_length=12)([records[0], records[1]])
    assert batch["pixel_values"].shape == (2, 3, 32, 32) and batch["labels"].shape == (2, 12)
    assert "anatomical_masks" not in batch  # the segmenter draws them, as it will when the model is used
