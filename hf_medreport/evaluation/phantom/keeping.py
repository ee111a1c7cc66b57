"""What a model writes of drawn cases, kept case by case, so that an evaluation that ends early goes on behind it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from hf_medreport.files.items import why
from hf_medreport.processing.input_error import four_fields

__all__ = ["CaseError", "Keeper", "in_one_line", "written_of"]


class Keeper(Protocol):
    """What keeps records, such as a `files.run_folder.RunFolder`."""

    def done(self, id: str) -> dict | None:
        """The record of a case that was kept; None where there is none."""

    def add(self, id: str, record: dict) -> None:
        """Keep the record of a case."""


class CaseError(RuntimeError):
    """What an evaluation stopped at, in one line.

    Elsewhere whatever is raised is the failure of an item and the others are done; here the figures would be those of
    fewer cases.
    """


@contextmanager
def in_one_line(what: str) -> Iterator[None]:
    """Around work on cases: whatever is raised, but an `InputError`, becomes a `CaseError` that says at what."""
    try:
        yield
    except Exception as error:
        if four_fields(error) is not None:
            raise
        raise CaseError(why(what, error)) from error


def written_of(
    indices: Iterable[int], write: Callable[[list[int]], list[dict]], run: Keeper | None = None
) -> list[dict]:
    """A record of each case: the one that is kept, else what is written now, which is kept.

    Args:
        indices: the cases of one pass.
        write: indices -> a record of each, which goes into JSON.
        run: None keeps nothing.

    Raises:
        CaseError: whatever `write` raised, but an `InputError`.
    """
    kept = {index: None if run is None else run.done(f"case {index}") for index in indices}
    left = [index for index, record in kept.items() if record is None]
    if not left:
        return list(kept.values())
    with in_one_line(f"cases {left[0]} to {left[-1]}"):
        written = write(left)
    for index, record in zip(left, written, strict=True):
        kept[index] = record
        if run is not None:
            run.add(f"case {index}", record)
    return list(kept.values())
