"""The training loop: several processes and batches that add up learn as one, stages, rows that are left out."""

import json
import os
import socket

import numpy as np
import pytest
from accelerate.state import PartialState
from PIL import Image

from hf_medreport.systems.diffusion.training.trainer import DiffusionTrainer
from hf_medreport.training import run
from tests.systems.diffusion.runs import TINY, configuration, history

# At a low rate: Adam makes whole steps of gradients that are nothing but rounding.
SHARED = {"learning_rate": 1e-3, "max_steps": 3, "logging_steps": 1, "eval_steps": 3, "sample_steps": 0}
PLAIN = TINY["text_encoder"] | {"hidden_dropout_prob": 0.0}  # what is dropped differs between processes


def recorded(monkeypatch, folder) -> None:
    """Write down which rows a process learns from."""
    made = DiffusionTrainer.batch_of

    def batch_of(trainer, rows):
        if trainer.plain.training:
            with open(folder / f"rows-{trainer.accelerator.process_index}.jsonl", "a") as file:
                file.write(
                    "".join(f"{json.dumps(place)}\n" for place in zip(rows["epochs"], rows["rows"], strict=True))
                )
        return made(trainer, rows)

    monkeypatch.setattr(DiffusionTrainer, "batch_of", batch_of)


def child(rank: int, port: int, config: str) -> int:
    """A process of two, forked: nothing is imported again."""
    process = os.fork()
    if not process:
        code = 1
        try:
            PartialState._reset_state()
            os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
            run("diffusion", config)
            code = 0
        finally:
            os._exit(code)
    return process


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process with the whole batch."""
    folder = tmp_path_factory.mktemp("shares") / "alone"
    run("diffusion", configuration(folder, text_encoder=PLAIN, **SHARED))
    return folder / "run"


def losses_of(folder) -> list[float]:
    return [line[name] for line in history(folder) for name in ("loss", "validation_loss") if name in line]


def test_two_processes_learn_as_one(alone, monkeypatch):
    folder = alone.parent.parent / "together"
    shares = {"per_device_train_batch_size": 2, "text_encoder": PLAIN}
    config = configuration(folder, **SHARED | shares)
    recorded(monkeypatch, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [child(rank, port, config) for rank in range(2)]
    assert [os.waitpid(process, 0)[1] for process in children] == [0, 0]
    assert losses_of(folder / "run") == pytest.approx(losses_of(alone), abs=1e-5)
    assert len(losses_of(alone)) == 3 + 1
    seen = [
        [json.loads(line) for line in (folder / f"rows-{rank}.jsonl").read_text().splitlines()] for rank in range(2)
    ]
    assert [len(each) for each in seen] == [6, 6]  # three steps of four rows are two epochs of six films
    assert sorted(sum(seen, [])) == [[epoch, row] for epoch in range(2) for row in range(6)]


def test_batches_that_add_up_learn_as_one(alone):
    folder = alone.parent.parent / "parts"
    shares = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": 4, "text_encoder": PLAIN}
    run("diffusion", configuration(folder, **SHARED | shares))
    assert losses_of(folder / "run") == pytest.approx(losses_of(alone), abs=1e-5)


def test_stages(tmp_path, caplog):
    """Of two resolutions; the rate rises in each, and the rows go on."""
    stages = [
        {"resolution": 32, "steps": 2, "learning_rate": 0.01},
        {"resolution": 40, "steps": 2, "learning_rate": 0.004, "per_device_train_batch_size": 2},
    ]
    changes = {
        "max_steps": None,
        "stages": stages,
        "logging_steps": 1,
        "eval_steps": 0,
        "lr_scheduler_type": "constant",
    }
    caplog.set_level("INFO", "hf_medreport")
    run("diffusion", configuration(tmp_path / "stages", **changes))
    folder = tmp_path / "stages" / "run"
    assert [line["learning_rate"] for line in history(folder)] == pytest.approx([0.005, 0.01, 0.002, 0.004])
    assert "stage 2 of 2: 40 px, 2 steps" in caplog.messages
    assert [Image.open(path).height for path in sorted((folder / "samples").iterdir())] == [32, 40]
    assert json.loads((folder / "model" / "run.json").read_text())["samples_seen"] == 2 * 4 + 2 * 2


def test_bad_rows_of_a_table_are_told_and_end_nothing(tmp_path, caplog):
    noise = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(noise.integers(0, 256, (40, 30), np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "c.png").read_bytes()[:60])
    long = "and no " * 200
    rows = ["path,text,modality", "a.png,left effusion,X-Ray", "b.png,clear lungs,CXR", "c.png,cut,CXR"]
    rows += ["missing.png,none,CXR", "a.png,a foot,foot", f"b.png,{long},CXR"]
    (tmp_path / "rows.csv").write_text("\n".join(rows))
    table = {"train_data": str(tmp_path / "rows.csv"), "phantom_cases": None, "phantom_validation_cases": None}
    quiet = {"eval_steps": 0, "sample_steps": 0, "per_device_train_batch_size": 2, "logging_steps": 1}
    run("diffusion", configuration(tmp_path / "tables", **table | quiet))
    told = "\n".join(caplog.messages)
    for problem in ("c.png", "no file missing.png", "'foot'", "left out: row 5: prompt: found "):
        assert problem in told
    folder = tmp_path / "tables" / "run"
    assert all(np.isfinite(loss) for loss in losses_of(folder))
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["training_records"] == 6 and list(manifest["inputs"]) == [str(tmp_path / "rows.csv")]
