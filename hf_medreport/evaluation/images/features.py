"""What turns a picture into features: a model's folder, Inception's weights as a file, or a small stand-in.

    extractor = load_extractor("models/biomedclip")     # any image model or CLIP-like model that transformers loads
    extractor = load_extractor("inception.pth")         # FID as papers print it, or torchvision's Inception
    extractor = load_extractor()                        # the stand-in; needs nothing
    vectors, logits = extractor.images(pictures)

Nothing is downloaded. FID of a paper needs the Inception of 2015 whose weights file the tools pytorch-fid and
torch-fidelity use (1008 classes); it is run by torch-fidelity, with TensorFlow's way of resizing. torchvision's own
Inception (1000 classes) has other weights: its numbers cannot be compared with papers. The name of an extractor says
which it was, and stands beside every score.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import refuse_special

__all__ = ["Extractor", "grid_statistics", "load_extractor"]

NAME = "features"
WHAT = "a folder of an image model, or a file of Inception's weights"
GRID, SIDE_PX = 4, 64
INCEPTION_PX = 299
FID_CLASSES, TORCHVISION_CLASSES = 1008, 1000


@dataclass(frozen=True)
class Extractor:
    """A way to features.

    Args:
        name: what it is, as scores name it.
        images: pictures in [0, 1], (height, width) or (height, width, 3) -> float32 features (n, width), and class
            logits (n, classes) or None.
        texts: captions -> float32 features (n, width) to compare with those of pictures; None where it reads no text.
    """

    name: str
    images: Callable[[list[np.ndarray]], tuple[np.ndarray, np.ndarray | None]]
    texts: Callable[[list[str]], np.ndarray] | None = None


def load_extractor(source: str | Path | None = None, device: str | None = None) -> Extractor:
    """The extractor of a model's folder, of a file of Inception's weights, or (None) `grid_statistics`.

    Args:
        source: a folder as `save_pretrained` writes it, with preprocessor_config.json; or .safetensors, .pth or .pt.
        device: `"cpu"`, `"cuda"`, ...; None takes a GPU where there is one.

    Raises:
        InputError: nothing there, no image model, broken or missing weights, or a package that is missing.
    """
    if source is None:
        return Extractor("grid-statistics-96 (built in and hand-made, not Inception)", grid_statistics)
    from hf_medreport.inference.loading import checked_device

    path = Path(source)
    if path.is_dir():
        return _from_folder(path, checked_device(device))
    if path.is_file():
        return _from_weights(path, checked_device(device))
    raise InputError(NAME, f"nothing at '{path.name}'", WHAT, "check the path")


def grid_statistics(pictures: list[np.ndarray]) -> tuple[np.ndarray, None]:
    """The stand-in: brightness, color, contrast and slopes in a grid of 4 x 4 fields, (n, 96).

    It tells a set of other brightness, texture or rough layout apart, and knows nothing of medicine.
    """
    return np.stack([_grid_row(picture) for picture in pictures]), None


def _grid_row(picture: np.ndarray) -> np.ndarray:
    """Six figures a field of the picture, squeezed to 64 x 64 px: (96,)."""
    planes = np.moveaxis(picture, -1, 0) if picture.ndim == 3 else np.stack([picture] * 3)
    size = (SIDE_PX, SIDE_PX)
    red, green, blue = (
        np.asarray(Image.fromarray(np.float32(plane)).resize(size, Image.Resampling.BOX)) for plane in planes
    )
    gray = (red + green + blue) / 3
    down, right = np.gradient(gray)
    fields = np.stack([gray, red - gray, blue - gray, np.abs(down), np.abs(right), gray**2])
    edge = SIDE_PX // GRID
    means = fields.reshape(6, GRID, edge, GRID, edge).mean(axis=(2, 4))  # (6, 64, 64) -> (6, 4, 4)
    means[5] = np.sqrt(np.maximum(means[5] - means[0] ** 2, 0))  # the spread within a field
    return means.reshape(-1).astype(np.float32)


def _from_folder(folder: Path, device) -> Extractor:
    """A folder that transformers loads, without running code that it may bring."""
    if not (folder / "config.json").is_file():
        raise InputError(NAME, f"no config.json in '{folder.name}'", WHAT, "give the folder that holds config.json")
    if not any((folder / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
        found = f"no preprocessor_config.json in '{folder.name}'"
        raise InputError(NAME, found, "a model that says how it reads pictures", "copy that file too")
    from transformers import AutoConfig, AutoImageProcessor, AutoModel, AutoModelForImageClassification, AutoTokenizer
    from transformers.models.auto.modeling_auto import MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES

    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **local)
        reads_text = config.model_type in MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING_NAMES
        classifies = any("ForImageClassification" in name for name in config.architectures or ())
        kind = AutoModelForImageClassification if classifies else AutoModel
        model, info = kind.from_pretrained(folder, **local, use_safetensors=True, output_loading_info=True)
    except Exception as error:  # transformers reports bad folders by many exception types
        raise _broken(folder, error) from error
    if not reads_text and model.main_input_name != "pixel_values":
        raise InputError(NAME, f"a {config.model_type} model, which reads no pictures", WHAT, "give an image model")
    # Many checkpoints come without the pooler that AutoModel adds: random weights, not to be looked at.
    untrained_pooler = any("pooler" in key for key in info["missing_keys"])
    missing = sorted(key for key in info["missing_keys"] if "pooler" not in key)
    if missing:
        found = f"no weights for {missing[0]} and {len(missing) - 1} more in '{folder.name}'"
        raise InputError(NAME, found, "all weights", "copy the folder again")
    try:
        processor = AutoImageProcessor.from_pretrained(folder, **local, backend="pil")  # the same on every machine
        model, label = model.float().to(device).eval(), f"{folder.resolve().name} ({config.model_type}"
        if reads_text:
            tokenizer = AutoTokenizer.from_pretrained(folder, **local)
            return _clip_like(f"{label}, projected)", model, processor, tokenizer)
        return _backbone(label, model, processor, classifies, pooler=not untrained_pooler)
    except Exception as error:
        raise _broken(folder, error) from error


def _clip_like(name: str, model, processor, tokenizer) -> Extractor:
    """A model with a tower for pictures and one for text."""
    import torch

    @torch.inference_mode()
    def images(pictures):
        inputs = processor([_rgb(picture) for picture in pictures], return_tensors="pt").to(model.device)
        return _array(model.get_image_features(**inputs).pooler_output), None

    @torch.inference_mode()
    def texts(captions):
        # Padded to full length, as models without an attention mask (SigLIP) were trained.
        length = model.config.text_config.max_position_embeddings
        inputs = tokenizer(captions, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
        return _array(model.get_text_features(**inputs.to(model.device)).pooler_output)

    return Extractor(name, images, texts)


def _backbone(label: str, model, processor, classifies: bool, pooler: bool) -> Extractor:
    """A model of pictures alone; its features are its own pooling, or the mean of all positions where it has none."""
    import torch

    seen = {}
    # Of a classifier the features are what its base gives to the head, caught on the way.
    base = model.base_model if classifies else model
    base.register_forward_hook(lambda module, inputs, output: seen.update(states=output))

    @torch.inference_mode()
    def run(pictures):
        inputs = processor([_rgb(picture) for picture in pictures], return_tensors="pt").to(model.device)
        output = model(**inputs, return_dict=True)
        return seen.pop("states"), output

    def images(pictures):
        states, output = run(pictures)
        vectors = states.pooler_output.flatten(1) if pooler else _mean_position(states.last_hidden_state)
        return _array(vectors), _array(output.logits) if classifies else None

    # One run tells whether this model pools at all, and whether it takes what its processor gives.
    pooler = pooler and run([np.zeros((SIDE_PX, SIDE_PX))])[0].get("pooler_output") is not None
    return Extractor(f"{label}{', pooled' if pooler else ', mean of all positions'})", images)


def _mean_position(states):
    """(n, width, rows, columns) of a convolutional net or (n, positions, width) of a transformer -> (n, width)."""
    return states.flatten(2).mean(dim=2) if states.ndim == 4 else states.mean(dim=1)


def _from_weights(path: Path, device) -> Extractor:
    """Inception-v3 of a weights file; which of the two follows from the number of classes."""
    import torch

    state = _read_weights(path)
    head = state.get("fc.weight")
    classes = None if head is None else len(head)
    if classes not in (FID_CLASSES, TORCHVISION_CLASSES):
        found = f"weights without fc.weight in '{path.name}'" if classes is None else f"{classes} classes"
        expected = f"Inception-v3 with {FID_CLASSES} (FID) or {TORCHVISION_CLASSES} classes (torchvision)"
        raise InputError(NAME, found, expected, "give another file, or a model's folder")
    try:
        net = _fid_inception(state) if classes == FID_CLASSES else _torchvision_inception(state)
    except RuntimeError as error:  # torch's word for keys or shapes that do not fit
        reason = " ".join(str(error).split())[:200]
        found = f"weights that do not fit ({reason})"
        raise InputError(NAME, found, "Inception-v3's weights", "download the file again") from error
    net = net.to(device).eval()
    digest = sha256(path)[:12]
    which = "Inception of 2015, as in FID" if classes == FID_CLASSES else "torchvision's Inception, not that of FID"

    @torch.inference_mode()
    def images(pictures):
        # One by one, for they may be of many sizes: each net brings them to 299 px in its own way.
        tensors = [torch.from_numpy(np.array(_rgb(picture))).permute(2, 0, 1)[None] for picture in pictures]
        vectors, logits = zip(*(net(tensor.to(device)) for tensor in tensors), strict=True)
        return _array(torch.cat(vectors)), _array(torch.cat(logits))

    return Extractor(f"{which} (sha256 {digest})", images)


def _read_weights(path: Path) -> dict:
    """Tensors by name; a pickle is read only if it holds nothing but tensors."""
    import torch
    from safetensors.torch import load_file

    refuse_special(path, WHAT)
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # zipfile's, pickle's and safetensors' own types
        found = f"'{path.name}', which holds no readable tensors"
        raise InputError(NAME, found, WHAT, "download the file again") from error
    if not isinstance(state, dict):
        raise InputError(NAME, f"a {type(state).__name__} in '{path.name}'", WHAT, "save the model's state_dict")
    return state


def _fid_inception(state: dict):
    """The network of FID: uint8 (n, 3, height, width) -> features (n, 2048), logits (n, 1008) without their bias."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        found = "the weights of FID's Inception, but no torch-fidelity to run them"
        raise InputError(NAME, found, "torch-fidelity", "pip install 'hf-medreport[evaluate]'") from None
    import torch

    # It reads a file, and any pickle in it: so it gets tensors that were read safely, written anew.
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "weights.pth"
        torch.save(state, copy)
        return FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(copy)
        )


