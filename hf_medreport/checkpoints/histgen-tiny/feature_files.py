"""Patch features of a slide in a file: one safetensors file a slide, and the files that others write are read too.

Ours holds `features` (patches, width) float32 or float16 and `coordinates` (patches, 2) int64: x, y of each patch's top
left corner in level-0 px. The header says what they were made from, all as text: format, slide, slide_fingerprint,
level, mpp, patch_px, level0_px, overlap_px, tissue, encoder, encoder_revision, ... and a digest over header and
tensors, so that a flipped bit is found. The header's keys are sorted (the safetensors library writes them in any
order): the same features give the same bytes.

Read too: HistGen's `.pt` (one tensor, read with weights only), CLAM's and TRIDENT's `.h5`. The kind is decided by the
first bytes, never by the name.

    bag = read_features("slide.safetensors")      # .features, .coordinates, .info
    read_info("slide.safetensors")                # .info alone, without reading the features
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

from .input_error import InputError
from .regular_file import open_regular

try:
    import h5py
except ImportError:
    h5py = None

FORMAT = "hf-medreport-features-1"
DTYPES = {np.dtype(np.float32): "F32", np.dtype(np.float16): "F16"}
HDF5 = b"\x89HDF\r\n\x1a\n"
TORCH = (b"PK\x03\x04", b"\x80\x02")  # torch.save of today and of before 1.6
MAX_BYTES = 16 * 2**30  # 4 million patches of width 1024: what a file claims beyond that is not read
TILE_AGAIN = "tile the slide again"
COPY_AGAIN = "copy the file again"
A_FEATURE_FILE = "features in safetensors, .pt or .h5"
FEATURES_SHAPE = "features (patches, width)"


@dataclass(frozen=True)
class PatchFeatures:
    """The bag of one slide.

    Args:
        features: (patches, width) float32 or float16.
        coordinates: (patches, 2) int64, x and y in level-0 px of the patches' top left corners; None where the file
            has none.
        info: what the features were made from, as text.
    """

    features: np.ndarray = field(repr=False)
    coordinates: np.ndarray | None = field(default=None, repr=False)
    info: dict[str, str] = field(default_factory=dict)


def read_features(path: str | os.PathLike, width: int | None = None) -> PatchFeatures:
    """Read one slide's features from any of the files above; ours are held against their digest.

    Args:
        path: the file.
        width: what a model takes; None takes any.

    Returns:
        features float32 or float16; `info` of a file of others holds what its attributes tell under our names.

    Raises:
        InputError: no such file, not a feature file, damaged, empty, NaN or infinite values, other shapes, or another
            width.
    """
    path = Path(path)
    try:
        with open_regular(path, A_FEATURE_FILE) as file:
            head = file.read(8)
    except (FileNotFoundError, IsADirectoryError) as error:
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(path.name, found, A_FEATURE_FILE, "check the path") from error
    if not head:
        raise InputError(path.name, "an empty file", A_FEATURE_FILE, TILE_AGAIN)
    if head == HDF5:
        bag = _read_h5(path)
    elif head.startswith(TORCH):
        bag = _read_pt(path)
    else:
        bag = _read_safetensors(path)
    return checked_bag(path.name, bag, width)


def read_info(path: str | os.PathLike) -> dict[str, str]:
    """What the header of a feature file says, under our names; nothing of a file that `read_features` refuses."""
    path = Path(path)
    try:
        with open_regular(path, A_FEATURE_FILE) as file:
            head = file.read(8)
        if head == HDF5 and h5py is not None:
            with h5py.File(path, "r") as file:
                return _h5_info(file, path)
        if not head.startswith(TORCH):
            with safe_open(path, framework="numpy") as file:
                return file.metadata() or {}
    except Exception:  # a missing or broken file, which its reader names
        return {}
    return {}


def write_features(path: str | os.PathLike, bag: PatchFeatures) -> Path:
    """Write our file, whole or not at all; the same bag gives the same bytes.

    Raises:
        InputError: the bag is empty, holds NaN, or its shapes do not fit.
        OSError: the disk took no more.
    """
    path = Path(path)
    bag = checked_bag(path.name, bag)
    if bag.coordinates is None:
        raise InputError(path.name, "no coordinates", "x and y of each patch", "give the level-0 px of each patch")
    tensors = {"coordinates": _ordered(bag.coordinates), "features": _ordered(bag.features)}
    info = {**bag.info, "format": FORMAT}
    header, position = {"__metadata__": {**info, "digest": _digest(info, tensors)}}, 0
    for name, array in tensors.items():
        dtype = "I64" if name == "coordinates" else DTYPES[array.dtype]
        ends = [position, position := position + array.nbytes]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": ends}
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors start at a multiple of 8 bytes
    unfinished = path.with_name(f".{path.name}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for array in tensors.values():
                file.write(array.data)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def validate_features(path: str | os.PathLike, expected: dict[str, str]) -> PatchFeatures:
    """Whether a file is whole and made as expected.

    Args:
        path: a file of ours.
        expected: entries of the header, such as `slide_fingerprint` and `encoder_revision`.

    Returns:
        What the file holds.

    Raises:
        InputError: what is wrong, or the first entry that differs.
    """
    name, bag = Path(path).name, read_features(path)
    info = bag.info
    if info["format"] != FORMAT:
        raise InputError(name, f"a file of format {info['format']}", FORMAT, TILE_AGAIN)
    for key, value in expected.items():
        if info.get(key) != value:
            found = f"{key} {info[key]}" if info.get(key) else f"no {key}"
            raise InputError(name, found, value or "none", TILE_AGAIN)
    return bag


# --- the kinds of files -----------------------------------------------------------------------------------------------


def _read_safetensors(path: Path) -> PatchFeatures:
    try:
        with safe_open(path, framework="numpy") as file:
            info, names = file.metadata() or {}, set(file.keys())
            if "features" not in names:
                raise _no_features(path.name, names)
            tensors = {name: file.get_tensor(name) for name in sorted(names & {"coordinates", "features"})}
    except InputError:
        raise
    except Exception as error:  # safetensors' own, and numpy's of a type that it does not have
        if match := re.search(r"float8_?\w*|float4_?\w*|bfloat16|F8_\w+|BF16", str(error), re.IGNORECASE):
            raise _odd_type(path.name, match[0]) from error
        known = path.suffix == ".safetensors"
        found = "broken or truncated safetensors" if known else "another kind of file"
        raise InputError(path.name, found, A_FEATURE_FILE, TILE_AGAIN) from error
    digest = info.pop("digest", None)
    if info.get("format") == FORMAT or digest is not None:
        if digest != _digest(info, tensors):
            raise InputError(path.name, "content that differs from its digest", "the bytes as written", TILE_AGAIN)
    else:
        info.setdefault("format", "safetensors")
    return PatchFeatures(tensors["features"], tensors.get("coordinates"), info)


def _read_pt(path: Path) -> PatchFeatures:
    """HistGen's and CLAM's: one tensor, and nothing in the file is executed."""
    try:
        features = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch reports bad bytes by a dozen exception types
        pickled = "GLOBAL" in str(error) or "weights_only" in str(error)
        found = "pickled objects" if pickled else "a broken or truncated file"
        raise InputError(path.name, found, "one tensor saved by torch.save", "save the tensor alone") from error
    if not isinstance(features, torch.Tensor):
        found = f"a {type(features).__name__}"
        raise InputError(path.name, found, "one tensor saved by torch.save", "save the tensor alone")
    if features.layout != torch.strided or features.is_quantized or features.is_nested or features.is_meta:
        found = "a tensor without values" if features.is_meta else "a sparse or quantized tensor"
        raise InputError(path.name, found, "a plain tensor saved by torch.save", "save its dense float values")
    if features.dtype == torch.bfloat16:
        features = features.float()
    if features.is_floating_point() and features.dtype not in (torch.float16, torch.float32, torch.float64):
        raise _odd_type(path.name, str(features.dtype).removeprefix("torch."))
    return PatchFeatures(_without_batch(features.detach().numpy()), None, {"format": "histgen", "slide": path.stem})


def _read_h5(path: Path) -> PatchFeatures:
    """CLAM's and TRIDENT's: datasets `features` and `coords`, the geometry in attributes of `coords`."""
    if h5py is None:
        raise InputError(path.name, "an HDF5 file, but no h5py", "h5py", "pip install 'hf-medreport[wsi]'")
    try:
        with h5py.File(path, "r") as file:
            stored = _dataset(file, "features", path.name)
            if stored is None:
                raise _no_features(path.name, set(file))
            if stored.shape is None:
                raise _no_features(path.name, set())
            if stored.dtype.kind not in "fiu":
                raise _odd_type(path.name, "text or objects" if stored.dtype.kind in "OSU" else str(stored.dtype))
            claimed = stored.size * stored.dtype.itemsize
            if claimed > MAX_BYTES:
                found = f"features that claim {claimed} bytes"
                raise InputError(path.name, found, f"at most {MAX_BYTES}", COPY_AGAIN)
            places = _dataset(file, "coords", path.name)
            if places is not None and (places.shape is None or places.dtype.kind not in "fiu"):
                raise InputError(path.name, "coordinates that are no numbers", "whole level-0 px", TILE_AGAIN)
            features, coordinates = stored[()], None if places is None else places[()]
            info = _h5_info(file, path)
    except InputError:
        raise
    except Exception as error:  # as h5py does
        raise InputError(path.name, "a broken or truncated HDF5 file", A_FEATURE_FILE, COPY_AGAIN) from error
    return PatchFeatures(_without_batch(features), None if coordinates is None else _without_batch(coordinates), info)


def _dataset(file: "h5py.File", name: str, shown: str):
    """A dataset by its name, or the only one of the group of that name (`features/uni`); None where neither is."""
    entry = file.get(name)
    if not isinstance(entry, h5py.Group):
        return entry
    inside = []
    entry.visititems(lambda key, item: inside.append(key) if isinstance(item, h5py.Dataset) else None)
    if len(inside) != 1:
        found = f"{len(inside)} datasets in '{name}' ({', '.join(sorted(inside))[:80]})"
        raise InputError(shown, found, "one", "save the features of one encoder a file")
    return entry[inside[0]]


def _h5_info(file: "h5py.File", path: Path) -> dict[str, str]:
    places = _dataset(file, "coords", path.name)
    return {"slide": path.stem, **_geometry({} if places is None else dict(places.attrs))}


def _without_batch(array: np.ndarray) -> np.ndarray:
    """TRIDENT and others may keep a batch axis: (1, patches, n) -> (patches, n)."""
    return array[0] if array.ndim == 3 and len(array) == 1 else array


def _geometry(attributes: dict) -> dict[str, str]:
    """The attributes of CLAM's or TRIDENT's coordinates under our names."""

    def whole(value) -> str:
        return str(int(np.ravel(value)[0]))

    if "patch_size_level0" in attributes:
        names = {"patch_size": "patch_px", "patch_size_level0": "level0_px", "overlap": "overlap_px"}
        return {"format": "trident"} | {new: whole(attributes[old]) for old, new in names.items() if old in attributes}
    info = {"format": "clam"}
    if "patch_size" in attributes and "patch_level" in attributes:
        info |= {"patch_px": whole(attributes["patch_size"]), "level": whole(attributes["patch_level"])}
    if "patch_size" in attributes and "downsample" in attributes:
        scale = float(np.ravel(attributes["downsample"])[0])
        info["level0_px"] = str(round(int(np.ravel(attributes["patch_size"])[0]) * scale))
    return info


# --- checks -----------------------------------------------------------------------------------------------------------


def checked_bag(name: str, bag: PatchFeatures, width: int | None = None) -> PatchFeatures:
    """The bag with features of a float type that we keep and coordinates of int64; InputError for any other."""
    features, coordinates = bag.features, bag.coordinates
    if features.ndim != 2:
        raise InputError(name, f"features of shape {features.shape}", FEATURES_SHAPE, "save one row a patch")
    if features.dtype.kind != "f":
        raise InputError(name, f"features of type {features.dtype}", "float32 or float16", "encode the slide again")
    if len(features) == 0 or features.shape[1] == 0:
        raise InputError(name, f"features of shape {features.shape}", "at least one patch", TILE_AGAIN)
    if width is not None and features.shape[1] != width:
        found, remedy = f"features of width {features.shape[1]}", "tile with the model's own encoder"
        raise InputError(name, found, f"width {width}, which the model takes", remedy)
    if features.dtype not in DTYPES:
        features = features.astype(np.float32)
    broken = features.size - int(np.isfinite(features).sum())
    if broken:
        found = f"{broken} of {features.size} values NaN or infinite"
        raise InputError(name, found, "finite features", "encode the slide again")
    if coordinates is not None:
        if coordinates.shape != (len(features), 2):
            found, expected = f"coordinates of shape {coordinates.shape}", f"({len(features)}, 2), one row a patch"
            raise InputError(name, found, expected, TILE_AGAIN)
        if coordinates.dtype.kind not in "iu":
            raise InputError(name, f"coordinates of type {coordinates.dtype}", "whole level-0 px", TILE_AGAIN)
        coordinates = coordinates.astype(np.int64, copy=False)
    return PatchFeatures(features, coordinates, bag.info)


def _no_features(name: str, names: set[str]) -> InputError:
    found = f"only {', '.join(sorted(names))[:80]}" if names else "nothing"
    return InputError(name, found, "an entry 'features'", "give a file of features, not of coordinates or slides")


def _odd_type(name: str, dtype: str) -> InputError:
    return InputError(name, f"features of type {dtype}", "float32 or float16", "encode the slide again")


def _ordered(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))


def _digest(info: dict[str, str], tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 over the header's entries and the tensors' types, shapes and bytes."""
    digest = hashlib.sha256(json.dumps(info, sort_keys=True).encode())
    for name, array in tensors.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
