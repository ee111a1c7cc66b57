"""How far a loop has come: `state.json`, written after each step, from which a run that was cut goes on.

A step is done when it stands there and its files are as they were written; of one that is not, what it left is removed
and it is done again, and all that came after it too. The file holds no time and no place, so that a run which was cut
and gone on with leaves the same bytes as one that was not.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from hf_medreport.files.writing import output_folder, sha256, write_json
from hf_medreport.processing.input_error import InputError

__all__ = ["ROUND", "STATE", "State"]

STATE = "state.json"
MADE_BY, ROUND = "hf-medreport rlhf", "round-"


class State:
    """The steps of one loop.

    Args:
        folder: of the run, made when absent.
        settings: all that the results depend on; goes into JSON.
        resume: go on with the run in the folder, where there is one; it must have the same settings.
        overwrite: remove what an older run wrote there.

    Attributes:
        steps: {name: {"result", "files": {name: SHA-256}}}, in their order.
        rounds: the figures of each finished round.

    Raises:
        InputError: a folder that holds something else, an older run without `resume` and `overwrite`, one of other
            settings, or a state that cannot be read.
    """

    def __init__(self, folder: str | os.PathLike, settings: dict, *, resume: bool = False, overwrite: bool = False):
        self.name, self.folder = Path(folder).absolute().name, output_folder(folder).resolve()
        self.settings = json.loads(json.dumps(settings))  # as it will be read back
        self.steps: dict[str, dict] = {}
        self.rounds: list[dict] = []
        self.tops: list[str] = []
        older = self._older()
        if older is None:
            return
        if overwrite:
            self._remove(older)
        elif not resume:
            remedy = "go on with `resume`, begin anew with `overwrite`, or choose another `output_dir`"
            raise InputError(self.name, "an older run", "a new or empty folder", remedy)
        else:
            self._go_on(older)

    def step(self, name: str, work: Callable[[Path], tuple[dict, Iterable[Path]]], *, goes_on: bool = False) -> dict:
        """The result of a step, which is done now unless it was done before.

        Args:
            name: of the step, and of its folder.
            work: folder -> what is known of the step (goes into JSON), and its files.
            goes_on: whether `work` itself goes on with what a cut run left in the folder.
        """
        if name in self.steps and self._is_whole(name):
            return self.steps[name]["result"]
        self._forget_from(name)
        folder = self.folder / name
        if not goes_on:
            shutil.rmtree(folder, ignore_errors=True)
        self.own(name.split("/")[0])
        folder.mkdir(parents=True, exist_ok=True)
        result, files = work(folder)
        known = {path.relative_to(self.folder).as_posix(): sha256(path) for path in sorted(files)}
        self.steps[name] = {"result": json.loads(json.dumps(result)), "files": known}
        self._write()
        return self.steps[name]["result"]

    def add_round(self, number: int, figures: dict) -> bool:
        """Keep the figures of a round, counted from 1; whether it was new."""
        if number <= len(self.rounds):
            return False
        self.rounds.append(json.loads(json.dumps(figures)))
        self._write()
        return True

    def own(self, top: str) -> None:
        """Keep that a file or folder is this run's, before it is written: `overwrite` will remove it."""
        if top not in self.tops:
            self.tops.append(top)
            self._write()

    def _write(self) -> None:
        content = {"made_by": MADE_BY, "settings": self.settings, "folders": self.tops}
        write_json(self.folder / STATE, content | {"rounds": self.rounds, "steps": self.steps})

    def _older(self) -> dict | None:
        path = self.folder / STATE
        if not path.is_file():
            if any(not path.name.startswith(".") for path in self.folder.iterdir()):  # a kill leaves hidden parts
                found = f"a folder that is not empty and has no {STATE}"
                raise InputError(self.name, found, "a new or empty folder", "choose another `output_dir`")
            return None
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["made_by"] != MADE_BY:
                raise KeyError("made_by")
            return {name: content[name] for name in ("settings", "folders", "rounds", "steps")}
        except (ValueError, KeyError, TypeError) as error:
            found = f"a {STATE} of something else, or a cut one"
            raise InputError(self.name, found, "the state of a loop", "choose another `output_dir`") from error

    def _go_on(self, older: dict) -> None:
        if older["settings"] != self.settings:
            names = [name for name in self.settings if older["settings"].get(name) != self.settings[name]]
            found, expected = (
                ", ".join(f"{name} {json.dumps(each.get(name)):.60}" for name in names)
                for each in (older["settings"], self.settings)
            )
            remedy = "give the same, begin anew with `overwrite`, or choose another `output_dir`"
            raise InputError(self.name, f"a run with {found}", f"{expected} as now", remedy)
        self.tops, self.rounds, self.steps = older["folders"], older["rounds"], older["steps"]

    def _remove(self, older: dict) -> None:
        """Remove the folders of an older run and its state; not where a damaged state leads."""
        for name in older["folders"]:
            path = Path(os.path.normpath(self.folder / name))
            if path.parent == self.folder:
                path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
        (self.folder / STATE).unlink()

    def _is_whole(self, name: str) -> bool:
        files = self.steps[name]["files"].items()
        return all((self.folder / file).is_file() and sha256(self.folder / file) == known for file, known in files)

    def _forget_from(self, name: str) -> None:
        """Forget a step that is to be done again, and those after it."""
        if name in self.steps:
            names = list(self.steps)
            lost = names[names.index(name) :]
            for later in lost:
                del self.steps[later]
            rounds = [int(later.split("/")[0].removeprefix(ROUND)) for later in lost if later.startswith(ROUND)]
            self.rounds = self.rounds[: min(rounds, default=len(self.rounds) + 1) - 1]
            self._write()
