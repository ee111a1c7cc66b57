"""Publish a saved model folder to the Hub: check it, then upload it as one commit.

A revision is either the old one or the complete new one. Weights go up first and stay invisible; one commit, made on
top of the very revision that was looked at, then moves the branch. (`HfApi.upload_folder` may split a folder over
several commits, so it is not used.)

Of a system that this library has, its installed code and the versions it was tested with go up, whatever the folder
holds of them; the folder itself stays as it is.

What goes up is what the model needs, see `model_files`, not all that lies in the folder: a folder that somebody worked
in may also hold reports or logs with patient data. What stays behind is said, and what goes is looked through for
identifiers.

    from hf_medreport.hub.publish import publish
    publish("runs/chest", "my-hospital/chest-report", private=True)
"""

import contextlib
import logging
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import yaml
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, ModelCard
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id
from safetensors import SafetensorError, safe_open

from hf_medreport.files.settings import read_settings
from hf_medreport.hub.folder import outdated_files, traveling_files
from hf_medreport.hub.generation_settings import FILE, check_generation_file
from hf_medreport.hub.identifiers import identifiers_in
from hf_medreport.hub.memorization_gate import check_gate
from hf_medreport.hub.model_files import (
    ADAPTER,
    PICKLES,
    code_needed,
    could_be_published,
    model_files,
    shards,
    siblings,
)
from hf_medreport.hub.pipeline_index import INDEX, components, generator_of, pipeline_class, read_index
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import System, find_system
from hf_medreport.version import __version__

__all__ = ["Publication", "check_card", "check_folder", "prepare_publication", "publish"]

logger = logging.getLogger(__name__)

MAX_LISTED = 40  # places of identifiers that a message counts


@dataclass(frozen=True)
class Publication:
    """What is to go up.

    Args:
        files: path in the repository, sorted -> the file, or its content where this installation renews it.
        left_out: what of the folder stays behind.
        renewed: which of `files` this installation renews.
    """

    files: dict[str, Path | bytes]
    left_out: list[str]
    renewed: list[str]

    @property
    def sizes(self) -> dict[str, int]:
        """Path -> bytes."""
        return {
            path: len(source) if isinstance(source, bytes) else source.stat().st_size
            for path, source in self.files.items()
        }

    def __str__(self) -> str:
        sizes = self.sizes
        lines = [f"{size:>15,}  {path}" for path, size in sizes.items()]
        return "\n".join([*lines, f"{sum(sizes.values()):>15,}  bytes in {len(sizes)} files"])


def prepare_publication(folder: str | Path, *, unchecked: bool = False, allow_identifiers: bool = False) -> Publication:
    """Look at a folder and say what of it would go up; nothing is sent.

    Args:
        folder, unchecked, allow_identifiers: as in `publish`.

    Raises:
        InputError: the folder is not good enough.
    """
    folder = Path(folder)
    files, left_out = check_folder(folder)
    if not allow_identifiers:
        _check_identifiers(folder, files)
    row = _system_of(folder)
    if _draws(folder) and not unchecked:
        check_gate(folder)
    renewed = outdated_files(row, folder) if row else {}
    return Publication({path: renewed.get(path, folder / path) for path in files}, left_out, list(renewed))


