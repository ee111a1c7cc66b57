"""The folder that a long run fills: whole files, a line an item done, and last `manifest.json` with all arguments,
versions and the SHA-256 of every file.

    with RunFolder("masks", "segment", {"model": "anatomical-tiny"}, resume=True, records="records.jsonl") as folder:
        for id, path in films.items():
            if folder.done(id, sha256(path)) is None:
                folder.write(f"{id}.png", b"...")
                folder.add(id, {"film": path.name}, [f"{id}.png"], sha256(path))
        folder.finish()

What a run has done is kept however it ends: `resume` goes on behind it, where nothing but the items has changed. An
older run is never mixed with: `overwrite` removes what that one wrote, and nothing else.
"""

import json
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from hf_medreport.files.interruption import INTERRUPTIONS
from hf_medreport.files.memory import give_back
from hf_medreport.files.settings import read_settings
from hf_medreport.files.writing import open_whole, output_folder, sha256, write_text, write_whole
from hf_medreport.processing.input_error import InputError
from hf_medreport.version import __version__

__all__ = ["RunFolder", "code_version", "refuse_older"]

MANIFEST = "manifest.json"
UNFINISHED = ".unfinished.jsonl"  # its first line says which run this is, the others which files it has begun
RECORDS = ".records.jsonl"
GIVE_BACK_EVERY = 50  # items


