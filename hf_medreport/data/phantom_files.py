"""A known-truth corpus on disk: films drawn by several processes, written in order, the same bytes for any number.

The layouts are in `phantom_formats`. Here are the parts that they share: a bounded number of films in flight, so that
memory stays flat however many are asked for; files that appear under their own name only when they are whole; and
`manifest.json`, written last, with all arguments, versions and the SHA-256 of every file.

    write_corpus("films", ChestCorpus(n=100, seed=0, size=224, split="test"))
    datasets.load_dataset("films")
"""

import hashlib
import json
import os
import platform
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from signal import SIG_IGN, SIGINT, signal
from typing import BinaryIO

from hf_medreport.data.phantom_card import STATEMENT, dataset_card
from hf_medreport.data.phantom_formats import FORMATS, check_format
from hf_medreport.phantom.corpus import ChestCorpus
from hf_medreport.processing.input_error import InputError
from hf_medreport.version import __version__

__all__ = ["CorpusFolder", "draw_in_order", "write_corpus"]

IN_FLIGHT = 4  # films a worker: enough to keep it busy while the writer waits for a slow one
PACKAGES = ("numpy", "scipy", "pillow", "pyarrow", "datasets", "pydicom")  # what decides about bytes
MANIFEST, UNFINISHED = "manifest.json", ".unfinished.json"


def write_corpus(
    out: str | os.PathLike,
    corpus: ChestCorpus,
    format: str = "parquet",
    workers: int | None = None,
    monochrome: int | None = None,
    progress: Callable[[Iterable], Iterable] = iter,
) -> dict:
    """Draw a corpus into a folder.

    A folder that holds this very run is left alone where it is finished, and begun anew where it is not.

    Args:
        out: the folder; new or empty.
        corpus: what to draw.
        format: "parquet", "png", "dicom" or "radscribe".
        workers: processes that draw; by default one a core.
        monochrome: of DICOM: 1 or 2 for all films; by default they take turns.
        progress: wraps the cases as they are written.

    Returns:
        the manifest: `{"made_by", "hf_medreport", "arguments", "versions", "statement", "files"}`.

    Raises:
        InputError: an argument out of range or against the format, a package that is missing, or a folder that is
            not writable or holds something else.
        OSError: the disk took no more; no file is half-written under its own name.
    """
    arguments = _arguments(corpus, format, monochrome)
    check_format(format, corpus, monochrome)
    if workers is not None and workers < 1:
        raise InputError("workers", str(workers), "at least 1 process", "leave it out for one a core")
    folder = CorpusFolder(out, {"hf_medreport": __version__, "arguments": arguments})
    if (manifest := folder.finished()) is not None:
        return manifest
    layout = FORMATS[format]
    options = {} if format != "dicom" else {"monochrome": monochrome, "identity": json.dumps(arguments)}
    folder.begin()
    workers = min(workers or os.cpu_count() or 1, corpus.n)
    with closing(draw_in_order(corpus, partial(layout.encode, **options), workers)) as records:
        layout.write(progress(records), folder, corpus)
    folder.write("README.md", dataset_card(format, corpus, arguments).encode())
    return folder.finish()


def _arguments(corpus: ChestCorpus, format: str, monochrome: int | None) -> dict:
    """All that the bytes depend on, beside the versions."""
    names = ("n", "seed", "size", "split", "prevalence", "wordings", "style", "lateral", "follow_up", "bits")
    facts = None if corpus.facts is None else [asdict(fact) for fact in corpus.facts]
    arguments = {name: getattr(corpus, name) for name in names}
    return {**arguments, "facts": facts, "format": format, "monochrome": monochrome}


