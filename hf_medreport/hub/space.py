"""A Space: the demo's pages over a published model, as a folder that runs anywhere and as one commit on the Hub.

    write_space("space", "my-hospital/chest-report", wheel)    # README, requirements, app, Dockerfile and the wheel
    publish_space("my-hospital/try-it", "my-hospital/chest-report", wheel=wheel)

No registry has this package, so its wheel lies in the Space and `app.py` installs it from there: what a Space installs
by requirements.txt it installs before its files are there. All else is pinned to the versions that were tested.
"""

import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import requires
from importlib.resources import files
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from packaging.requirements import Requirement

from hf_medreport.files.writing import output_folder, sha256, write_text, write_whole
from hf_medreport.hub.publish import _check_repo_id, _plain_errors
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import systems
from hf_medreport.version import __version__, tested_python, tested_versions

__all__ = ["WHEEL", "build_wheel", "publish_space", "space_files", "write_space"]

logger = logging.getLogger(__name__)

WHEEL = f"hf_medreport-{__version__}-py3-none-any.whl"
TEMPLATE = files("hf_medreport.hub") / "space_template"
EXTRAS = ("demo", "dicom", "wsi")  # what the pages use beside the extras of the shipped systems
NOT_THERE = ("bitsandbytes", "peft")  # of these, for training alone


def space_files(model: str | None = None, title: str = "hf-medreport") -> dict[str, str]:
    """The text files of a Space, by name; no wheel.

    Args:
        model: a repository that users may choose beside the shipped models; None: those alone.
        title: what the Space is called.
    """
    python = ".".join(tested_python().split(".")[:2])
    words = {"wheel": WHEEL, "title": title, "python": python, "version": __version__}
    words |= {"gradio": tested_versions()["gradio"], "models": [model] if model else []}
    words["models"] = json.dumps(words["models"])
    templates = {"README.md": "README.md", "app.py": "app.txt", "Dockerfile": "Dockerfile.txt"}
    texts = {name: (TEMPLATE / each).read_text("utf-8").format(**words) for name, each in templates.items()}
    return texts | {"requirements.txt": _requirements()}


def _requirements() -> str:
    """This package's own requirements and those of the extras, at the tested versions."""
    extras = {*EXTRAS, *(extra for row in systems() if row.checkpoint and row.reads for extra in row.extras)}
    tested = {_name(name): f"{name}=={version}" for name, version in tested_versions().items()}
    lines = set()
    for requirement in map(Requirement, requires("hf-medreport")):
        named = _name(requirement.name)
        marker = requirement.marker
        if named not in NOT_THERE and (marker is None or any(marker.evaluate({"extra": each}) for each in extras)):
            lines.add(tested[named])
    head = "# What hf-medreport's pages need, at the versions that it was tested with.\n"
    return head + "".join(f"{line}\n" for line in sorted(lines, key=str.lower))


def _name(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def write_space(
    folder: str | Path, model: str | None = None, wheel: Path | None = None, title: str = "hf-medreport"
) -> Path:
    """Write a Space into a folder.

    Args:
        folder: made when absent; files of the same names are replaced.
        model, title: as in `space_files`.
        wheel: of this version; None builds it, which needs the source.

    Raises:
        InputError: no wheel of this version, or a folder that cannot be written to.
    """
    folder = output_folder(folder)
    for name, text in space_files(model, title).items():
        write_text(folder / name, text)
    if wheel is None:
        return build_wheel(folder).parent
    if wheel.name != WHEEL or not wheel.is_file():
        found = "no such file" if wheel.name == WHEEL else f"'{wheel.name}'"
        raise InputError("wheel", found, WHEEL, "build it: make wheel")
    write_whole(folder / WHEEL, lambda part: shutil.copyfile(wheel, part))
    return folder


def build_wheel(folder: Path) -> Path:
    """Build this package's wheel from its source into a folder.

    Raises:
        InputError: this installation has no source, or the build fails.
    """
    source = Path(__file__).parents[2]
    if not (source / "setup.py").is_file():
        expected = "the source of hf-medreport beside it"
        raise InputError("wheel", "none, and an installation without source", expected, "give `wheel`")
    with tempfile.TemporaryDirectory() as made:
        command = [sys.executable, "-m", "build", "-w", "-o", made, str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        built = Path(made) / WHEEL
        if done.returncode or not built.is_file():
            reason = (done.stderr or done.stdout).strip().splitlines()
            found = f"a build that failed ({reason[-1] if reason else 'no reason given'})"
            raise InputError("wheel", found, WHEEL, "pip install build, or give `wheel`")
        return write_whole(folder / WHEEL, lambda part: shutil.copyfile(built, part))


def publish_space(
    repo_id: str,
    model: str | None = None,
    *,
    wheel: Path | None = None,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Upload a Space as one commit and return the commit's address.

    Args:
        repo_id: "org/name"; created when there is none.
        model: the repository that it shows.
        wheel: as in `write_space`.
        private: create it private.
        token: as in `publish`.

    Raises:
        InputError: the name, the wheel, the permission or the connection is not good enough.
    """
    _check_repo_id(repo_id)
    if model is not None:
        _check_repo_id(model)
    with tempfile.TemporaryDirectory() as folder:
        path = write_space(folder, model, wheel, title=repo_id.partition("/")[2])
        logger.warning("wheel: %s (sha256 %s)", WHEEL, sha256(path / WHEEL)[:12])
        api = HfApi(token=token, library_name="hf-medreport", library_version=__version__)
        with _plain_errors(api, repo_id):
            api.create_repo(repo_id, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
            head = api.repo_info(repo_id, repo_type="space").sha
            files = [CommitOperationAdd(each.name, each) for each in sorted(path.iterdir())]
            commit = api.create_commit(
                repo_id,
                files,
                commit_message=f"Publish with hf-medreport {__version__}",
                repo_type="space",
                parent_commit=head,
            )
    return str(commit.commit_url)