def publish(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    token: str | None = None,
    unchecked: bool = False,
    allow_identifiers: bool = False,
) -> str:
    """Upload a model folder as one commit and return the commit's address.

    The branch afterward holds exactly the folder's model: weights, code and settings of an earlier publication that
    the folder no longer has are removed by the same commit; files of other kinds that somebody put into the repository
    stay. Unchanged content makes no new commit. What goes is logged with its size before it goes; what was left out,
    renewed or removed is logged as a warning.

    Args:
        folder: a folder as `save_pretrained` and the card writer leave it; see `check_folder`.
        repo_id: "org/name"; created when there is none.
        private: create it private. An existing public repository is refused rather than written to.
        revision: the branch; created from main when there is none. None is main.
        token: an access token; None takes HF_TOKEN or the one that `hf auth login` saved.
        unchecked: publish a generator, or an adapter of one, though nothing says that it copies no training pictures,
            or its memorization gate failed.
        allow_identifiers: publish though the card, a setting or the weights' metadata reads as if it named a patient
            or a place on somebody's machine.

    Raises:
        InputError: the folder, the name, the permission or the connection is not good enough; the branch is as it was.
            A new branch is taken back when its commit fails; without a network by then it stays, a copy of main.
    """
    folder = Path(folder)
    _check_repo_id(repo_id)
    publication = prepare_publication(folder, unchecked=unchecked, allow_identifiers=allow_identifiers)
    if publication.left_out:
        logger.warning("not published: %s", ", ".join(publication.left_out))
    if publication.renewed:
        names = ", ".join(publication.renewed)
        logger.warning("renewed in the commit, from hf-medreport %s: %s", __version__, names)
    for line in str(publication).splitlines():
        logger.info(line)

    api = HfApi(token=token, library_name="hf-medreport", library_version=__version__)
    with _plain_errors(api, repo_id):
        api.create_repo(repo_id, private=private, exist_ok=True)
        if private and not api.model_info(repo_id).private:
            raise InputError(
                repo_id,
                "a public repository",
                "a private one",
                "make it private in its settings, or publish under another name",
            )
        heads = {branch.name: branch.target_commit for branch in api.list_repo_refs(repo_id).branches}
        branch = "main" if revision is None else revision
        base = branch if branch in heads else "main"

        stale = _stale(api.list_repo_files(repo_id, revision=heads[base]), publication.files)
        additions = [CommitOperationAdd(path, source) for path, source in publication.files.items()]
        # A .gitignore in the repository would otherwise make the client leave files out without a word.
        api.preupload_lfs_files(repo_id, additions, revision=base, free_memory=False, gitignore_content="# none\n")
        with _branch(api, repo_id, branch, exists=branch in heads):
            commit = api.create_commit(
                repo_id,
                [*additions, *map(CommitOperationDelete, stale)],
                commit_message=f"Publish with hf-medreport {__version__}",
                revision=branch,
                parent_commit=heads[base],
            )
    if stale:
        logger.warning("removed from %s: %s", branch, ", ".join(stale))
    return str(commit.commit_url)


def check_folder(folder: str | Path) -> tuple[list[str], list[str]]:
    """Whether a folder would load from the Hub by itself; what of it is published and what is left out.

    Returns:
        (files, left_out): paths relative to the folder, "/" between parts, sorted; see `model_files`. A hidden folder
        is left out whole. The code of a system that this library has is among the files even where the folder lacks
        it. Of a pipeline's folder, which model_index.json tells, the components that it names are published.

    Raises:
        InputError: a link among its files; no config.json with `model_type` and `auto_map`, and no model_index.json; a
            report model without the length or the end of a report in generation_config.json; a component that is not
            there; no weights, broken weights or a missing shard; a pickle file; no card, or one whose metadata is not
            YAML; settings that name no code, or code that is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        found = "a file" if folder.exists() else "nothing"
        raise InputError(folder.name, found, "a model folder", "give a folder that save_pretrained wrote")
    _refuse_pickles(folder)
    if (folder / INDEX).is_file():
        _check_index(folder)
    elif not _is_adapter(folder):
        config = _check_config(folder)
        if (row := find_system(config["model_type"])) and row.kind == "report":
            check_generation_file(folder / FILE, folder.resolve().name, config)
    row = _system_of(folder)
    ours = traveling_files(row, folder) if row else {}
    files, left_out = model_files(folder, ours)
    if (folder / INDEX).is_file():
        _check_components(folder, files)
    _check_weights(folder, files)
    check_card(folder)
    _check_code(folder, [path for path in files if path not in ours], ours)
    return sorted({*files, *ours}), sorted(set(left_out) - set(ours))


def _refuse_pickles(folder: Path) -> None:
    for path in sorted(folder.rglob("*")):
        if path.suffix in PICKLES and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            where = _name(folder, path.relative_to(folder).as_posix())
            remedy = "save the model again with save_pretrained and move this file out of the folder"
            raise InputError(where, "a pickle file", "weights as .safetensors", remedy)


def _stale(in_repo: list[str], files: Collection[str]) -> list[str]:
    """What an earlier publication put there and this one lacks: two models must not mix in one revision."""
    return sorted(path for path in in_repo if could_be_published(path) and path not in files)


def _name(folder: Path, path: str) -> str:
    return f"{folder.resolve().name}/{path}"


def _check_repo_id(repo_id: str) -> None:
    expected = "ORG/NAME of letters, digits, '-', '_' and '.'"
    try:
        validate_repo_id(repo_id)
        complete = repo_id.count("/") == 1
    except HFValidationError:
        complete = False
    if not complete:
        raise InputError("repository", repr(repo_id), expected, "give a name such as my-hospital/chest-report")


# --- the folder ---


def _system_of(folder: Path) -> System | None:
    """The system of a folder that was checked; None of an adapter, which has no code."""
    if (folder / INDEX).is_file() or _is_adapter(folder):
        return generator_of(folder)
    return find_system(_check_config(folder)["model_type"])


def _draws(folder: Path) -> bool:
    """Whether a folder is a generator or an adapter of one."""
    return _is_adapter(folder) or (folder / INDEX).is_file()


def _is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter of a generator and no model."""
    return (folder / ADAPTER).is_file() and not (folder / "config.json").is_file()


