"""What the items of a run are called, so that `p1/view1.png` and `p2/view1.png` stay apart, and why one failed."""

import logging
import os
import re
import sysconfig
from collections.abc import Container, Iterable
from pathlib import Path

from hf_medreport.files.writing import readable, unique_stem
from hf_medreport.processing.input_error import InputError, four_fields

__all__ = ["FILE_IT", "item_ids", "item_stem", "item_stems", "numbered"]
__all__ += ["of_installation", "unlike", "why"]

logger = logging.getLogger(__name__)
INSTALLED = (str(Path(__file__).parents[1]), *map(sysconfig.get_path, ("purelib", "platlib", "stdlib")))
FILE_IT = "not foreseen: please file an issue with this line, the kind of the file and what hf-medreport doctor prints"
PAIRED = re.compile(r"\.\w+ \+ ")  # between the two names in the id of a pair


def item_ids(paths: Iterable[str | os.PathLike]) -> list[str]:
    """The id of each item: its path below the common root of all, `/`-separated; of one alone its file's name.

    What is given again is another item: its id ends with #2, #3, ...
    """
    absolute = [Path(os.path.abspath(path)) for path in paths]
    if not absolute:
        return []
    root = os.path.commonpath([path.parent for path in absolute])
    return numbered(readable(path.relative_to(root).as_posix()) for path in absolute)


def numbered(ids: Iterable[str]) -> list[str]:
    """Ids of which none comes twice: #2, #3, ... stand behind those that would."""
    unique: dict[str, None] = {}
    for name in ids:
        unique[unlike(name, unique)] = None
    return list(unique)


def unlike(name: str, taken: Container[str]) -> str:
    """A name, with #2, #3, ... behind it where it is taken."""
    candidate, number = name, 2
    while candidate in taken:
        candidate, number = f"{name}#{number}", number + 1
    return candidate


def item_stems(ids: Iterable[str]) -> dict[str, str]:
    """id -> how its files' names begin, `p1_view1` of `p1/view1.png`; the same for the same ids in their order."""
    used: set[str] = set()
    return {name: item_stem(name, used) for name in dict.fromkeys(ids)}


def item_stem(name: str, used: set[str]) -> str:
    """How the names of one item's files begin, unlike those in `used`, to which it is added."""
    return unique_stem(PAIRED.sub("_", name).replace("/", "_"), used)


def of_installation(error: OSError) -> InputError | None:
    """What to say of a file that is missing or closed in the Python environment, and is nobody's input; None of
    another file."""
    if not isinstance(error.filename, (str, bytes)):
        return None
    path = os.path.abspath(os.fsdecode(error.filename))
    if not path.startswith(tuple(os.path.join(root, "") for root in INSTALLED)):
        return None
    found, remedy = f"{(error.strerror or 'an error').lower()}, in the installation", "install hf-medreport again"
    return InputError(os.path.basename(path), found, "a whole installation", remedy)


def why(name: str, error: Exception) -> str:
    """Why an item failed, in one line: an `InputError`'s own words, the system's reason, or the exception's type and
    how to tell us."""
    if isinstance(error, OSError) and (lacking := of_installation(error)) is not None:
        error = lacking
    elif isinstance(error, OSError):
        reason = (error.strerror or "an error of the system").lower()
        error = InputError(name, reason, "a file that can be read", "check it and its permissions")
    words = " ".join(str(error).split())
    if four_fields(error) is not None:
        return readable(words)
    logger.debug("%s", name, exc_info=error)
    return readable(f"{name}: {type(error).__name__}: {words} ({FILE_IT})")
