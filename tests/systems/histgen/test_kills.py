"""Training that is killed thirty times, at any moment, ends with the bytes of a run that never was."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.systems.histgen.test_recipe import TINY, configuration

KILLS = 30
LONGER = {"max_steps": 60, "save_steps": 5, "eval_steps": 30, "phantom_cases": 6}


def started(config: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "hf_medreport.cli", "train", "histgen", "--config", config]
    command += ["--resume_from_checkpoint", "true"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_work(process: subprocess.Popen, manifest: Path, since: float) -> None:
    """Until the run has imported all and works: it writes its manifest or, resumed, something beside it."""
    while process.poll() is None and not any(changed(path) > since for path in manifest.parent.rglob("*")):
        time.sleep(0.02)


def changed(path: Path) -> float:
    """When; never, of what is gone by now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def files(folder: Path) -> dict[str, bytes]:
    """The final folder; the card names the YAML, which lies elsewhere."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "README.md"
    }


@pytest.mark.slow
def test_thirty_kills(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    since, process = time.time(), started(configuration(whole, **TINY | LONGER))
    wait_for_work(process, whole / "run" / "manifest.json", since)
    begun = time.monotonic()
    assert process.wait() == 0
    seconds = time.monotonic() - begun  # of training, saving and evaluating

    config, chance = configuration(parts, **TINY | LONGER), random.Random(0)
    cut_early, cut_late = 0, 0
    for kill in range(KILLS):
        if kill == KILLS // 2:  # by now it may be done: once more from the start, with what was drawn
            for state in (parts / "run").glob("checkpoint-*/trainer_state.json"):
                state.unlink()
        since, process = time.time(), started(config)
        if kill % 5:  # every fifth falls anywhere, imports and drawing included
            wait_for_work(process, parts / "run" / "manifest.json", since)
        time.sleep(chance.uniform(0, 0.6) * seconds)
        process.kill()
        process.wait()
        late = any((parts / "run").glob("checkpoint-*"))
        cut_early, cut_late = cut_early + (not late), cut_late + late
    assert cut_late > KILLS // 3  # most kills fell where there was something to lose
    assert started(config).wait() == 0
    assert files(parts / "run" / "model") == files(whole / "run" / "model")
