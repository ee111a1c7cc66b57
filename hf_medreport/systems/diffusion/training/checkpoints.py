"""What a killed run goes on from: weights, their averages, the optimizer's state, and the place in the data.

A folder `checkpoint-STEP` appears whole or not at all. It holds what is trained, of an adapter's run the adapter alone;
what is frozen comes from where it came from. Tensors are safetensors and the rest is JSON: no pickle.
"""

import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from hf_medreport.files.settings import read_settings
from hf_medreport.files.writing import write_json, write_whole_folder
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.training.ema import MovingAverage
from hf_medreport.training.recipe import checkpoints, step_of

__all__ = ["Progress", "check_disk", "load_checkpoint", "read_progress", "save_checkpoint"]

WEIGHTS, AVERAGES, OPTIMIZER = "weights.safetensors", "averages.safetensors", "optimizer.safetensors"
STATE = "trainer_state.json"  # by which `last_checkpoint` knows one that is whole


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: optimizer steps done.
        seen: rows that all processes together have been given: where the data goes on.
        scaler: the state of float16's loss scale; {} in another precision.
        pending: the losses of the steps since the last line of `history`.
        history: what was logged, a mapping a line.
    """

    step: int = 0
    seen: int = 0
    scaler: dict = field(default_factory=dict)
    pending: list[float] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)


def save_checkpoint(
    output: Path,
    progress: Progress,
    parameters: dict[str, torch.nn.Parameter],
    averages: MovingAverage | None,
    optimizer: torch.optim.Optimizer,
    limit: int | None,
) -> Path:
    """Write `checkpoint-STEP` into a run's folder and remove the oldest ones beyond `limit`; returns its path.

    Args:
        parameters: {name: what is trained}.
        averages: of these; None without.
        limit: how many are kept; None keeps all.
    """

    def fill(folder: Path) -> None:
        _save(parameters, folder / WEIGHTS)
        if averages is not None:
            _save(averages.averages, folder / AVERAGES)
        state = {name: optimizer.state[each] for name, each in parameters.items()}
        flat = {f"{name}/{key}": value for name, values in state.items() for key, value in values.items()}
        _save(flat, folder / OPTIMIZER)
        write_json(folder / STATE, asdict(progress))

    folder = output / f"checkpoint-{progress.step}"
    shutil.rmtree(folder, ignore_errors=True)  # of a run that went on from an earlier one
    write_whole_folder(folder, fill)
    for old in sorted(checkpoints(output), key=step_of)[: -limit if limit else 0]:
        shutil.rmtree(old)
    return folder


def read_progress(folder: Path, kind: type[Progress] = Progress) -> Progress:
    """How far a checkpoint's run was, as a run of this kind keeps it.

    Raises:
        InputError: no state, or that of another recipe.
    """
    try:
        return kind(**read_settings(folder / STATE, f"{folder.name}/{STATE}"))
    except (OSError, ValueError, TypeError) as error:
        expected, remedy = f"a checkpoint of this recipe, with its {STATE}", "check the path, or begin anew"
        raise InputError(folder.name, "a folder without a state that can be read", expected, remedy) from error


def load_checkpoint(
    folder: Path,
    parameters: dict[str, torch.nn.Parameter],
    averages: MovingAverage | None,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Put a checkpoint's tensors where they came from, to the last bit.

    Raises:
        InputError: a tensor is missing, too many or of another shape: the run had other settings.
    """
    _fill(folder / WEIGHTS, {name: each.data for name, each in parameters.items()})
    if averages is not None:
        _fill(folder / AVERAGES, averages.averages)
    state = _read(folder / OPTIMIZER)
    for name, each in parameters.items():
        of_this = [key for key in state if key.rpartition("/")[0] == name]
        optimizer.state[each] = {key.rpartition("/")[2]: _like(state.pop(key), each) for key in of_this}
    if state:
        raise _foreign(folder / OPTIMIZER, f"'{min(state)}' too many")


def check_disk(output: Path, bytes_needed: int) -> None:
    """Refuse, before any work, a disk on which the run's checkpoints have no room.

    Raises:
        InputError: less is free than they take.
    """
    place = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < bytes_needed:
        remedy = "lower `save_total_limit`, train an adapter by `lora_rank`, or choose another `output_dir`"
        raise InputError("output_dir", f"{_gib(free)} of free disk", f"{_gib(bytes_needed)} for checkpoints", remedy)


def _gib(count: int) -> str:
    return f"{count / 2**30:.2f} GiB"


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    save_file({name: each.detach().cpu().contiguous() for name, each in tensors.items()}, path)


def _like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """An optimizer's tensor where and how its parameter lies; a count of steps stays as it is."""
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value) if value.ndim else value


def _fill(path: Path, targets: dict[str, torch.Tensor]) -> None:
    tensors = _read(path)
    for names, what in ((set(targets) - set(tensors), "missing"), (set(tensors) - set(targets), "too many")):
        if names:
            raise _foreign(path, f"'{min(names)}' {what}")
    for name, target in targets.items():
        if tensors[name].shape != target.shape:
            raise _foreign(path, f"'{name}' of shape {tuple(tensors[name].shape)} for {tuple(target.shape)}")
        target.copy_(tensors[name])


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise _foreign(path, "no such file")
    return load_file(path)


def _foreign(path: Path, found: str) -> InputError:
    expected, remedy = "a checkpoint of the same settings", "give those of the run, or begin anew with `overwrite`"
    return InputError(f"{path.parent.name}/{path.name}", found, expected, remedy)
