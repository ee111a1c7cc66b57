"""Tiles -> one feature vector each, by any vision model of transformers or timm, from a folder or an id.

Which vector a model gives (the pooling rule):

- a map (convolutional networks): the model's own pooled map where it has one (ResNet: the mean; ConvNeXt: the mean and
  its final norm), else the mean over height and width;
- tokens: the model's pooled output (DINOv2, DINOv3, CLIP: the class token after the final norm; Swin: the mean of the
  tokens; SigLIP: its attention head) - but not ViT's and DeiT's dense layer with tanh, which most checkpoints lack:
  there it is the class token after the final norm;
- timm models through transformers' TimmWrapper: what timm pools.

Code of a folder or repository is never run, pickles are never read. How the model wants its tiles (size, mean, standard
deviation) is read from its own files, see `preprocessing`.

    encoder = PatchEncoder.from_pretrained("facebook/dinov2-base", dtype=torch.bfloat16)
    features = encoder.encode(tiles, processor)   # (n, px, px, 3) uint8 -> (n, width) float32
"""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel
from transformers.utils import cached_file

from .input_error import InputError

WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
DEFAULT_SIZE = 224
TILING = ("patch_px", "overlap_px", "level", "mpp", "tissue")  # what a saved TileImageProcessor says beside these
DTYPES = (torch.float32, torch.bfloat16)
A_MODEL = "a vision model of transformers or timm"


class PatchEncoder:
    """A vision model as a function from tiles to vectors; made by `from_pretrained`.

    Attributes:
        name: a repository's id, or the folder's name.
        revision: first 16 hex digits of the SHA-256 over all its weights, in float32.
        width: of the vectors.
        preprocessing: `size`, `image_mean`, `image_std` as the model's files give them, and how its slides were tiled
            where a `TileImageProcessor` was saved beside it; empty where the files say nothing.
    """

    def __init__(self, model: torch.nn.Module, name: str, preprocessing: dict | None = None):
        self.model, self.name = model.eval().requires_grad_(False), name
        self.preprocessing = preprocessing or {}
        self.revision = weights_revision(model)
        self.width = self._probe()

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | os.PathLike,
        subfolder: str = "",
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> "PatchEncoder":
        """Load a model.

        Args:
            name_or_folder: a folder written by `save_pretrained`, or a repository's id (`timm/...` too).
            subfolder: where it lies in there.
            revision: branch, tag or commit of a repository.
            device: None takes the CPU.
            dtype: float32 (None) or bfloat16, in which weights and pixels are then computed with.

        Raises:
            InputError: nothing of that name, weights that are missing, broken or pickled, code that would have to be
                run, no vision model, or no vector a tile.
        """
        name = str(name_or_folder)
        folder = Path(name) / subfolder if Path(name).is_dir() else None
        shown = Path(name).absolute().name if folder is not None else name
        if dtype not in (None, *DTYPES):
            raise InputError("dtype", str(dtype).removeprefix("torch."), "float32 or bfloat16", "choose one of these")
        _check_source(name, shown, folder)
        try:
            model, info = AutoModel.from_pretrained(
                name,
                subfolder=subfolder,
                revision=revision,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except Exception as error:  # transformers, timm and safetensors report bad files by many exception types
            raise _plain(shown, error) from error
        missing = sorted(key for key in info["missing_keys"] if not key.startswith("pooler."))
        if missing:
            found = f"no weights for {missing[0]} and {len(missing) - 1} more"
            raise InputError(shown, found, "all weights", "copy the folder again")
        if info["missing_keys"]:  # a pooler of random weights, which would be another one each time
            model.pooler = None
        encoder = cls(model, shown, _preprocessing(name, shown, subfolder, revision, model.config))
        encoder.model.to(device=device, dtype=dtype)
        return encoder

    def encode(self, tiles: np.ndarray, processor) -> np.ndarray:
        """One vector a tile.

        Args:
            tiles: (n, px, px, 3) uint8.
            processor: a `TileImageProcessor`, or any image processor called in the same way.

        Returns:
            (n, width) float32, on the CPU.

        Raises:
            InputError: the model takes tiles of another size.
        """
        pixels = processor(tiles, return_tensors="pt")["pixel_values"]  # (n, 3, size, size)
        try:
            return self.vectors(pixels).float().cpu().numpy()
        except (ValueError, RuntimeError) as error:
            if "size" not in str(error) and "match" not in str(error):
                raise
            found = f"tiles of {pixels.shape[-1]} px ({' '.join(str(error).split())[:120]})"
            raise InputError(self.name, found, "the size that the encoder takes", "set the processor's size") from error

    @torch.inference_mode()
    def vectors(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, height, width) normalized pixels -> (n, width), by the pooling rule."""
        return self.pooled(pixels)

    def pooled(self, pixels: torch.Tensor) -> torch.Tensor:
        """The same with gradients, for training."""
        output = self.model(pixel_values=pixels.to(self.model.device, self.model.dtype))
        hidden, pooled = output.last_hidden_state, getattr(output, "pooler_output", None)
        dense_pooler = hasattr(getattr(self.model, "pooler", None), "dense")
        if pooled is not None and not dense_pooler:
            return pooled.flatten(1)  # ResNet's is (n, width, 1, 1)
        if hidden.ndim == 4:
            return hidden.mean((2, 3))  # (n, width, height, width) -> (n, width)
        if hasattr(getattr(self.model, "embeddings", None), "cls_token"):
            return hidden[:, 0]
        found = "tokens without a pooled output or a class token"
        raise InputError(self.name, found, "one vector a tile", "choose another encoder")

    def _probe(self) -> int:
        """The width of the vectors, from one gray tile; a model that gives none is refused here and not in a run."""
        size = self.preprocessing.get("size") or DEFAULT_SIZE
        try:
            return self.vectors(torch.zeros(1, 3, size, size)).shape[1]
        except InputError:
            raise
        except Exception as error:  # a model of text or of sound fails in its own way
            found = f"a {type(self.model).__name__}, which takes no tiles of {size} px"
            raise InputError(self.name, found, A_MODEL, "choose another encoder") from error


def weights_revision(model: torch.nn.Module) -> str:
    """The first 16 hex digits of the SHA-256 of all weights, whatever files they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().float().numpy()).data)
    return digest.hexdigest()[:16]