class RunFolder:
    """The folder of one run; a context manager that tells an interruption what was done.

    Several processes may fill one folder together, each with `resume`.

    Args:
        out: the folder, made when absent.
        command: what fills it, such as "phantom chest".
        arguments: all that the results depend on beside the items and versions; goes into JSON.
        resume: go on with a run of the same arguments; where there is none, begin one.
        overwrite: remove what an older run wrote, when this one begins to write.
        records: the name of the JSONL that keeps a line an item done. A hidden one goes when the run is finished.
        alone: whether files that no run wrote are refused.

    Attributes:
        path, name: of the folder.
        total, done_items, failed_items: counts of this run's items; `total` is the caller's to set.

    Raises:
        InputError: no folder that can be written to; one that holds something else, or an older run without `resume`
            and `overwrite`; or, to be gone on with, one of other arguments.
    """

    def __init__(
        self,
        out: str | os.PathLike,
        command: str,
        arguments: dict,
        *,
        resume: bool = False,
        overwrite: bool = False,
        records: str = RECORDS,
        alone: bool = False,
    ):
        older = refuse_older(out, resume, overwrite)
        self.made = not os.path.exists(out)  # which a name that cannot be does not stop
        self.path, self.name, self.records = output_folder(out), Path(out).absolute().name, records
        run = {"made_by": f"hf-medreport {command}", "hf_medreport": __version__, "arguments": arguments}
        self.run = json.loads(json.dumps(run))  # as it will be read back
        self.total = self.done_items = self.failed_items = 0
        self.replaces = overwrite and older is not None
        if older is None:
            self._check_room(alone)
        elif resume and older != self.run:
            found, expected = _differences(older, self.run)
            remedy = "give the same, begin anew with `overwrite`, or choose another `out`"
            raise InputError(self.name, found, expected, remedy)
        self.entries = {} if self.replaces else {entry["id"]: entry for entry in _lines(self.path / self.records)}
        self.files = {name: known for entry in self.entries.values() for name, known in entry["files"].items()}

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, INTERRUPTIONS):
            error.add_note(f"interrupted: {self.progress}; `resume` goes on")
        if self.made and not (self.path / UNFINISHED).exists() and not any(self.path.iterdir()):
            self.path.rmdir()  # nothing was begun

    @property
    def progress(self) -> str:
        """How many items are done, failed and left."""
        left = max(0, self.total - self.done_items - self.failed_items)
        return f"{self.done_items} done, {self.failed_items} failed, {left} left"

    # --- items ---

    def expect(self, ids: Iterable[str]) -> None:
        """Say which items this run has, for one that keeps its records: what was done of others would stay beside them.

        Raises:
            InputError: the older run that this one goes on with has done others.
        """
        others = sorted(set(self.entries) - set(ids))
        if others:
            found = f"an older run with {len(others)} other items, such as {others[0]}"
            remedy = "give these too, begin anew with `overwrite`, or choose another `out`"
            raise InputError(self.name, found, "one of these items, or of some of them", remedy)

    def done(self, id: str, digest: str = "") -> Any | None:
        """The record of an item that an earlier run has done: of this digest, and with files that are whole."""
        entry = self.entries.get(id)
        if entry is None or entry["digest"] != digest:
            return None
        if not all(self._is_whole(name, known) for name, known in entry["files"].items()):
            return None
        self.done_items += entry["count"]
        return entry["record"]

    def add(
        self, id: str, record: object, files: Iterable[str] = (), digest: str = "", count: int = 1, mark: str = ""
    ) -> None:
        """Keep that an item is done, once its files are written.

        Args:
            id: see `items.item_ids`.
            record: what is known of it; goes into JSON.
            files: the names of its files.
            digest: of what it was made from; empty where the arguments say it.
            count: as how many items it counts.
            mark: by which what it was made from is known again without its digest, see `marks.quick_mark`.
        """
        entry = {"id": id, "digest": digest, "count": count, "record": record}
        entry["files"] = {name: self.files.get(name) or _fingerprint(self.path / name) for name in files}
        if mark:
            entry["mark"] = mark
        self._append(self.records, entry)
        self.entries[id] = json.loads(json.dumps(entry))
        self.files |= entry["files"]
        self.done_items += count
        if len(self.entries) % GIVE_BACK_EVERY == 0:
            give_back()

    def reread(self) -> None:
        """Learn what other processes have added meanwhile."""
        self.entries |= {entry["id"]: entry for entry in _lines(self.path / self.records)}

    def fail(self) -> None:
        """Count an item as failed; what was wrong with it is the caller's to say."""
        self.failed_items += 1

    def in_order(self, ids: Iterable[str]) -> None:
        """Write the records anew, one an item and in the items' order, as a single undisturbed process leaves them."""
        entries = {entry["id"]: entry for entry in _lines(self.path / self.records)}
        first = {id: entries[id] for id in ids if id in entries}
        self.entries = first | {id: entry for id, entry in entries.items() if id not in first}
        write_text(self.path / self.records, "".join(f"{json.dumps(entry)}\n" for entry in self.entries.values()))

    # --- files ---

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """A file to write to, which appears as `name` when it is done."""
        self.begun(name)
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_whole(path) as file:
            yield file
        self.files[name] = _fingerprint(path)

    def begun(self, name: str) -> None:
        """Keep that a file is begun, which something else will write: `overwrite` will know that it is this run's.

        Raises:
            InputError: the name leads out of the folder, as that of a record that came with a share may.
        """
        if self._inside(name) is None:
            found, remedy = "a file's name that leads out of the folder", "look at where its records come from"
            raise InputError(self.name, found, "names within it", remedy)
        self._append(UNFINISHED, name)
        self.files.pop(name, None)

    def write(self, name: str, content: bytes | Callable[[BinaryIO], Any]) -> None:
        """Write a whole file of these bytes, or of what a function writes to the open file."""
        with self.open(name) as file:
            content(file) if callable(content) else file.write(content)

    def bring(self, name: str, source: Path) -> None:
        """A file of another run: a hard link, since nothing writes into a file that has its name, else a copy."""

        def link_or_copy(part: Path) -> None:
            part.unlink(missing_ok=True)  # what a killed run left
            try:
                os.link(source, part)
            except OSError:  # another file system, or one without links
                shutil.copyfile(source, part)

        self.begun(name)
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / name, link_or_copy)
        self.files[name] = _fingerprint(self.path / name)

    def write_json(self, name: str, content: object, **options) -> None:
        """Write a whole JSON file; `options` as of `json.dumps`, whose indent is 2 here."""
        self.write(name, (json.dumps(content, **{"indent": 2} | options) + "\n").encode())

    def append(self, name: str, line: object) -> None:
        """Add a line to a JSONL that is `begun`, for those who look on; in the end it is to be written whole."""
        self._append(name, line)

    # --- the end ---

    def finished(self) -> dict | None:
        """The manifest of this run where it is finished, None where it is not.

        Raises:
            InputError: a file is missing or differs from the manifest.
        """
        if self.replaces or not (self.path / MANIFEST).is_file() or (self.path / UNFINISHED).exists():
            return None
        manifest = read_settings(self.path / MANIFEST, f"{self.name}/{MANIFEST}", "begin anew with `overwrite`")
        if not _lists_files(manifest):
            expected, remedy = "the manifest as written", "begin anew with `overwrite`"
            raise InputError(f"{self.name}/{MANIFEST}", "no list of files", expected, remedy)
        for name, known in manifest["files"].items():
            if not self._is_whole(name, known):
                found = "other content than its manifest says" if (self.path / name).is_file() else "no such file"
                raise InputError(f"{self.name}/{name}", found, "the file as written", "begin anew with `overwrite`")
        return manifest

    def finish(self, statement: str = "", packages: Iterable[str] = ()) -> dict:
        """Write the manifest and return it.

        Args:
            statement: what a reader must know of the results.
            packages: those whose versions decide about the bytes.
        """
        entries = list(_lines(self.path / self.records))  # other processes may have added to them
        files = {name: known for entry in entries for name, known in entry["files"].items()} | self.files
        manifest = {
            **self.run,
            "settings_digest": sha256(json.dumps(self.run, sort_keys=True).encode())[:16],
            "code_version": code_version(),
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
            "statement": statement,
            "inputs": {entry["id"]: entry["digest"] for entry in entries if entry["digest"]},
            "files": dict(sorted(files.items())),
        }
        content = json.dumps(manifest, indent=2) + "\n"
        write_text(self.path / MANIFEST, content)
        if self.records.startswith("."):
            (self.path / self.records).unlink(missing_ok=True)
        (self.path / UNFINISHED).unlink(missing_ok=True)
        return json.loads(content)

    # --- what is there ---

    def _check_room(self, alone: bool) -> None:
        """Refuse to write among what no run of ours wrote, where it would be in the way."""
        if (self.path / MANIFEST).exists():
            found, expected = f"a {MANIFEST} of something else", "a folder without"
            raise InputError(self.name, found, expected, "choose another `out`")
        if alone and any(self.path.iterdir()):
            found, remedy = "a folder that is not empty", "choose another `out`"
            raise InputError(self.name, found, "a new or empty folder", remedy)

    def _remove_older(self) -> None:
        """Remove what an older run wrote or had begun to write, and the folders that it leaves empty."""
        begun = [name for name in _lines(self.path / UNFINISHED) if isinstance(name, str)]
        kept = ()
        with suppress(InputError):  # a damaged one, which goes too
            manifest = read_settings(self.path / MANIFEST, MANIFEST)
            kept = manifest["files"] if _lists_files(manifest) else ()
        for name in {*begun, *kept, self.records, UNFINISHED, MANIFEST}:
            if path := self._inside(name):  # not where a damaged manifest leads
                path.unlink(missing_ok=True)
                path.with_name(f".{path.name}.part").unlink(missing_ok=True)
                for folder in path.relative_to(os.path.normpath(self.path)).parents[:-1]:
                    with suppress(OSError):  # something else is in it
                        (self.path / folder).rmdir()

    def _inside(self, name: str) -> Path | None:
        """Where a file of the folder lies; None of a name that leads out of it."""
        path = Path(os.path.normpath(self.path / name))
        return path if path.is_relative_to(os.path.normpath(self.path)) else None

    def _is_whole(self, name: str, known: dict) -> bool:
        path = self.path / name
        return path.is_file() and path.stat().st_size == known["bytes"] and _fingerprint(path) == known

    def _append(self, name: str, line: object) -> None:
        """Add a line at once, so that a kill leaves it or nothing, and other processes may add theirs."""
        if self.replaces:
            self._remove_older()
            self.replaces = False
        if not (self.path / UNFINISHED).exists():
            _write_line(self.path / UNFINISHED, self.run)
        _write_line(self.path / name, line)


