"""Whether a generator's folder says that it copies no training pictures: what `publish` asks before it uploads one."""

from pathlib import Path

from hf_medreport.files.settings import read_settings
from hf_medreport.processing.input_error import InputError

__all__ = ["check_gate", "gate_of"]

FILE = "evaluation.json"


def gate_of(evaluation: dict) -> dict | None:
    """The gate among the figures of an evaluation: at the top, or in the first split that has one."""
    splits = [evaluation, *(part for part in evaluation.values() if isinstance(part, dict))]
    return next((part["gate"] for part in splits if isinstance(part.get("gate"), dict)), None)


def check_gate(folder: str | Path) -> None:
    """Refuse a generator's folder whose `evaluation.json` holds no memorization gate, or one that failed.

    Raises:
        InputError: no such figure, a broken file, or a gate that did not pass.
    """
    path = Path(folder) / FILE
    name = f"{path.parent.resolve().name}/{FILE}"
    expected = "a memorization gate that passed"
    evaluate = "hf-medreport evaluate phantom --model FOLDER --training PICTURES --card"
    remedy = f"run `{evaluate}` (of real pictures `evaluate images` with `training`, and copy its scores there), "
    remedy += "or publish it `unchecked`"
    evaluation = read_settings(path, name, remedy, "the figures of an evaluation") if path.is_file() else {}
    gate = gate_of(evaluation)
    if gate is None:
        raise InputError(name, "no figure of it" if evaluation else "no figures", expected, remedy)
    if gate.get("passes") is not True:
        share = gate.get("share")
        found = "one that failed" + (f" ({share:.2%} of its pictures are suspect)" if isinstance(share, float) else "")
        remedy = "train it on more pictures or for less time, or publish it `unchecked`"
        raise InputError(name, found, expected, remedy)
