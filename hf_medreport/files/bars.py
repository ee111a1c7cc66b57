"""Bars for who looks on: never in a pipe, where each of their steps would be a line, nor where quiet was asked for."""

import logging
import sys

LIBRARY = logging.getLogger("hf_medreport")


def is_watched() -> bool:
    """Whether somebody looks on and did not ask for quiet."""
    return sys.stderr.isatty() and LIBRARY.level < logging.ERROR


def watched(items=None, *, shown: bool = True, **words):
    """The items, with a bar on stderr where somebody looks on; it is gone when they are done.

    Args:
        items: None of a bar that is moved by its `update`.
        shown: False for none, as in another process than the first.
        words: of tqdm, as `desc`, `unit` and `total`.
    """
    from tqdm import tqdm  # which `--help` has no use for

    return tqdm(items, disable=not (shown and is_watched()), leave=False, **words)
