"""Training that is killed thirty times, at any moment, ends with the bytes of a run that never was."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.training.test_histgen import TINY, configuration

KILLS = 30
LONGER = {"max_steps": 60, "save_steps": 5, "eval_steps": 30, "phantom_slides": 6}


def started(config: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "hf_medreport.cli", "train", "histgen", "--config", config]
    command += ["--resume_from_checkpoint", "true"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


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
    begun = time.monotonic()
    assert started(configuration(whole, **TINY | LONGER)).wait() == 0
    seconds = time.monotonic() - begun
    config, chance, kills = configuration(parts, **TINY | LONGER), random.Random(0), 0
    while kills < KILLS:
        process = started(config)
        try:
            process.wait(timeout=chance.uniform(0.2, 1.0) * seconds)
            assert process.returncode == 0
            if kills < KILLS // 2:  # done too early: begin again
                for path in sorted((parts / "run").glob("checkpoint-*/trainer_state.json")):
                    path.unlink()
            else:
                break
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
    assert started(config).wait() == 0
    assert files(parts / "run" / "model") == files(whole / "run" / "model")
