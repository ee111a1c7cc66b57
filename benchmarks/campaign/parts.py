"""What the parts of the campaign share: where results go, what they were run with, and verbs run in a process of their
own that has all imports done.
"""

import contextlib
import datetime
import importlib.metadata
import io
import json
import os
import pkgutil
import platform
import re
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import hf_medreport
from hf_medreport.cli import main
from hf_medreport.cli.app import quiet
from hf_medreport.files.writing import write_json
from hf_medreport.processing.input_error import InputError

RESULTS = Path(__file__).parents[1] / "results" / "campaign"
PACKAGES = ("hf-medreport", "torch", "transformers", "safetensors", "h5py", "pydicom", "pillow", "pyyaml", "pyarrow")


def write_part(name: str, figures: dict) -> None:
    """Print a part's figures and keep them as `results/campaign/NAME.json`, with the day and the versions."""
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    made = {"date": datetime.date.today().isoformat(), "python": platform.python_version(), "versions": versions}
    content = {"command": f"python benchmarks/campaign/{name}.py", **made, **figures}
    RESULTS.mkdir(parents=True, exist_ok=True)
    write_json(RESULTS / f"{name}.json", content)
    print(json.dumps({key: value for key, value in content.items() if key != "versions"}, indent=2)[:4000])


def import_all() -> None:
    """Import the library and what it imports, once: verbs in children then need not, each for itself."""
    quiet()
    for module in pkgutil.walk_packages(hf_medreport.__path__, "hf_medreport."):
        if not re.search(r"checkpoints|__main__|sync_checkpoints|space_template", module.name):
            with contextlib.suppress(ImportError, InputError):  # of an extra that is not installed
                importlib.import_module(module.name)


def verb(*arguments: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a verb, in this process."""
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["hf-medreport", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as done:
        return done.code or 0, out.getvalue(), err.getvalue()
    finally:
        sys.argv = before
    raise AssertionError("main always exits")


def forked(log: Path, *arguments: object, before: Callable[[], object] = lambda: None) -> int:
    """The process id of a verb in a child that has this process's imports; what it prints, and what its libraries
    print, goes to `log`.

    Args:
        log: a file, which is written on.
        arguments: of the verb.
        before: done in the child before the verb.
    """
    pid = os.fork()
    if pid:
        return pid
    try:  # nothing below returns to the parent's code
        os.setsid()  # its workers are found by its session
        handle = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
        sys.argv = ["hf-medreport", *map(str, arguments)]
        server = forkserver._forkserver  # of this process's parent, who alone can wait for it
        server._forkserver_pid = server._forkserver_alive_fd = None
        before()
        main()
    except SystemExit as done:
        os._exit(done.code or 0)
    finally:
        os._exit(99)


def contents(folder: Path) -> dict[str, bytes]:
    """The content of each file of a folder, by its path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
