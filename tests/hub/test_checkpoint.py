"""The tensors of a checkpoint, and nothing else: no code of it runs."""

import pytest
import torch
from safetensors.torch import save

from hf_medreport.hub.checkpoint import read_checkpoint
from hf_medreport.processing.input_error import InputError

WEIGHTS = {"linear.weight": torch.arange(4.0)}


@pytest.mark.parametrize(
    "stored",
    [
        WEIGHTS,
        {"model_state_dict": WEIGHTS, "epoch": 3},
        {"model": {"state_dict": WEIGHTS}},
        {"state_dict": {"module.linear.weight": WEIGHTS["linear.weight"]}},
    ],
    ids=["bare", "wrapped", "wrapped twice", "DataParallel"],
)
def test_weights_are_unwrapped(tmp_path, stored):
    torch.save(stored, tmp_path / "run.pth")
    read = read_checkpoint(tmp_path / "run.pth")
    assert list(read) == ["linear.weight"] and torch.equal(read["linear.weight"], torch.arange(4.0))


class Surprise:
    """An object whose unpickling would leave a trace."""

    def __reduce__(self):
        return (open, ("executed.txt", "w"))


FILES = {
    "pickle.pth": lambda path: torch.save({"model": Surprise()}, path),
    "list.pth": lambda path: torch.save([torch.zeros(2)], path),
    "short.safetensors": lambda path: path.write_bytes(save(WEIGHTS)[:-1]),
    "noise.pth": lambda path: path.write_bytes(b"not a checkpoint"),
    "words.pth": lambda path: path.write_bytes(b"hello\n"),  # read as a pickle, it looks up what was never stored
    "folder.pth": lambda path: path.mkdir(),
}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("pickle.pth", "found objects besides tensors; expected a state dict saved by torch.save"),
        ("list.pth", "found no state dict; expected names with tensors"),
        ("short.safetensors", "found broken safetensors; expected a complete file"),
        ("noise.pth", "found a broken file; expected a state dict saved by torch.save"),
        ("words.pth", "found a broken file; expected a state dict saved by torch.save"),
        ("folder.pth", "found no such file; expected a .pth, .pt or .safetensors checkpoint"),
    ],
)
def test_refusals(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    FILES[name](tmp_path / name)
    with pytest.raises(InputError, match=message):
        read_checkpoint(tmp_path / name)
    assert not (tmp_path / "executed.txt").exists()