def _check_source(name: str, shown: str, folder: Path | None) -> None:
    """Refuse what transformers would look for elsewhere or report at length."""
    if folder is None:
        if name.count("/") != 1 or name.startswith((".", "/", "~")):
            raise InputError(name or "encoder", "no such folder", "a folder or ORG/NAME", "check the path")
        return
    if not (folder / "config.json").is_file():
        raise InputError(shown, "no config.json", "a model folder", "give the folder that holds config.json")
    if not any((folder / weights).is_file() for weights in WEIGHTS):
        pickles = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth"))
        found = f"pickled weights ({pickles[0]})" if pickles else "no weights"
        remedy = "save the model as safetensors" if pickles else "copy the folder again"
        raise InputError(shown, found, "model.safetensors", remedy)


def _preprocessing(name: str, shown: str, subfolder: str, revision: str | None, config) -> dict:
    """How the model wants its tiles: as its processor's file says, else timm's record, else (the size) its config."""
    try:
        options = {"revision": revision, "subfolder": subfolder, "_raise_exceptions_for_missing_entries": False}
        path = cached_file(name, "preprocessor_config.json", **options)
        settings = {} if path is None else json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        found = "no readable preprocessor_config.json"
        raise InputError(shown, found, "the settings of its tiles", "copy the folder again") from error
    record = getattr(config, "pretrained_cfg", None) or {}
    size = settings.get("crop_size") or settings.get("size") or (record.get("input_size") or [None])[-1]
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    if size is None and isinstance(getattr(config, "image_size", None), int):
        size = config.image_size
    mean, std = settings.get("image_mean") or record.get("mean"), settings.get("image_std") or record.get("std")
    values = {"size": size, "image_mean": mean and list(mean), "image_std": std and list(std)}
    values |= {key: settings.get(key) for key in TILING}
    return {key: value for key, value in values.items() if value is not None}


def _plain(name: str, error: Exception) -> InputError:
    """What the libraries say of a model that does not load, as one line."""
    reason = " ".join(str(error).split())
    if "trust_remote_code" in reason or "does not recognize this architecture" in reason:
        found = "a model that transformers does not know (its own code is never run)"
        return InputError(name, found, A_MODEL, "choose another encoder")
    if isinstance(error, ImportError) and "timm" in reason:
        return InputError(name, "a timm model, but no timm", "timm", "pip install 'hf-medreport[wsi]'")
    if "afetensor" in type(error).__name__ or "header" in reason.lower():
        return InputError(name, "broken or truncated safetensors", "whole weights", "copy the folder again")
    if any(word in reason for word in ("mismatch", "size mismatch")):
        found = "weights of other shapes than the configuration's"
        return InputError(name, found, "matching files", "copy the folder again")
    return InputError(name, f"a model that does not load ({reason[:160]})", A_MODEL, "check its name or copy it again")
