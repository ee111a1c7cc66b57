"""What a judge sees on pictures.

judge = load_judge()                     # the shipped one
seen = judge.look(images)                # uint8 (n, size, size, 3)
seen.answers[0]["finding"], seen.features.shape
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hf_medreport.files.writing import sha256
from hf_medreport.phantom.picture.facts import MODALITIES, NO_FINDING, PictureFact
from hf_medreport.phantom.picture.modality import GRADES, SIDES
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import register_auto_classes, shipped, systems

__all__ = ["ARTEFACT", "ARTEFACTS", "QUESTIONS", "Judge", "Seen", "judge_folder", "labels_of", "load_judge"]
__all__ += ["pixels_of", "questions", "rater_folder"]

QUESTIONS = ("modality", "finding", "side", "zone", "grade")
# What a judge that stands for a rater is asked beside them, and its answers: how badly a picture is damaged.
ARTEFACT, ARTEFACTS = "artefact", ("none", "slight", "strong")
WEIGHTS = "model.safetensors"


def questions() -> dict[str, list[str]]:
    """What can be asked of a drawn picture, and all answers to it. Findings of one name in two modalities are one."""
    findings = [(name, row) for modality in MODALITIES.values() for name, row in modality.findings.items()]
    return {
        "modality": list(MODALITIES),
        "finding": list(dict.fromkeys([NO_FINDING, *(name for name, _ in findings)])),
        "side": list(SIDES),
        "zone": list(dict.fromkeys(zone for _, row in findings for zone in row.zones)),
        "grade": list(GRADES),
    }


def pixels_of(images: np.ndarray) -> torch.Tensor:
    """uint8 (n, height, width, 3) -> float32 (n, 3, height, width) in [-1, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


@dataclass(frozen=True, eq=False)
class Seen:
    """What a judge says of n pictures.

    Attributes:
        answers: {question: answer} of each.
        logits: {question: float32 (n, answers)}.
        features: float32 (n, width).
    """

    answers: list[dict[str, str]]
    logits: dict[str, np.ndarray]
    features: np.ndarray


@dataclass(frozen=True, eq=False)
class Judge:
    """A judge, and its name with the digest of its weights: figures of two judges cannot be compared."""

    model: torch.nn.Module
    name: str

    @property
    def size(self) -> int:
        """Side in px of the pictures that it reads."""
        return self.model.config.image_size

    @torch.inference_mode()
    def look(self, images: np.ndarray, batch_size: int = 100) -> Seen:
        """Look at pictures.

        Args:
            images: uint8 (n, size, size, 3).

        Raises:
            InputError: pictures of another size.
        """
        if images.shape[1:] != (self.size, self.size, 3):
            found, expected = " x ".join(map(str, images.shape[1:])), f"{self.size} x {self.size} x 3"
            raise InputError("pictures", found, expected, "draw them at the judge's size")
        outputs = [
            self.model(pixel_values=pixels_of(images[start : start + batch_size]).to(self.model.device))
            for start in range(0, len(images), batch_size)
        ]
        logits = torch.cat([output.logits.float() for output in outputs])
        features = torch.cat([output.features.float() for output in outputs]).cpu().numpy()
        parts = {name: part.cpu().numpy() for name, part in self.model.by_question(logits).items()}
        return Seen(self.model.answers(logits), parts, features)


def load_judge(folder: str | os.PathLike | None = None, device: str | None = None) -> Judge:
    """A judge that `hf-medreport train picture_judge` made; None is the shipped one.

    Raises:
        InputError: nothing of the kind there, or a judge that is asked other questions.
    """
    from transformers import AutoModel

    from hf_medreport.inference.loading import checked_device

    path = judge_folder(folder)
    if not (path / WEIGHTS).is_file():
        found = f"no {WEIGHTS} in '{path.name}'" if path.is_dir() else f"no folder '{path.name}'"
        raise InputError("judge", found, "the folder of a judge", "check the path")
    register_auto_classes()
    try:
        model = AutoModel.from_pretrained(path, local_files_only=True, dtype=torch.float32)
    except Exception as error:  # transformers reports bad folders by many exception types
        found = f"'{path.name}', which does not load ({' '.join(str(error).split())[:200]})"
        raise InputError("judge", found, "the folder of a judge", "train it again") from error
    lacks = [name for name in QUESTIONS if name not in getattr(model.config, "answers", {})]
    if lacks:
        raise InputError("judge", f"a model that is not asked for the {lacks[0]}", "a judge of pictures", "give one")
    name = f"{path.resolve().name} (sha256 {sha256(path / WEIGHTS)[:12]})"
    return Judge(model.to(checked_device(device)).eval(), name)


def judge_folder(folder: str | os.PathLike | None = None) -> Path:
    """Where a judge lies: a folder or a shipped name; None is the shipped one."""
    known = shipped("judge")
    return next(iter(known.values())) if folder is None else known.get(str(folder), Path(folder))


def rater_folder() -> Path:
    """Where the shipped judge lies that was trained apart from the one that scores, and stands for a rater."""
    return next(row.shipped[row.apart] for row in systems() if row.kind == "judge" and row.apart)


def labels_of(facts: Iterable[PictureFact], asked: dict[str, list[str]]) -> np.ndarray:
    """int64 (n, questions): the number of each answer; -100 where a fact has none."""
    return np.array(
        [
            [-100 if (one := getattr(fact, name)) is None else answers.index(one) for name, answers in asked.items()]
            for fact in facts
        ],
        dtype=np.int64,
    )
