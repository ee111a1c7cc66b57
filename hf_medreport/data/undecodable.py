"""Films that are there and do not decode, found before a training run would stumble over them."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from hf_medreport.processing.input_error import InputError

logger = logging.getLogger(__name__)


def decodable(records, items: list, skipped: list[str], workers: int = 1) -> list:
    """Those of `items` whose record can be read, each of which is read once.

    Args:
        records: the data set; `records[i]` reads the record of `items[i]`.
        skipped: takes the messages of the others.
        workers: threads that read; one where the films lie in an archive, which is read from one place.
    """
    logger.info("%s: reading %d records to leave out those that do not decode", records.path, len(items))
    with ThreadPoolExecutor(workers) as pool:
        problems = list(pool.map(lambda index: problem_of(records, index), range(len(items))))
    skipped += [problem for problem in problems if problem is not None]
    return [item for item, problem in zip(items, problems, strict=True) if problem is None]


def problem_of(records: Sequence, index: int) -> str | None:
    """What is wrong with a record, decoded; None of a good one."""
    try:
        records[index]
    except InputError as error:
        return str(error)
    return None
