"""A checkpoint gives back every bit, holds only what is trained, is refused where it does not fit, and old ones go."""

import shutil
from collections import namedtuple

import pytest
import torch

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.training.checkpoints import (
    Progress,
    check_disk,
    load_checkpoint,
    read_progress,
    save_checkpoint,
)
from hf_medreport.systems.diffusion.training.ema import MovingAverage


class Training:
    """A convolution, its average and its AdamW."""

    def __init__(self, channels: int = 2):
        torch.manual_seed(0)
        self.model = torch.nn.Conv2d(channels, 3, 3).to(memory_format=torch.channels_last)
        self.parameters = dict(self.model.named_parameters())
        self.average = MovingAverage(self.parameters, 0.9)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=0.1)

    def steps(self, first: int, count: int) -> "Training":
        for step in range(first, first + count):
            torch.manual_seed(step)
            self.optimizer.zero_grad()
            self.model(torch.randn(1, 2, 4, 4)).square().sum().backward()
            self.optimizer.step()
            self.average.update(step)
        return self

    def save(self, output, step: int, limit=None):
        return save_checkpoint(output, Progress(step), self.parameters, self.average, self.optimizer, limit)

    def load(self, folder) -> "Training":
        load_checkpoint(folder, self.parameters, self.average, self.optimizer)
        return self

    def bits(self) -> list[bytes]:
        tensors = [*self.parameters.values(), *self.average.averages.values()]
        tensors += [state[key] for state in self.optimizer.state.values() for key in sorted(state)]
        return [tensor.detach().contiguous().numpy().tobytes() for tensor in tensors]


def test_a_run_that_goes_on_ends_in_the_same_bits(tmp_path):
    whole = Training().steps(1, 6)
    folder = Training().steps(1, 3).save(tmp_path, 3)
    assert sorted(path.name for path in folder.iterdir()) == [
        "averages.safetensors",
        "optimizer.safetensors",
        "trainer_state.json",
        "weights.safetensors",
    ]
    assert Training().load(folder).steps(4, 3).bits() == whole.bits()


def test_the_state_comes_back(tmp_path):
    progress = Progress(4, 7, {"scale": 2.0}, [0.5], [{"step": 4, "loss": 0.25}])
    training = Training()
    folder = save_checkpoint(tmp_path, progress, training.parameters, None, training.optimizer, None)
    assert read_progress(folder) == progress and not (folder / "averages.safetensors").exists()


def test_the_newest_are_kept(tmp_path):
    training = Training().steps(1, 1)
    for step in (1, 2, 10):
        training.save(tmp_path, step, limit=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-2"]
    training.save(tmp_path, 10)  # once more, without a limit
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_appears_of_a_checkpoint_that_fails(tmp_path, monkeypatch):
    training = Training().steps(1, 1)
    monkeypatch.setattr("hf_medreport.systems.diffusion.training.checkpoints.write_json", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        training.save(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


def test_refusals(tmp_path):
    folder = Training().steps(1, 1).save(tmp_path, 1)

    def refused(training) -> str:
        with pytest.raises(InputError) as raised:
            training.load(folder)
        return str(raised.value)

    end = "expected a checkpoint of the same settings; give those of the run, or begin anew with `overwrite`"
    where = "checkpoint-1/weights.safetensors: found"
    assert refused(Training(3)) == f"{where} 'weight' of shape (3, 2, 3, 3) for (3, 3, 3, 3); {end}"
    more, less = Training(), Training()
    more.parameters["bias2"] = less.parameters.pop("bias")
    assert refused(less) == f"{where} 'bias' too many; {end}"
    assert refused(more) == f"{where} 'bias2' missing; {end}"
    (folder / "averages.safetensors").unlink()
    assert refused(Training()) == f"checkpoint-1/averages.safetensors: found no such file; {end}"
    (folder / "trainer_state.json").write_text('{"global_step": 4}')
    with pytest.raises(InputError, match="checkpoint-1: found a folder without a state that can be read; expected a"):
        read_progress(folder)


def test_a_full_disk_is_said_before_any_work(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(2**40, 2**40 - 2**29, 2**29))
    check_disk(tmp_path / "a" / "b", 2**29)
    with pytest.raises(InputError) as raised:
        check_disk(tmp_path / "a" / "b", 3 * 2**30)
    assert str(raised.value).startswith("output_dir: found 0.50 GiB of free disk; expected 3.00 GiB for checkpoints; ")