def draw_in_order(corpus, encode: Callable, workers: int) -> Iterator:
    """`encode(corpus, index)` for all `corpus.n` cases in their order; at most `IN_FLIGHT` a worker are drawn ahead."""
    # Ctrl-C is for the process that writes; the others would each print a traceback.
    with ProcessPoolExecutor(workers, _start_method(), initializer=signal, initargs=(SIGINT, SIG_IGN)) as pool:
        waiting: deque = deque()
        try:
            for index in range(corpus.n):
                waiting.append(pool.submit(encode, corpus, index))
                if len(waiting) == IN_FLIGHT * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            found = "a drawing process that was ended from outside, as happens where memory runs out"
            raise InputError("workers", found, "processes that live", "lower --workers or --size") from None
        finally:  # the writer stopped early: what nobody will read is not drawn
            pool.shutdown(wait=False, cancel_futures=True)


def _start_method() -> BaseContext:
    """How processes start: never as a copy of this one, whose threads (Arrow's) may hold locks that hang the copy."""
    if "forkserver" not in get_all_start_methods():  # Windows
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload([FORMATS["parquet"].encode.__module__])  # imported once, not in every process
    return context


class CorpusFolder:
    """The folder of one run. Its files appear whole or not at all, and the manifest comes last.

    Args:
        out: the folder.
        run: what this run is; the same run may find its own folder again.

    Raises:
        InputError: not a folder, not writable, or not empty and not of this run.
    """

    def __init__(self, out: str | os.PathLike, run: dict):
        self.path, self.name, self.files = Path(out), Path(out).absolute().name, {}
        self.run = json.loads(json.dumps(run))  # as it will be read back
        self._make()
        if any(self.path.iterdir()) and self._run_there() != self.run:
            found = "a folder that is not empty" if self._run_there() is None else "a run of other arguments"
            expected = "a new or empty folder, or this very run"
            raise InputError(self.name, found, expected, "choose another --out or delete the folder")

    def _make(self) -> None:
        expected, remedy = "a folder to write to", "choose another --out"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InputError(self.name, "a file", expected, remedy) from None
        except PermissionError:
            raise InputError(self.name, "no permission to make it", expected, remedy) from None
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise InputError(self.name, "no permission to write", expected, remedy)

    def _run_there(self) -> dict | None:
        """What the run in the folder is, finished or not; None where there is none."""
        for name in (MANIFEST, UNFINISHED):
            if (self.path / name).is_file():
                try:
                    content = json.loads((self.path / name).read_text(encoding="utf-8"))
                    return {key: content[key] for key in self.run}
                except (ValueError, KeyError, TypeError):
                    return None
        return None

    def finished(self) -> dict | None:
        """The manifest of this run where it is finished, None where it is not.

        Raises:
            InputError: a file is missing or differs from the manifest.
        """
        if not (self.path / MANIFEST).is_file():
            return None
        manifest = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        for name, known in manifest["files"].items():
            path = self.path / name
            if not path.is_file() or _fingerprint(path) != known:
                state = "other content than its manifest says" if path.is_file() else "no such file"
                raise InputError(f"{self.name}/{name}", state, "the file as written", "delete the folder")
        return manifest

    def begin(self) -> None:
        """Mark the folder as this run's."""
        self.write(UNFINISHED, json.dumps(self.run).encode())
        self.files.clear()

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """A file to write to, which appears as `name` when it is done."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            with part.open("wb") as file:
                yield file
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        self.files[name] = _fingerprint(path)

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file."""
        with self.open(name) as file:
            file.write(content)

    def finish(
        self, command: str = "phantom chest", statement: str = STATEMENT, packages: tuple[str, ...] = PACKAGES
    ) -> dict:
        """Write the manifest and return it; `packages`: those whose versions decide about the bytes."""
        manifest = {
            "made_by": f"hf-medreport {command}",
            **self.run,
            "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
            "statement": statement,
            "files": dict(sorted(self.files.items())),
        }
        content = json.dumps(manifest, indent=2) + "\n"
        self.write(MANIFEST, content.encode())
        (self.path / UNFINISHED).unlink()
        return json.loads(content)


def _fingerprint(path: Path) -> dict:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