def refuse_older(out: str | os.PathLike, resume: bool = False, overwrite: bool = False) -> dict | None:
    """Refuse a folder with an older run, unless it is to be gone on with or overwritten: a check before long work.

    Returns:
        what the older run is, None where there is none.

    Raises:
        InputError: an older run without `resume` and `overwrite`, or both of them.
    """
    if resume and overwrite:
        raise InputError("overwrite", "it beside `resume`", "one of the two", "leave out the other")
    folder, older = Path(out), None
    with suppress(ValueError, KeyError, TypeError, OSError):
        content = next(_lines(folder / UNFINISHED), None) or read_settings(folder / MANIFEST, MANIFEST)
        older = {key: content[key] for key in ("made_by", "hf_medreport", "arguments")}
    if older is not None and not resume and not overwrite:
        found = "an unfinished run" if (folder / UNFINISHED).exists() else "a finished run"
        remedy = "go on with `resume`, begin anew with `overwrite`, or choose another `out`"
        raise InputError(folder.absolute().name, found, "a new or empty folder", remedy)
    return older


def _lists_files(manifest: dict) -> bool:
    files = manifest.get("files")
    return isinstance(files, dict) and all(isinstance(known, dict) and "bytes" in known for known in files.values())


def _lines(path: Path) -> Iterator[Any]:
    """The lines of a JSONL, of none where there is no file; a kill may have cut the last one."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8").split("\n"):
            with suppress(ValueError, RecursionError):
                yield json.loads(line)


def _write_line(path: Path, line: object) -> None:
    cut = path.exists() and path.stat().st_size and not _ends_its_line(path)
    with path.open("ab", buffering=0) as file:
        file.write(("\n" * cut + json.dumps(line) + "\n").encode())


def _ends_its_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _differences(older: dict, run: dict) -> tuple[str, str]:
    """What an older run has otherwise, and what this one has there."""
    flat = [{**{key: each[key] for key in each if key != "arguments"}, **each["arguments"]} for each in (older, run)]
    names = [name for name in dict.fromkeys([*flat[0], *flat[1]]) if flat[0].get(name) != flat[1].get(name)]
    found, expected = (", ".join(f"{name} {_short(each.get(name))}" for name in names) for each in flat)
    return f"a run with {found}", f"{expected} as now"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _fingerprint(path: Path) -> dict:
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


@cache
def code_version() -> str:
    """The version, and twelve digits over the package's own code: they differ where it was edited."""
    rooms = [find_spec(f"hf_medreport{room}") for room in ("", ".modeling", ".processing", ".dataset_scripts")]
    folders = [Path(place) for room in rooms for place in room.submodule_search_locations]
    sources = sorted({path for folder in folders for path in folder.rglob("*.py")})
    return f"{__version__}+{sha256(b''.join(path.read_bytes() for path in sources))[:12]}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
