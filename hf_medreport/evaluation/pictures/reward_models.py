"""What a selector or a policy says of pictures: one number each.

reward = load_reward("policy-tiny")
reward.score(images, prompts)            # uint8 (n, height, width, 3) and n prompts -> float32 (n,) in [0, 1]
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import register_auto_classes, shipped, system_of

__all__ = ["RewardModel", "as_text", "load_reward", "pixels_of", "sized"]

WEIGHTS = "model.safetensors"


def as_text(prompt: str, modality: str | None = None) -> str:
    """What a policy reads: the prompt, behind its modality where that is named."""
    return f"{modality}: {prompt}" if modality else prompt


def sized(image: np.ndarray, size: int) -> np.ndarray:
    """A picture, uint8 (height, width, 3), at the side that a model reads; its aspect is not kept."""
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def pixels_of(images: np.ndarray) -> torch.Tensor:
    """uint8 (n, height, width, 3) -> float32 (n, 3, height, width) in [0, 1], as reward models read them."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(255).contiguous()


@dataclass(frozen=True, eq=False)
class RewardModel:
    """A loaded reward model.

    Attributes:
        model, tokenizer: the tokenizer is None of a model that reads no prompt.
        name: its folder's, with the digest of its weights.
    """

    model: torch.nn.Module
    tokenizer: object | None
    name: str

    @property
    def kind(self) -> str:
        """Which system it is of."""
        return self.model.config.model_type

    @property
    def size(self) -> int:
        """Side in px of the pictures that it reads."""
        return self.model.config.vision_config.image_size

    def score(
        self,
        images: np.ndarray,
        prompts: Sequence[str] | None = None,
        modalities: Sequence[str | None] | None = None,
        batch_size: int = 100,
    ) -> np.ndarray:
        """Score pictures; each score depends on its own picture and prompt alone.

        Args:
            images: uint8 (n, height, width, 3); of another size than `size` they are resized.
            prompts: n of them; only a model that reads prompts needs them, and another ignores them.
            modalities: of the prompts, None where the prompt says it.

        Returns:
            float32 (n,) in [0, 1]; exactly 0 of a picture that a gate rejects.

        Raises:
            InputError: pictures that are none, no prompts where they are needed, or another number of them.
        """
        return _probabilities(self.outputs(images, prompts, modalities, batch_size))[0]

    def passes(self, images: np.ndarray, batch_size: int = 100) -> np.ndarray:
        """Which pictures no gate rejects, bool (n,)."""
        none = [""] * len(images) if self.tokenizer is not None else None
        return _probabilities(self.outputs(images, none, None, batch_size))[1]

    @torch.inference_mode()
    def outputs(self, images, prompts, modalities, batch_size) -> list:
        """The model's outputs, a batch each; arguments and errors as of `score`."""
        images = np.asarray(images)
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            found = f"{images.dtype} of shape {images.shape}"
            raise InputError("images", found, "uint8 (n, height, width, 3)", "give pictures in color, 0 to 255")
        texts = self._texts(len(images), prompts, modalities)
        outputs = []
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            inputs = {"pixel_values": pixels_of(np.stack([sized(image, self.size) for image in images[part]]))}
            if texts is not None:
                inputs |= tokenized(self.tokenizer, texts[part], self.model.config.max_text_tokens)
            outputs.append(self.model(**{name: value.to(self.model.device) for name, value in inputs.items()}))
        return outputs

    def _texts(self, n: int, prompts, modalities) -> list[str] | None:
        if self.tokenizer is None:
            return None
        if prompts is None:
            raise InputError("prompts", f"none for a {self.kind}", "a prompt a picture", "give them")
        modalities = [None] * n if modalities is None else modalities
        for name, given in (("prompts", prompts), ("modalities", modalities)):
            if len(given) != n:
                raise InputError(name, f"{len(given)} for {n} pictures", "as many as pictures", "give one each")
        return [as_text(*pair) for pair in zip(prompts, modalities, strict=True)]


def tokenized(tokenizer, texts: list[str], length: int) -> dict[str, torch.Tensor]:
    """Texts as `input_ids` and `attention_mask`, cut to `length` tokens."""
    return dict(tokenizer(texts, padding=True, truncation=True, max_length=length, return_tensors="pt"))


def load_reward(folder: str | os.PathLike, device: str | None = None) -> RewardModel:
    """A reward model that `hf-medreport train` made.

    Args:
        folder: of it, or a shipped name.
        device: `"cpu"`, `"cuda"`, ...; None takes a GPU where there is one.

    Raises:
        InputError: nothing of the kind there.
    """
    from transformers import AutoModel, AutoTokenizer

    from hf_medreport.inference.loading import checked_device

    path = shipped("reward").get(str(folder), Path(folder))
    if not (path / WEIGHTS).is_file():
        found = f"no {WEIGHTS} in '{path.name}'" if path.is_dir() else f"no folder '{path.name}'"
        raise InputError("reward model", found, "the folder of one", "check the path, or train one")
    register_auto_classes()
    try:
        model = AutoModel.from_pretrained(path, local_files_only=True, dtype=torch.float32)
        row = system_of(model)
        reads = "prompt" in row.given
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True) if reads else None
    except Exception as error:  # transformers reports bad folders by many exception types
        found = f"'{path.name}', which does not load ({' '.join(str(error).split())[:200]})"
        raise InputError("reward model", found, "the folder of one", "train it again") from error
    if row.kind != "reward":
        found = f"'{path.name}', a {model.config.model_type}"
        raise InputError("reward model", found, "the folder of one", "give another")
    name = f"{path.resolve().name} (sha256 {sha256(path / WEIGHTS)[:12]})"
    return RewardModel(model.to(checked_device(device)).eval(), tokenizer, name)


def _probabilities(outputs: list) -> tuple[np.ndarray, np.ndarray]:
    """Scores, float32 (n,), and which pictures passed, bool (n,)."""
    if not outputs:
        return np.zeros(0, np.float32), np.zeros(0, bool)
    scores, passed = (torch.cat([output[name] for output in outputs]).cpu().numpy() for name in ("scores", "passed"))
    return scores.astype(np.float32), passed
