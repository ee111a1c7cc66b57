"""Reports by workers on many machines."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hf_medreport.files.writing import readable
from hf_medreport.inference.asked import Asked
from hf_medreport.inference.engines.dispatch import in_batches_of, why_of
from hf_medreport.inference.engines.on_ray import RayEngine
from hf_medreport.inference.loading import load
from hf_medreport.inference.read_pairs import Pair
from hf_medreport.inference.report import Failure
from hf_medreport.inference.report_any import report_any
from hf_medreport.inference.report_folder import DrawnReport, draw

__all__ = ["report_worker", "reports_by", "with_whole_path"]


def reports_by(
    engine: RayEngine, asked: Asked, indices: Sequence[int], loading: dict, options: dict
) -> Iterator[tuple[int, DrawnReport | Failure]]:
    """The reports of these items as they come, each with its index.

    Args:
        engine: where they are made.
        asked: all items; workers read them under the paths that this process knows them by.
        loading: arguments of `loading.load`.
        options: of `report_any`, for all items; a worker is given `batch_size` of them at a time.
    """
    if isinstance(options.get("slide_mpp"), Mapping):
        options = options | {"slide_mpp": {os.path.abspath(path): mpp for path, mpp in options["slide_mpp"].items()}}
    make = partial(report_worker, _whole_paths(asked), with_whole_path(loading), options)
    for batch, results in engine.run(make, in_batches_of(options["batch_size"], indices)):
        if isinstance(results, Exception):
            names = [readable(" + ".join(path.name for path in asked.items[index])) for index in batch]
            results = [Failure(name, why_of(name, results)) for name in names]
        yield from zip(batch, results, strict=True)


def report_worker(asked: Asked, loading: dict, options: dict) -> Callable[[list[int]], list[DrawnReport | Failure]]:
    """A worker that reports the items of the indices that it is given; arguments as of `reports_by`."""
    pipe = load(**loading)

    def work(indices: list[int]) -> list[DrawnReport | Failure]:
        of = asked.only(indices)
        told = {"masks": of.masks, "labels": of.labels, "pairs": of.pairs}
        return [draw(result) for result in report_any(of.paths, pipe, **told, **options)]

    return work


def with_whole_path(loading: dict) -> dict:
    """The arguments, a model's folder by its whole path: a worker stands in another folder."""
    model = loading["model"]
    return loading | ({"model": os.path.abspath(model)} if model is not None and Path(model).is_dir() else {})


def _whole_paths(asked: Asked) -> Asked:
    def whole(paths):
        return paths and [path and path.absolute() for path in paths]

    pairs = asked.pairs and [Pair(*whole(pair)) for pair in asked.pairs]
    return replace(asked, paths=whole(asked.paths), pairs=pairs, masks=whole(asked.masks))
