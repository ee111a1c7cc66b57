"""A judge and a segmenter that read a picture's own gray values, and a generator that draws what a list says."""

from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

LUNGS, HEART = 128, 255
ANSWER = {"modality": "cxr", "finding": "no finding", "side": "left", "zone": "upper", "grade": "mild"}


class MadeJudge:
    """Answers the same of each picture, or the next of a list."""

    size, name = 16, "made"

    def __init__(self, *answers: dict):
        self.answers = [ANSWER | answer for answer in answers or ({},)]

    def look(self, images: np.ndarray) -> SimpleNamespace:
        assert images.shape == (1, 16, 16, 3)
        return SimpleNamespace(answers=[self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]])


def film(heart: int, lungs: int = 80, size: int = 100) -> Image.Image:
    """Two lungs of an outer width of `lungs` px and a heart of `heart` px, with the noise of a good film."""
    values = np.random.default_rng(0).integers(0, 8, (size, size))
    start = (size - lungs) // 2
    values[20:80, start : start + lungs // 4] = LUNGS
    values[20:80, start + lungs - lungs // 4 : start + lungs] = LUNGS
    begin = (size - heart) // 2
    values[50:80, begin : begin + heart] = HEART
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def made_segmenter() -> SimpleNamespace:
    """Lungs are what is gray, heart what is white, at the film's own size."""

    def process(films, return_tensors):
        return {"pixel_values": torch.tensor(np.stack(films))[:, None]}

    class Model(torch.nn.Module):
        device = torch.device("cpu")

        def forward(self, pixels):
            values = pixels[:, 0] * 255
            lungs = (values - LUNGS).abs() < 20
            return SimpleNamespace(logits=torch.stack([lungs, values > HEART - 20], dim=1).float() - 0.5)

    return SimpleNamespace(image_processor=process, model=Model(), name="made")


class MadePipe:
    """Draws the next picture of a list, and keeps what it was asked."""

    def __init__(self, *pictures: Image.Image):
        self.pictures, self.asked = list(pictures), []

    def __call__(self, prompts, modalities, *, seeds, **options):
        self.asked.append((prompts, modalities, seeds, options))
        return SimpleNamespace(images=[self.pictures.pop(0) if len(self.pictures) > 1 else self.pictures[0]])