def _check_index(folder: Path) -> None:
    if not pipeline_class(read_index(folder)):
        remedy = "save the pipeline again with save_pretrained"
        raise InputError(_name(folder, INDEX), "no _class_name", "the pipeline's class", remedy)


def _check_components(folder: Path, files: list[str]) -> None:
    """Refuse a pipeline's folder that lacks the files of a component."""
    for name in components(read_index(folder)):
        if not any(path.startswith(f"{name}/") for path in files):
            found, remedy = f"no files of the component '{name}'", "save the pipeline again with save_pretrained"
            raise InputError(folder.resolve().name, found, f"what {INDEX} names", remedy)


def _read_json(folder: Path, path: str) -> dict:
    return read_settings(folder / path, _name(folder, path), "save the model again")


def _check_config(folder: Path) -> dict:
    if not (folder / "config.json").is_file():
        remedy = "give a folder that save_pretrained wrote"
        raise InputError(folder.resolve().name, "no config.json", "a model folder", remedy)
    config = _read_json(folder, "config.json")
    for key, kind in (("model_type", str), ("auto_map", dict)):
        if not (isinstance(config.get(key), kind) and config[key]):
            remedy = "save the model again with hf-medreport, which writes both"
            raise InputError(_name(folder, "config.json"), f"no {key}", "model_type and auto_map", remedy)
    return config


def _check_weights(folder: Path, files: list[str]) -> None:
    weights = [path for path in files if path.endswith(".safetensors")]
    if not weights:
        remedy = "save the model with save_pretrained"
        raise InputError(folder.resolve().name, "no weights", "a .safetensors file", remedy)
    for path in weights:
        try:
            with safe_open(folder / path, framework="numpy"):  # reads the header and compares it with the length
                pass
        except SafetensorError:
            found, remedy = "broken or truncated weights", "save the model again"
            raise InputError(_name(folder, path), found, "a complete .safetensors file", remedy) from None
    for path in files:
        for shard in shards(folder, [path]):
            if not (folder / shard).is_file():
                found = f"{shard.rpartition('/')[2]} named but missing"
                raise InputError(_name(folder, path), found, "every shard", "save the model again")


def check_card(folder: Path) -> None:
    """Refuse a folder without a card, and a card whose metadata is not YAML."""
    if not (folder / "README.md").is_file():
        remedy = "write it with hf_medreport.hub.card.write_card from the evaluation's JSON"
        raise InputError(folder.resolve().name, "no README.md", "a model card", remedy)
    try:
        ModelCard.load(folder / "README.md", ignore_metadata_errors=True)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError, RecursionError):  # by what is odd in it
        remedy = "mend the lines between the two ---"
        raise InputError(_name(folder, "README.md"), "unreadable metadata", "YAML", remedy) from None


