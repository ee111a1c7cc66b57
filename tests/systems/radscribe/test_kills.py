"""Training of RadScribe that is killed at any moment ends with the bytes of a run that never was: phases of freezing,
accumulation, two rates and epochs in the middle and all; and two processes give what one gives.
"""

import json
import os
import random
import socket
import subprocess
import sys
import time

import pytest

from hf_medreport.systems.radscribe.trainer import RadScribeTrainer
from hf_medreport.training import run
from tests.systems.histgen.test_kills import wait_for_work
from tests.systems.radscribe.runs import (
    BERT,
    DECODER,
    EXAMPLES,
    TINY,
    files,
    table_configuration,
    validated,
    write_tables,
)

KILLS = 8
LONGER = {"max_steps": 40, "save_steps": 3, "eval_steps": 20, "gradient_accumulation_steps": 2}
# Eight films an epoch in four batches of two, so two updates; checkpoints lie after the first update of an epoch, too.
PHASES = {"finetune": True, "encoder_freeze_epoch": 1, "label_mode": "predicted", "gradient_accumulation_steps": 2}
PHASES |= {"max_steps": 5, "save_steps": 1, "save_total_limit": None}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Drawn films as RadScribe keeps them."""
    return write_tables(tmp_path_factory.mktemp("corpus"))


class Killed(BaseException):
    """What no handler catches."""


def watched(monkeypatch, kill_at=None) -> list:
    """Which of the encoder's parts are trained before each micro-batch; kills at an update."""
    seen, step = [], RadScribeTrainer.training_step

    def recorded(self, model, *arguments, **options):
        if self.state.global_step == kill_at:
            raise Killed
        trained = (name for name, value in model.encoder.named_parameters() if value.requires_grad)
        seen.append({".".join(name.split(".")[:2]) for name in trained})
        return step(self, model, *arguments, **options)

    monkeypatch.setattr(RadScribeTrainer, "training_step", recorded)
    return seen


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """The run that never was killed: its folder, and what it trained before each micro-batch."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        seen = watched(patch)
        run("radscribe", table_configuration(folder, corpus, **PHASES), [])
    return folder / "run", seen


@pytest.mark.parametrize("kill_at", [3, 4])
def test_a_killed_run_goes_on_in_its_phase_to_the_same_bytes(kill_at, corpus, whole, tmp_path, monkeypatch):
    """Killed after the third update, in the middle of the second epoch, and after the fourth, at its end."""
    whole, seen = whole
    assert ["bert.encoder" in names for names in seen] == [False] * 4 + [True] * 6  # four micro-batches an epoch

    config = table_configuration(tmp_path, corpus, **PHASES)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        watched(patch, kill_at=kill_at)
        run("radscribe", config, [])
    assert not (tmp_path / "run" / "model").exists()
    cut = tmp_path / "run" / f"checkpoint-{kill_at + 1}"  # as of a kill while it was saved
    cut.mkdir()
    (cut / "model.safetensors").write_bytes(b"half")
    with monkeypatch.context() as patch:
        rest = watched(patch)
        run("radscribe", config, ["--resume_from_checkpoint", "true"])
    assert rest == seen[2 * kill_at :]
    assert files(tmp_path / "run" / "model") == files(whole / "model")

    # Once more, as after a kill between the last checkpoint and the final folder: not a step further.
    assert run("radscribe", config, ["--resume_from_checkpoint", "true"])["global_step"] == 5
    assert files(tmp_path / "run" / "model") == files(whole / "model")


def started(config: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "hf_medreport.cli", "train", "radscribe", "--config", config]
    command += ["--resume_from_checkpoint", "true"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_eight_kills(corpus, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir(), parts.mkdir()
    settings = PHASES | validated(corpus, load_best_model_at_end=False) | {"encoder_freeze_epoch": 8} | LONGER
    since, process = time.time(), started(table_configuration(whole, corpus, **settings))
    wait_for_work(process, whole / "run" / "manifest.json", since)
    begun = time.monotonic()
    assert process.wait() == 0
    seconds = time.monotonic() - begun  # of training, saving and evaluating

    config, chance, cut_late = table_configuration(parts, corpus, **settings), random.Random(0), 0
    for kill in range(KILLS):
        since, process = time.time(), started(config)
        if kill % 4:  # every fourth falls anywhere, imports included
            wait_for_work(process, parts / "run" / "manifest.json", since)
        time.sleep(chance.uniform(0, 0.4) * seconds)
        process.kill()
        process.wait()
        cut_late += any((parts / "run").glob("checkpoint-*"))
    assert cut_late > KILLS // 3  # most kills fell where there was something to lose
    assert started(config).wait() == 0
    assert files(parts / "run" / "model") == files(whole / "run" / "model")


@pytest.mark.slow
def test_two_processes_give_the_losses_of_one_with_the_doubled_batch(corpus, tmp_path):
    """gloo on one machine, dropout 0, reports of equal length: losses equal to 1e-4."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir(), two.mkdir()
    bert = BERT | {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    settings = {"encoder": TINY["encoder"] | {"bert": bert}, "decoder": DECODER | {"dropout_rate": 0.0}}
    settings |= validated(corpus, eval_steps=4, save_steps=4) | {"max_steps": 4, "label_mode": "predicted"}
    losses = []
    for folder, batch in ((one, 4), (two, 2)):
        config = table_configuration(folder, corpus, **settings, per_device_train_batch_size=batch)
        command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(4 // batch)]
        with socket.socket() as free:  # a port that nobody listens on
            free.bind(("127.0.0.1", 0))
            command += ["--master_port", str(free.getsockname()[1])]
        done = subprocess.run(
            [*command, str(EXAMPLES / "train.py"), "radscribe", "--config", config],
            capture_output=True, text=True, timeout=500,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        state = json.loads((folder / "run" / "checkpoint-4" / "trainer_state.json").read_text())
        losses.append([row["loss"] for row in state["log_history"] if "loss" in row])
        # three films are scored, not those that fill the second process' batch up
        assert len((folder / "run" / "samples.jsonl").read_text().splitlines()) == 3
    assert losses[1] == pytest.approx(losses[0], abs=1e-4) and len(losses[0]) == 4
