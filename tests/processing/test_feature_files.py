"""Feature files: ours to the last bit, those of others, and every way in which they may be broken."""

import json
import os
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load_file, save_file
from safetensors.torch import save_file as save_torch

from hf_medreport.processing.feature_files import (
    FORMAT,
    PatchFeatures,
    read_features,
    read_info,
    validate_features,
    write_features,
)
from hf_medreport.processing.input_error import InputError

INFO = {"slide": "a b.svs", "slide_fingerprint": "f" * 64, "encoder_revision": "0123456789abcdef", "level": "0"}


def bag(patches: int = 5, width: int = 3, **changes) -> PatchFeatures:
    rng = np.random.default_rng(0)
    parts = {
        "features": rng.standard_normal((patches, width)).astype(np.float32),
        "coordinates": rng.integers(0, 10_000, (patches, 2)),
        "info": INFO,
    }
    return PatchFeatures(**{**parts, **changes})


def written(folder, **changes):
    return write_features(folder / "slide.safetensors", bag(**changes))


# --- ours -------------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(
    data=st.data(),
    patches=st.integers(1, 20),
    width=st.integers(1, 9),
    half=st.booleans(),
    info=st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=9), max_size=4),
)
def test_what_is_written_is_read(tmp_path_factory, data, patches, width, half, info):
    info = {key: value for key, value in info.items() if key not in ("format", "digest")}
    dtype = np.float16 if half else np.float32
    finite = st.floats(-100, 100, width=16)
    features = data.draw(arrays.arrays(dtype, (patches, width), elements=finite))
    coordinates = data.draw(arrays.arrays(np.int64, (patches, 2)))
    path = tmp_path_factory.mktemp("features") / "x.safetensors"
    write_features(path, PatchFeatures(features, coordinates, info))
    read = read_features(path)
    assert read.features.dtype == dtype and read.info == {**info, "format": FORMAT}
    np.testing.assert_array_equal(read.features, features)
    np.testing.assert_array_equal(read.coordinates, coordinates)


def test_the_safetensors_library_reads_it(tmp_path):
    path, made = written(tmp_path), bag()
    tensors = load_file(path)
    np.testing.assert_array_equal(tensors["features"], made.features)
    np.testing.assert_array_equal(tensors["coordinates"], made.coordinates)
    length = int.from_bytes(path.read_bytes()[:8], "little")
    assert length % 8 == 0  # or the tensors could not be mapped into memory as they lie


def test_the_same_bag_gives_the_same_bytes_in_another_process(tmp_path):
    """The library's own writer orders a header's entries differently in each process."""
    code = (
        "import sys; from tests.processing.test_feature_files import bag, write_features; "
        "write_features(sys.argv[1], bag())"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code, tmp_path / "other.safetensors"], check=True, env=environment)
    assert written(tmp_path).read_bytes() == (tmp_path / "other.safetensors").read_bytes()


