"""Folders of the shares of one run -> the folder that one process would have left.

    with merged(["a", "b"], "whole") as (folder, results, beside):
        write_summary(folder, results, beside)

Files are hard links where the file system allows it: nothing here writes into a file that has its name.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_medreport.files.run_folder import RunFolder, refuse_older
from hf_medreport.files.shares import joined, read_part
from hf_medreport.processing.input_error import InputError

__all__ = ["command_of", "merged"]

RECORDS = "records.jsonl"


def command_of(folders: Iterable[str | os.PathLike]) -> str:
    """What filled these folders, such as "tile".

    Raises:
        InputError: no folders, one that no run filled, or folders of two commands, arguments or versions.
    """
    folders = [Path(folder) for folder in folders]
    if not folders:
        raise InputError("folders", "none", "those of all shares", "give them")
    runs = [_run(folder) for folder in folders]
    command = runs[0]["made_by"].removeprefix("hf-medreport ")
    for folder in folders:
        RunFolder(folder, command, runs[0]["arguments"], resume=True)  # refuses one of another run
    return command


def _run(folder: Path) -> dict:
    """What filled a folder."""
    run = refuse_older(folder, resume=True)
    if run is None:
        raise InputError(folder.name, "no run in it", "the folder of a share", "give those that the shares wrote")
    return run


@contextmanager
def merged(
    folders: Iterable[str | os.PathLike], out: str | os.PathLike, *, resume: bool = False, overwrite: bool = False
) -> Iterator[tuple[RunFolder, list[dict], dict]]:
    """The run's folder, with the items and files of all shares in the order of their list, and what became of each.

    Args:
        folders: those of the shares; several shares may have filled one.
        out: folder, made when absent; see `RunFolder`.
        resume, overwrite: of `RunFolder`.

    Yields:
        The folder, still without the files that are of the whole and the manifest; the items' results; and what the
        first share knew beside them.

    Raises:
        InputError: as `command_of`; a share that is missing or stands twice; shares of different lists; or a file that
            is not as its share wrote it.
    """
    folders = [Path(folder) for folder in folders]
    command, found = command_of(folders), _parts(folders)
    results, arguments = joined([part for _, part in found]), _run(folders[0])["arguments"]
    shares = [RunFolder(folder, command, arguments, resume=True, records=RECORDS) for folder, _ in found]
    with RunFolder(out, command, arguments, resume=resume, overwrite=overwrite, records=RECORDS) as folder:
        folder.total = len(results)
        for index, result in enumerate(results):
            _bring(result["id"], shares[index % len(shares)], folder)
        folder.in_order([result["id"] for result in results])
        yield folder, results, found[0][1]["beside"]


def _bring(id: str, share: RunFolder, folder: RunFolder) -> None:
    """An item's files and record, where its share has them."""
    entry = share.entries.get(id)
    if entry is None:
        return folder.fail()
    if folder.done(id, entry["digest"]) is not None:
        return None
    for name, known in entry["files"].items():
        path = share.path / name
        if path.is_file():
            folder.bring(name, path)
        if folder.files.get(name) != known:
            found = "other content than its record says" if path.is_file() else "no such file"
            remedy = "do this share again with `resume`"
            raise InputError(f"{share.name}/{name}", found, "the file as written", remedy)
    folder.add(id, entry["record"], entry["files"], entry["digest"], entry["count"], entry.get("mark", ""))


def _parts(folders: list[Path]) -> list[tuple[Path, dict]]:
    """Each share's folder and part, in the order of the shares."""
    found: dict[tuple[int, int], tuple[Path, dict]] = {}
    for folder in folders:
        files = sorted(folder.glob("part-*-of-*.json"))
        if not files:
            expected, remedy = "what became of a share", "let the share end: go on with `resume`"
            raise InputError(folder.name, "no part-*-of-*.json", expected, remedy)
        for file in files:
            part = read_part(file)
            if part is None:
                remedy = "do this share again with `resume`"
                raise InputError(file.name, "a broken file", "what became of a share", remedy)
            key = part["of"], part["share"]
            if key in found:
                others = f"{found[key][0].name} and {folder.name}"
                raise InputError(file.name, f"it in {others}", "each share once", "leave out one of the folders")
            found[key] = folder, part
    counts = sorted({of for of, _ in found})
    if len(counts) > 1:
        expected, remedy = "shares of one number", "remove the parts of the older run"
        raise InputError("folders", f"shares of {' and of '.join(map(str, counts))}", expected, remedy)
    missing = [str(number) for number in range(1, counts[0] + 1) if (counts[0], number) not in found]
    if missing:
        remedy = "let them end, and give their folders too"
        raise InputError("folders", f"no share {', '.join(missing)} of {counts[0]}", "all shares", remedy)
    parts = [found[key] for key in sorted(found)]
    for folder, part in parts:
        if part["listing"] != parts[0][1]["listing"]:
            seen = f"a list of {part['listing']['items']} items, and {parts[0][0].name} one of "
            seen += f"{parts[0][1]['listing']['items']} or in another order"
            expected, remedy = "shares of one list", "do the shares again with `resume`, all with the same items"
            raise InputError(folder.name, seen, expected, remedy)
    return parts