def _torchvision_inception(state: dict):
    """torchvision's network, called as the other: uint8 (n, 3, height, width) -> (n, 2048), (n, 1000)."""
    try:
        from torchvision.models import inception_v3
        from torchvision.transforms.functional import resize
    except ImportError:
        found = "the weights of torchvision's Inception, but no torchvision to run them"
        raise InputError(NAME, found, "torchvision", "pip install 'hf-medreport[evaluate]'") from None
    import torch

    class Inception(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = inception_v3(weights=None, init_weights=False)
            self.body.load_state_dict(state)
            self.head, self.body.fc = self.body.fc, torch.nn.Identity()

        def forward(self, pictures):
            unit = resize(pictures.float() / 255, [INCEPTION_PX, INCEPTION_PX], antialias=True)
            features = self.body(2 * unit - 1)
            return features, self.head(features)

    return Inception()


def _rgb(picture: np.ndarray) -> Image.Image:
    """8-bit RGB, which is what image models were trained on."""
    return Image.fromarray(np.rint(255 * picture).astype(np.uint8)).convert("RGB")


def _array(tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()


def _broken(folder: Path, error: Exception) -> InputError:
    """What transformers says of a folder that does not load, as one line."""
    reason = " ".join(str(error).split())[:200]
    return InputError(NAME, f"'{folder.name}', which does not load ({reason})", WHAT, "check or copy the folder again")
