"""Training of the generator, and of an adapter on four bits, killed at any time ends with the bytes of a whole run."""

import random
import subprocess
import sys
import time

import pytest

from tests.systems.diffusion.runs import adapter, configuration, files
from tests.systems.histgen.test_kills import wait_for_work

KILLS = 4
LONGER = {"max_steps": 40, "save_steps": 5, "eval_steps": 20, "sample_steps": 20, "dataloader_num_workers": 1}


def started(config: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "hf_medreport.cli", "train", "diffusion", "--config", config]
    command += ["--resume_from_checkpoint", "true"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whole model", "adapter in four bits"])
def test_four_kills(tmp_path, kind):
    def made(name: str) -> str:
        if kind == "whole model":
            return configuration(tmp_path / name, **LONGER)
        return adapter(tmp_path / name, tmp_path / "base" / "run" / "model", quantize=["unet"], **LONGER)

    if kind != "whole model":
        assert started(configuration(tmp_path / "base")).wait() == 0
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    since, process = time.time(), started(made("whole"))
    wait_for_work(process, whole / "run" / "manifest.json", since)
    begun = time.monotonic()
    assert process.wait() == 0
    seconds = time.monotonic() - begun  # of training, sampling and saving

    config, chance, cut_late = made("parts"), random.Random(0), 0
    for kill in range(KILLS):
        since, process = time.time(), started(config)
        if kill:  # the first falls anywhere, imports and the codec's fit included
            wait_for_work(process, parts / "run" / "manifest.json", since)
        time.sleep(chance.uniform(0.1, 0.6) * seconds)
        process.kill()
        process.wait()
        cut_late += any((parts / "run").glob("checkpoint-*"))
    assert cut_late > 1  # most kills fell where there was something to lose
    assert started(config).wait() == 0
    assert files(parts / "run" / "model") == files(whole / "run" / "model")
    assert (parts / "run" / "samples" / "step-000040.png").read_bytes() == (
        whole / "run" / "samples" / "step-000040.png"
    ).read_bytes()
