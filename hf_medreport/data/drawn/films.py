"""The phantom as a data set for training: drawn once by several processes, kept in memory as bytes."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass

import numpy as np
from tqdm import tqdm

from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.findings import observations


@dataclass(frozen=True)
class PhantomSource:
    """Which films: the arguments of `ChestCorpus`."""

    n: int
    seed: int
    size: int
    split: str = "train"
    lateral: bool = False


class PhantomReports:
    """Records `{"image", "text", "mask", "facts", "labels", "abnormal", "lungs", "heart"}` of a `ChestCorpus`, and
    `"lateral"`.

    `labels` are the CheXpert observations of the facts; `abnormal` is 1 where the films show any fact; `lateral` is
    None where the source draws no lateral films. `mask` is None: the report model learns with the masks of its own
    segmenter, which it will have when it is used.
    Case i depends only on the source, so the number of processes changes nothing. Memory: 3 bytes a pixel.
    """

    def __init__(self, source: PhantomSource, workers: int | None = None):
        workers = min(workers or os.cpu_count() or 1, source.n)
        bounds = np.linspace(0, source.n, min(source.n, workers * 20) + 1).astype(int)
        parts = [(source, start, stop) for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]
        with ProcessPoolExecutor(workers) as pool:
            drawn = tqdm(pool.map(_draw, parts), total=len(parts), desc=f"drawing {source.n} films", leave=False)
            self.records = [record for part in drawn for record in part]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict:
        return self.records[index]

    def texts(self) -> Iterator[str]:
        """Every report."""
        return (record["text"] for record in self.records)

    def labels(self) -> Iterator[list[str]]:
        """The labels of every record."""
        return (record["labels"] for record in self.records)


def _draw(part: tuple[PhantomSource, int, int]) -> list[dict]:
    source, start, stop = part
    corpus = ChestCorpus(**asdict(source))
    cases = (corpus[index] for index in range(start, stop))
    return [
        {
            "image": case.image,
            "lateral": case.lateral.image if source.lateral else None,
            "abnormal": int(bool(case.facts)),
            "text": case.report,
            "mask": None,
            "facts": case.facts,
            "labels": observations(case.facts),
            "lungs": case.lungs,
            "heart": case.heart,
        }
        for case in cases
    ]
