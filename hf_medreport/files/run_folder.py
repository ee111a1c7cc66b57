"""The folder that a run fills: files appear under their own name only when they are whole, and `manifest.json`, written
last, holds all arguments, versions and the SHA-256 of every file.

    folder = CorpusFolder("films", {"hf_medreport": __version__, "arguments": arguments})
    if folder.finished() is None:
        folder.begin()
        folder.write("README.md", b"...")
        folder.finish("phantom chest", statement, packages=("numpy",))
"""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

from hf_medreport.files.writing import open_whole, output_folder, sha256
from hf_medreport.processing.input_error import InputError

__all__ = ["CorpusFolder"]

MANIFEST, UNFINISHED = "manifest.json", ".unfinished.json"


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
        output_folder(self.path)
        if any(self.path.iterdir()) and self._run_there() != self.run:
            found = "a folder that is not empty" if self._run_there() is None else "a run of other arguments"
            expected = "a new or empty folder, or this very run"
            raise InputError(self.name, found, expected, "choose another `out` or delete the folder")

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
        with open_whole(path) as file:
            yield file
        self.files[name] = _fingerprint(path)

    def write(self, name: str, content: bytes) -> None:
        """Write a whole file."""
        with self.open(name) as file:
            file.write(content)

    def finish(self, command: str, statement: str, packages: tuple[str, ...]) -> dict:
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
    return {"bytes": path.stat().st_size, "sha256": sha256(path)}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
