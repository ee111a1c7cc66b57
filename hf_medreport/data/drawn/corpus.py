"""A known-truth corpus on disk: films drawn by several processes, written in order, the same bytes for any number.

The layouts are in `phantom_formats`, the files and their manifest in `run_folder`. Here is what all layouts share: a
bounded number of films in flight, so that memory stays flat however many are asked for.

    write_corpus("films", ChestCorpus(n=100, seed=0, size=224, split="test"))
    datasets.load_dataset("films")
"""

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import asdict
from functools import partial
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext

from hf_medreport.data.drawn.card import STATEMENT, dataset_card
from hf_medreport.data.drawn.formats import FORMATS, check_format
from hf_medreport.files.interruption import follow_parent
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.processing.input_error import InputError

__all__ = ["PACKAGES", "corpus_arguments", "draw_in_order", "write_corpus"]

IN_FLIGHT = 4  # films a worker: enough to keep it busy while the writer waits for a slow one
PACKAGES = ("numpy", "scipy", "pillow", "pyarrow", "datasets", "pydicom")  # what decides about bytes


def write_corpus(
    out: str | os.PathLike,
    corpus: ChestCorpus,
    format: str = "parquet",
    workers: int | None = None,
    monochrome: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
    resume: bool = False,
    overwrite: bool = False,
) -> dict:
    """Draw a corpus into a folder.

    Args:
        out: the folder; new or empty.
        corpus: what to draw.
        format: "parquet", "png", "dicom" or "radscribe".
        workers: processes that draw; by default one a core.
        monochrome: of DICOM: 1 or 2 for all films; by default they take turns.
        progress: wraps the cases as they are written.
        resume, overwrite: of `RunFolder`. What is whole is not drawn again: a case of PNG or DICOM, a shard of Parquet.

    Returns:
        the manifest: `{"made_by", "hf_medreport", "arguments", "versions", "statement", "files"}`.

    Raises:
        InputError: an argument out of range or against the format, a package that is missing, or a folder that is
            not writable or holds something else.
        OSError: the disk took no more; no file is half-written under its own name.
    """
    arguments = {**corpus_arguments(corpus), "format": format, "monochrome": monochrome}
    check_format(format, corpus, monochrome)
    if workers is not None and workers < 1:
        raise InputError("workers", str(workers), "at least 1 process", "leave it out for one a core")
    layout = FORMATS[format]
    options = {} if format != "dicom" else {"monochrome": monochrome, "identity": json.dumps(arguments)}
    with RunFolder(out, "phantom chest", arguments, resume=resume, overwrite=overwrite, alone=True) as folder:
        if (manifest := folder.finished()) is not None:
            return manifest
        folder.total, left = corpus.n, layout.left(folder, corpus)
        workers = min(workers or os.cpu_count() or 1, corpus.n)
        with closing(draw_in_order(corpus, partial(layout.encode, **options), workers, left)) as records:
            layout.write(progress(records), left, folder, corpus)
        folder.write("README.md", dataset_card(format, corpus, arguments).encode())
        return folder.finish(STATEMENT, PACKAGES)


def corpus_arguments(corpus: ChestCorpus) -> dict:
    """All that the cases depend on, beside the versions."""
    names = ("n", "seed", "size", "split", "prevalence", "wordings", "style", "lateral", "follow_up", "bits")
    facts = None if corpus.facts is None else [asdict(fact) for fact in corpus.facts]
    return {**{name: getattr(corpus, name) for name in names}, "facts": facts}


def draw_in_order(corpus, encode: Callable, workers: int, indices: Iterable[int] | None = None) -> Iterator:
    """`encode(corpus, index)` for these cases, or all `corpus.n`, in their order; at most `IN_FLIGHT` a worker are
    drawn ahead."""
    with ProcessPoolExecutor(workers, _start_method(), initializer=follow_parent) as pool:
        waiting: deque = deque()
        try:
            for index in range(corpus.n) if indices is None else indices:
                waiting.append(pool.submit(encode, corpus, index))
                if len(waiting) == IN_FLIGHT * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            found = "a drawing process that was ended from outside, as happens where memory runs out"
            raise InputError("workers", found, "processes that live", "lower `workers` or `size`") from None
        finally:  # the writer stopped early: what nobody will read is not drawn
            pool.shutdown(wait=False, cancel_futures=True)


def _start_method() -> BaseContext:
    """How processes start: never as a copy of this one, whose threads (Arrow's) may hold locks that hang the copy."""
    if "forkserver" not in get_all_start_methods():  # Windows
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([FORMATS["parquet"].encode.__module__])  # imported once, not in every process
    return context
