"""Training of the multi-task chest X-ray, in stages, killed at any time ends with the bytes of a run that was not."""

import random
import subprocess
import sys
import time

import pytest

from tests.systems.cxr_multitask.test_recipe import configuration, files
from tests.systems.histgen.test_kills import wait_for_work

KILLS = 8
LONGER = {"max_steps": 40, "save_steps": 5, "eval_steps": 20, "unfreezing": ["0:0", "10:3", "25:all"]}


def started(config: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "hf_medreport.cli", "train", "cxr_multitask", "--config", config]
    command += ["--resume_from_checkpoint", "true"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_eight_kills(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    since, process = time.time(), started(configuration(whole, **LONGER))
    wait_for_work(process, whole / "run" / "manifest.json", since)
    begun = time.monotonic()
    assert process.wait() == 0
    seconds = time.monotonic() - begun  # of training, saving and evaluating

    config, chance, cut_late = configuration(parts, **LONGER), random.Random(0), 0
    for kill in range(KILLS):
        since, process = time.time(), started(config)
        if kill % 4:  # every fourth falls anywhere, imports, drawing and warm-up included
            wait_for_work(process, parts / "run" / "manifest.json", since)
        time.sleep(chance.uniform(0, 0.4) * seconds)
        process.kill()
        process.wait()
        cut_late += any((parts / "run").glob("checkpoint-*"))
    assert cut_late > KILLS // 3  # most kills fell where there was something to lose
    assert started(config).wait() == 0
    assert files(parts / "run" / "model") == files(whole / "run" / "model")