def _check_code(folder: Path, files: list[str], ours: Collection[str]) -> None:
    """What settings and the index name, and the siblings that code imports, must be there; `ours` come from here."""
    wanted = code_needed(folder, files)  # (who names it, the module's path)
    wanted += [(path, sibling) for path in files if path.endswith(".py") for sibling in siblings(folder, path)]
    for source, module in wanted:
        if module not in files and module not in ours:
            remedy = "save the model again so that its code is copied along"
            raise InputError(_name(folder, source), f"{module} named but missing", "its code in the folder", remedy)


def _check_identifiers(folder: Path, files: list[str]) -> None:
    """Refuse a card, settings or weights whose text reads as if it named a patient or a place on a machine."""
    found = []
    for path in files:
        if path.endswith(".safetensors"):
            with safe_open(folder / path, framework="numpy") as weights:
                text = "\n".join(f"{name}: {value}" for name, value in (weights.metadata() or {}).items())
        elif path.endswith((".md", ".json", ".txt")) and (folder / path).is_file() and not _is_vocabulary(path):
            text = (folder / path).read_text(encoding="utf-8", errors="replace")
        else:
            continue
        found += [(_name(folder, path), line, what) for line, what in islice(identifiers_in(text), MAX_LISTED)]
    if found:
        name, line, what = found[0]
        more = f" ({len(found)} places in all)" if len(found) > 1 else ""
        expected = "no identifiers, and no paths of a machine"
        remedy = "remove it, or publish it all the same with `allow_identifiers`"
        raise InputError(f"{name}, line {line}", f"what reads like {what}{more}", expected, remedy)


def _is_vocabulary(path: str) -> bool:
    """Whether a file lists word pieces, in which every form occurs."""
    return path.rpartition("/")[2] in ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt", "added_tokens.json")


# --- the Hub ---


@contextlib.contextmanager
def _branch(api: HfApi, repo_id: str, branch: str, *, exists: bool):
    """The branch to commit to: created late, after the long upload, and taken back if the commit fails."""
    if not exists:
        api.create_branch(repo_id, branch=branch)
    try:
        yield
    except BaseException:
        if not exists:
            with contextlib.suppress(HTTPError, OSError):  # the first error is the one to report
                api.delete_branch(repo_id, branch=branch)
        raise


@contextlib.contextmanager
def _plain_errors(api: HfApi, repo_id: str):
    """The client's exceptions as one line each that says what to do."""
    try:
        yield
    except InputError:
        raise
    except (HTTPError, ConnectionError, RuntimeError, ValueError) as error:
        # An upload thread wraps what happened to it in a RuntimeError.
        cause = error.__cause__ if type(error) is RuntimeError and error.__cause__ else error
        if isinstance(cause, OfflineModeIsEnabled):
            plain = ("offline mode", "a connection to the Hub", "unset HF_HUB_OFFLINE and publish again")
        elif isinstance(cause, HfHubHTTPError):
            plain = _refusal(cause, repo_id)
        elif isinstance(cause, HTTPError):
            found = f"no connection to {api.endpoint} ({type(cause).__name__})"
            plain = (found, "an answer", "check the network and publish again; nothing half-made is left")
        elif isinstance(cause, ValueError):
            plain = _refused(cause)
        else:
            found = f"an upload that broke off ({_one_line(cause)})"
            plain = (found, "a complete one", "publish again; nothing half-made is left")
        raise InputError(repo_id, *plain) from error


def _refusal(error: HfHubHTTPError, repo_id: str) -> tuple[str, str, str]:
    """Found, expected and remedy for an HTTP status."""
    organization = repo_id.split("/")[0]
    match error.response.status_code:
        case 401:
            remedy = "run `hf auth login` or set HF_TOKEN"
            return "no valid access token", f"a token that may write to {organization}", remedy
        case 403:
            remedy = f"use a token with write access, or have an owner of {organization} add you"
            return "a token without write access", f"a token that may write to {organization}", remedy
        case 409 | 412:
            return "another commit made meanwhile", "an unchanged branch", "publish again"
        case status if status >= 500:
            return f"the Hub out of order ({status})", "an answer", "publish again later; nothing half-made is left"
        case status:
            return _refused(f"{status}: {error.server_message or error}")


def _refused(text: object) -> tuple[str, str, str]:
    return f"a refusal by the Hub ({_one_line(text)})", "what the Hub accepts", "mend what it names and publish again"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