def test_any_flipped_bit_is_found(tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        path.write_bytes(changed)
        with pytest.raises(InputError):
            validate_features(path, {})


def test_any_truncation_is_found(tmp_path):
    path = written(tmp_path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            validate_features(path, {})


def test_a_valid_file_is_valid(tmp_path):
    assert len(validate_features(written(tmp_path), INFO).features) == 5


def test_one_patch_is_a_bag(tmp_path):
    assert read_features(written(tmp_path, patches=1)).features.shape == (1, 3)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = written(tmp_path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        written(tmp_path, patches=9)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


# --- others' ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [False, True])
def test_histgen_pt(tmp_path, old):
    features = torch.randn(4, 6)
    torch.save(features, tmp_path / "case.pt", _use_new_zipfile_serialization=not old)
    read = read_features(tmp_path / "case.pt", width=6)
    np.testing.assert_array_equal(read.features, features.numpy())
    assert read.coordinates is None and read.info == {"format": "histgen", "slide": "case"}


def write_h5(path, attributes=(), **datasets):
    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = values
        for name, value in dict(attributes).items():
            file["coords"].attrs[name] = value
    return path


def test_clam_h5(tmp_path):
    attributes = {"patch_size": 256, "patch_level": 1, "downsample": np.array([4.0, 4.0]), "save_path": "/home/someone"}
    path = write_h5(tmp_path / "case.h5", attributes, features=bag().features, coords=bag().coordinates)
    read = read_features(path)
    np.testing.assert_array_equal(read.features, bag().features)
    np.testing.assert_array_equal(read.coordinates, bag().coordinates)
    # 256 px at a level that is shrunk 4 times span 1,024 px of level 0
    assert read.info == {"format": "clam", "slide": "case", "patch_px": "256", "level": "1", "level0_px": "1024"}


def test_trident_h5(tmp_path):
    attributes = {"patch_size": 512, "patch_size_level0": 1024, "level0_magnification": 40, "overlap": 0}
    path = write_h5(
        tmp_path / "case.h5", attributes, features=bag().features[None], coords=bag().coordinates.astype(np.int32)[None]
    )
    read = read_features(path)
    assert read.features.shape == (5, 3) and read.coordinates.dtype == np.int64
    wanted = {"format": "trident", "slide": "case", "patch_px": "512", "level0_px": "1024", "overlap_px": "0"}
    assert read.info == wanted


def test_a_batch_axis_and_groups(tmp_path):
    torch.save(torch.from_numpy(bag().features)[None], tmp_path / "a.pt")
    assert np.array_equal(read_features(tmp_path / "a.pt").features, bag().features)
    attributes = {"patch_size": 256, "patch_level": 0}
    grouped = {"features/uni": bag().features, "coords": bag().coordinates}
    read = read_features(write_h5(tmp_path / "b.h5", attributes, **grouped))
    assert np.array_equal(read.features, bag().features) and read.info["patch_px"] == "256"
    assert np.array_equal(read.coordinates, bag().coordinates)


def test_headers_alone(tmp_path):
    path = write_features(tmp_path / "a.safetensors", bag())
    assert read_info(path).items() >= bag().info.items()
    h5 = write_h5(tmp_path / "b.h5", {"patch_size": 256}, features=bag().features, coords=bag().coordinates)
    assert read_info(h5) == read_features(h5).info
    torch.save(torch.ones(2, 3), tmp_path / "c.pt")
    (tmp_path / "d.safetensors").write_bytes(path.read_bytes()[:50])
    for silent in ("c.pt", "d.safetensors", "gone.h5"):
        assert read_info(tmp_path / silent) == {}


# --- bad input --------------------------------------------------------------------------------------------------------


class Surprise:
    def __reduce__(self):
        return (open, ("executed.txt", "w"))


def raw(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content) and folder / name


def tensor(content, name="x.pt"):
    def make(folder):
        torch.save(content, folder / name)
        return folder / name

    return make


def h5(attributes=(), **datasets):
    return lambda folder: write_h5(folder / "x.h5", attributes, **datasets)


def truncated(make, keep: float):
    def cut(folder):
        path = make(folder)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
        return path

    return cut


def safetensors(metadata=None, **tensors):
    def make(folder):
        save_file(tensors, folder / "x.safetensors", metadata=metadata)
        return folder / "x.safetensors"

    return make


def claimed_h5(folder):
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("features", shape=(10_000_000, 4096), dtype=np.float32, chunks=(1000, 4096))
    return folder / "x.h5"


A_FILE = "expected features in safetensors, .pt or .h5"
ONE = np.ones((2, 3), np.float32)
NAN = np.array([[np.nan, 1, 2], [np.inf, 1, 2]], np.float32)
SPOILT = np.full((3, 3), 7, np.int64)
BAD = {
    ("features", "missing"): (
        lambda folder: folder / "x.safetensors",
        f"x.safetensors: found no such file; {A_FILE}; check the path",
    ),
    ("features", "folder"): (
        lambda folder: (folder / "x.h5").mkdir() or folder / "x.h5",
        f"x.h5: found a folder; {A_FILE}; check the path",
    ),
    ("features", "zero bytes"): (
        lambda folder: (folder / "x.pt").touch() or folder / "x.pt",
        f"x.pt: found an empty file; {A_FILE}; tile the slide again",
    ),
    ("features", "text inside"): (
        raw("x.txt", b"breast, grade 2, margins negative"),
        f"x.txt: found another kind of file; {A_FILE}; tile the slide again",
    ),
    ("safetensors", "truncated"): (
        truncated(safetensors(features=ONE), 0.9),
        f"x.safetensors: found broken or truncated safetensors; {A_FILE}; tile the slide again",
    ),
    ("safetensors", "header that claims 100 GB"): (
        raw("x.safetensors", (10**11).to_bytes(8, "little") + b"{}"),
        f"x.safetensors: found broken or truncated safetensors; {A_FILE}; tile the slide again",
    ),
    ("safetensors", "no features"): (
        safetensors(coordinates=ONE, weight=ONE),
        "x.safetensors: found only coordinates, weight; expected an entry 'features'; "
        "give a file of features, not of coordinates or slides",
    ),
    ("safetensors", "no digest"): (
        safetensors({"format": FORMAT}, features=ONE),
        "x.safetensors: found content that differs from its digest; expected the bytes as written; "
        "tile the slide again",
    ),
    ("safetensors", "NaN and infinity"): (
        safetensors(features=NAN),
        "x.safetensors: found 2 of 6 values NaN or infinite; expected finite features; encode the slide again",
    ),
    ("safetensors", "no patches"): (
        safetensors(features=ONE[:0]),
        "x.safetensors: found features of shape (0, 3); expected at least one patch; tile the slide again",
    ),
    ("safetensors", "three axes"): (
        safetensors(features=ONE[None]),
        "x.safetensors: found features of shape (1, 2, 3); expected features (patches, width); save one row a patch",
    ),
    ("safetensors", "whole numbers"): (
        safetensors(features=SPOILT),
        "x.safetensors: found features of type int64; expected float32 or float16; encode the slide again",
    ),
    ("safetensors", "coordinates of other patches"): (
        safetensors(features=ONE, coordinates=SPOILT[:, :2]),
        "x.safetensors: found coordinates of shape (3, 2); expected (2, 2), one row a patch; tile the slide again",
    ),
    ("safetensors", "broken coordinates"): (
        safetensors(features=ONE, coordinates=ONE[:, :2]),
        "x.safetensors: found coordinates of type float32; expected whole level-0 px; tile the slide again",
    ),
    ("pt", "pickled object"): (
        tensor(Surprise()),
        "x.pt: found pickled objects; expected one tensor saved by torch.save; save the tensor alone",
    ),
    ("pt", "bare pickle"): (
        raw("x.pt", pickle.dumps(Surprise(), protocol=2)),
        "x.pt: found pickled objects; expected one tensor saved by torch.save; save the tensor alone",
    ),
    ("pt", "a dict"): (
        tensor({"features": torch.ones(2, 3)}),
        "x.pt: found a dict; expected one tensor saved by torch.save; save the tensor alone",
    ),
    ("pt", "a sparse tensor"): (
        tensor(torch.eye(3).to_sparse()),
        "x.pt: found a sparse or quantized tensor; expected a plain tensor saved by torch.save; "
        "save its dense float values",
    ),
    ("pt", "float8"): (
        tensor(torch.ones(2, 3).to(torch.float8_e4m3fn)),
        "x.pt: found features of type float8_e4m3fn; expected float32 or float16; encode the slide again",
    ),
    ("pt", "complex numbers"): (
        tensor(torch.ones(2, 3, dtype=torch.complex64)),
        "x.pt: found features of type complex64; expected float32 or float16; encode the slide again",
    ),
    ("pt", "no values"): (
        tensor(torch.empty(2, 3, device="meta")),
        "x.pt: found a tensor without values; expected a plain tensor saved by torch.save; save its dense float values",
    ),
    ("pt", "nested tensors"): (
        tensor(torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)])),
        "x.pt: found a sparse or quantized tensor; expected a plain tensor saved by torch.save; "
        "save its dense float values",
    ),
    ("safetensors", "float8"): (
        lambda folder: (
            save_torch({"features": torch.ones(2, 3).to(torch.float8_e4m3fn)}, folder / "x.safetensors")
            or folder / "x.safetensors"
        ),
        "x.safetensors: found features of type float8_e4m3fn; expected float32 or float16; encode the slide again",
    ),
    ("safetensors", "a header nested without end"): (
        raw("x.safetensors", (300_000).to_bytes(8, "little") + b"[" * 300_000),
        f"x.safetensors: found broken or truncated safetensors; {A_FILE}; tile the slide again",
    ),
    ("h5", "text"): (
        h5(features=np.bytes_("x")),
        "x.h5: found features of type text or objects; expected float32 or float16; encode the slide again",
    ),
    ("h5", "records"): (
        h5(features=np.zeros(2, [("a", "f4")])),
        "x.h5: found features of type [('a', '<f4')]; expected float32 or float16; encode the slide again",
    ),
    ("h5", "coordinates of text"): (
        h5(features=ONE, coords=np.bytes_("x")),
        "x.h5: found coordinates that are no numbers; expected whole level-0 px; tile the slide again",
    ),
    ("pt", "truncated"): (
        truncated(tensor(torch.ones(50, 30)), 0.6),
        "x.pt: found a broken or truncated file; expected one tensor saved by torch.save; save the tensor alone",
    ),
    ("pt", "one axis"): (
        tensor(torch.ones(3)),
        "x.pt: found features of shape (3,); expected features (patches, width); save one row a patch",
    ),
    ("h5", "truncated"): (
        truncated(h5(features=np.ones((500, 30))), 0.5),
        f"x.h5: found a broken or truncated HDF5 file; {A_FILE}; copy the file again",
    ),
    ("h5", "no features"): (
        h5(coords=SPOILT),
        "x.h5: found only coords; expected an entry 'features'; give a file of features, not of coordinates or slides",
    ),
    ("h5", "nothing in it"): (
        h5(),
        "x.h5: found nothing; expected an entry 'features'; give a file of features, not of coordinates or slides",
    ),
    ("h5", "features of two encoders"): (
        lambda folder: write_h5(folder / "x.h5", **{"features/a": ONE, "features/b": ONE}),
        "x.h5: found 2 datasets in 'features' (a, b); expected one; save the features of one encoder a file",
    ),
    ("h5", "claims 164 GB"): (
        claimed_h5,
        "x.h5: found features that claim 163840000000 bytes; expected at most 17179869184; copy the file again",
    ),
    ("h5", "a geometry in words"): (
        h5({"patch_size": "large", "patch_level": 0}, features=ONE, coords=SPOILT),
        f"x.h5: found a broken or truncated HDF5 file; {A_FILE}; copy the file again",
    ),
    ("h5", "several slides"): (
        h5(features=np.stack([ONE, ONE])),
        "x.h5: found features of shape (2, 2, 3); expected features (patches, width); save one row a patch",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=map("-".join, BAD))
def test_bad_files(tmp_path, monkeypatch, make, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as raised:
        read_features(make(tmp_path))
    assert str(raised.value) == message
    assert not (tmp_path / "executed.txt").exists()


DIFFERENCES = {
    "other encoder": (
        {"encoder_revision": "fedcba9876543210"},
        "found encoder_revision 0123456789abcdef; expected fedcba9876543210",
    ),
    "changed slide": (
        {"slide_fingerprint": "e" * 64},
        f"found slide_fingerprint {'f' * 64}; expected {'e' * 64}",
    ),
    "older file": ({"tissue": "otsu"}, "found no tissue; expected otsu"),
}


@pytest.mark.parametrize(("expected", "difference"), DIFFERENCES.values(), ids=DIFFERENCES)
def test_a_file_made_otherwise(tmp_path, expected, difference):
    with pytest.raises(InputError) as raised:
        validate_features(written(tmp_path), {**INFO, **expected})
    assert str(raised.value) == f"slide.safetensors: {difference}; tile the slide again"


def test_a_file_of_others_is_not_ours(tmp_path):
    with pytest.raises(InputError) as raised:
        validate_features(tensor(torch.ones(2, 3))(tmp_path), {})
    assert str(raised.value) == f"x.pt: found a file of format histgen; expected {FORMAT}; tile the slide again"


def test_another_width(tmp_path):
    with pytest.raises(InputError) as raised:
        read_features(written(tmp_path), width=1024)
    assert str(raised.value) == (
        "slide.safetensors: found features of width 3; expected width 1024, which the model takes; "
        "tile with the model's own encoder"
    )


def test_a_bag_without_coordinates_is_not_written(tmp_path):
    with pytest.raises(InputError, match="found no coordinates; expected x and y of each patch"):
        written(tmp_path, coordinates=None)
    assert list(tmp_path.iterdir()) == []


def test_the_header_can_be_read_without_the_library(tmp_path):
    data = written(tmp_path).read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert INFO.items() <= header["__metadata__"].items()


def test_no_h5py(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_medreport.processing.feature_files.h5py", None)
    with pytest.raises(InputError) as raised:
        read_features(h5(features=ONE)(tmp_path))
    wanted = "x.h5: found an HDF5 file, but no h5py; expected h5py; pip install 'hf-medreport[wsi]'"
    assert str(raised.value) == wanted
