"""Drawn chest films with descriptions, as a table for models that draw: written once, then read like any other.

    draw_described("drawn", ChestCorpus(n=1000, seed=0, size=64))
    PictureTable("drawn/pictures.jsonl", size=64)

A row has `path`, `text`, `modality`, and the `facts` that the film was drawn from. A description depends, as the film
itself, on (seed, split, index) alone, and on the corpus's wordings.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import numpy as np

from hf_medreport.data.drawn.card import STATEMENT
from hf_medreport.data.drawn.corpus import PACKAGES, corpus_arguments, draw_in_order
from hf_medreport.data.drawn.formats import Record, cases_left, facts_rows, png_bytes, write_files_and_table
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.grammar import write_description
from hf_medreport.phantom.splits import case_stream

__all__ = ["MODALITY", "TABLE", "draw_described"]

TABLE, MODALITY = "pictures.jsonl", "CXR"
OF_DESCRIPTIONS = 3  # the streams of chance before it are those of `ChestCorpus`


def draw_described(
    out: str | os.PathLike,
    corpus: ChestCorpus,
    workers: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> Path:
    """Draw a corpus into a folder, or go on with it; a folder that holds it whole is left as it is.

    Args:
        out: the folder.
        corpus: what to draw; its frontal films alone are drawn.
        workers: processes that draw; by default one a core.
        progress: wraps the cases as they are written.

    Returns:
        the table.

    Raises:
        InputError: a folder that is not writable, holds something else, or films of another corpus.
    """
    with RunFolder(out, "described chest", corpus_arguments(corpus), resume=True, alone=True) as folder:
        if folder.finished() is None:
            folder.total, left = corpus.n, cases_left(folder, corpus)
            workers = min(workers or os.cpu_count() or 1, corpus.n)
            with closing(draw_in_order(corpus, encode_described, workers, left)) as records:
                write_files_and_table(progress(records), left, folder, corpus, TABLE)
            folder.finish(STATEMENT, PACKAGES)
    return Path(out) / TABLE


def encode_described(corpus: ChestCorpus, index: int) -> Record:
    """A PNG, and its row; runs in a process that draws."""
    case = corpus[index]
    chance = np.random.default_rng(case_stream(corpus.seed, corpus.split, index)[1].spawn(OF_DESCRIPTIONS + 1)[-1])
    name = f"films/{case.patient_id}.png"
    row = {"path": name, "text": write_description(case.facts, chance, corpus.wordings), "modality": MODALITY}
    return Record(row | {"facts": facts_rows(case.facts)}, {name: png_bytes(case.image)})
