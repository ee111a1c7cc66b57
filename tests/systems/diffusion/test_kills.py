"""Training of the generator, and of an adapter on four bits, killed at any time ends with the bytes of a whole run."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.systems.diffusion.runs import adapter, configuration, files

KILLS = 3
LONGER = {"max_steps": 40, "save_steps": 5, "eval_steps": 20, "sample_steps": 20, "dataloader_num_workers": 1}


def started(config: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "hf_medreport.cli", "train", "diffusion", "--config", config]
    command += ["--resume_from_checkpoint", "true"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for_work(process: subprocess.Popen, run: Path, since: float) -> None:
    """Until the run has written a checkpoint, or is done."""
    while process.poll() is None and not any(path.stat().st_mtime > since for path in run.glob("checkpoint-*")):
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whole model", "adapter in four bits"])
def test_three_kills(tmp_path, kind):
    def made(name: str) -> str:
        if kind == "whole model":
            return configuration(tmp_path / name, **LONGER)
        return adapter(tmp_path / name, tmp_path / "base" / "run" / "model", quantize=["unet"], **LONGER)

    if kind != "whole model":
        assert started(configuration(tmp_path / "base")).wait() == 0
    whole, parts = tmp_path / "whole" / "run", tmp_path / "parts" / "run"
    since, process = time.time(), started(made("whole"))
    wait_for_work(process, whole, since)
    begun = time.monotonic()
    assert process.wait() == 0
    seconds = time.monotonic() - begun  # of most of its steps, sampling and saving

    config, chance, cut = made("parts"), random.Random(0), 0
    for _ in range(KILLS):
        since, process = time.time(), started(config)
        wait_for_work(process, parts, since)
        time.sleep(chance.uniform(0, 0.1) * seconds)
        process.kill()
        cut += process.wait() != 0
    assert cut > 1  # most kills fell where there was something left to do
    assert started(config).wait() == 0
    assert files(parts / "model") == files(whole / "model")
    sheets = [folder / "samples" / "step-000040.png" for folder in (parts, whole)]
    assert sheets[0].read_bytes() == sheets[1].read_bytes()
