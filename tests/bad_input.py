"""Bad files, made one by one: (kind of file, what is wrong with it) -> a function that makes it and one that reads it.

Each maker gets an empty folder and returns what is then read. The table with the exact messages is in
`test_bad_input.py`.
"""

import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from PIL import Image
from pydicom.uid import JPEGLSLossless
from safetensors.torch import load_file, save_file

from hf_medreport.data.tables import ReportDataset
from hf_medreport.inference.loading import load
from hf_medreport.processing.image_reading import read_image, read_mask
from hf_medreport.registry import system
from tests.labeled import save_labeled
from tests.processing.dicom_files import write_dicom
from tests.tiny import film_array, save_tiny

MAKERS = {}


def bad(kind: str, failure: str, reader=read_image):
    """Register a maker under its pair."""

    def register(maker):
        assert (kind, failure) not in MAKERS, "this pair is there already"
        MAKERS[kind, failure] = (maker, reader)
        return maker

    return register


def saved(folder: Path, name: str, picture=None, **options) -> Path:
    Image.fromarray(film_array() if picture is None else picture).save(folder / name, **options)
    return folder / name


def cut(path: Path, keep: float) -> Path:
    """Truncate a file to a share of its length."""
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return path


def written(path: Path, content) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def png_claiming(path: Path, width: int, height: int) -> Path:
    """A PNG whose header claims a size that its data do not have."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return written(path, b"\x89PNG\r\n\x1a\n" + header + data)


for suffix, name in (("png", "PNG"), ("jpg", "JPEG"), ("tif", "TIFF")):
    bad(name, "truncated")(lambda folder, suffix=suffix: cut(saved(folder, f"film.{suffix}"), 0.6))
    bad(name, "zero bytes")(lambda folder, suffix=suffix: written(folder / f"film.{suffix}", b""))
    bad(name, "text inside")(lambda folder, suffix=suffix: written(folder / f"film.{suffix}", "heart normal"))
    bad(name, "missing")(lambda folder, suffix=suffix: folder / f"film.{suffix}")
    bad(name, "1 x 1")(lambda folder, suffix=suffix: saved(folder, f"film.{suffix}", np.zeros((1, 1), np.uint8)))
    bad(name, "all black")(lambda folder, suffix=suffix: saved(folder, f"film.{suffix}", np.zeros((64, 64), np.uint8)))

bad("PNG", "claims 60,000 x 60,000")(lambda folder: png_claiming(folder / "film.png", 60_000, 60_000))
bad("TIFF", "NaN")(lambda folder: saved(folder, "film.tif", np.full((16, 16), np.nan, np.float32)))


@bad("TIFF", "several pages")
def _(folder):
    pages = [Image.fromarray(film_array()) for _ in range(3)]
    pages[0].save(folder / "film.tif", save_all=True, append_images=pages[1:])
    return folder / "film.tif"


bad("folder", "given as a film")(lambda folder: folder)
bad("PDF", "given as a film")(lambda folder: written(folder / "report.pdf", b"%PDF-1.7 ..."))
bad("ZIP", "given as a film")(lambda folder: written(folder / "films.zip", b"PK\x03\x04" + b"\0" * 40))
bad("binary", "given as a film")(lambda folder: written(folder / "film.raw", bytes(range(256))))
bad("array", "integers of 64 bits")(lambda folder: film_array().astype(np.int64))
bad("array", "four axes")(lambda folder: film_array()[None, None])
bad("array", "values over 1")(lambda folder: film_array() / 100)
bad("array", "NaN")(lambda folder: np.where(film_array() > 250, np.nan, 0.5))
bad("mask", "colors", read_mask)(
    lambda folder: saved(folder, "mask.png", np.stack([film_array(), film_array().T, film_array()], axis=-1))
)

DEEP = film_array().astype(np.uint16)
bad("DICOM", "no pixels")(lambda folder: write_dicom(folder / "film.dcm", None))
bad("DICOM", "truncated")(lambda folder: cut(write_dicom(folder / "film.dcm", DEEP), 0.7))
bad("DICOM", "zero bytes")(lambda folder: written(folder / "film.dcm", b""))
bad("DICOM", "missing")(lambda folder: folder / "film.dcm")
bad("DICOM", "all black")(lambda folder: write_dicom(folder / "film.dcm", DEEP * 0))
bad("DICOM", "several frames")(lambda folder: write_dicom(folder / "film.dcm", np.stack([DEEP, DEEP])))
bad("DICOM", "1 x 1")(lambda folder: write_dicom(folder / "film.dcm", DEEP[:1, :1]))
bad("DICOM", "claims 60,000 x 60,000")(
    lambda folder: write_dicom(folder / "film.dcm", DEEP, Rows=60_000, Columns=60_000)
)
bad("DICOM", "unknown photometric")(
    lambda folder: write_dicom(folder / "film.dcm", DEEP, PhotometricInterpretation="HSV")
)
bad("DICOM", "window of width 0")(lambda folder: write_dicom(folder / "film.dcm", DEEP, WindowCenter=1, WindowWidth=0))
bad("DICOM", "more bits stored than allocated")(
    lambda folder: write_dicom(folder / "film.dcm", DEEP, BitsStored=17, HighBit=16)
)
bad("DICOM", "nothing but padding")(lambda folder: write_dicom(folder / "film.dcm", DEEP * 0, PixelPaddingValue=0))


@bad("DICOM", "a list of files")
def _(folder):
    path = write_dicom(folder / "DICOMDIR", DEEP)
    content = path.read_bytes().replace(b"1.2.840.10008.5.1.4.1.1.1\0", b"1.2.840.10008.1.3.10\0\0\0\0\0\0")
    return written(path, content)


@bad("DICOM", "compressed without its plug-in", lambda path: without_decoders(path))
def _(folder):
    import pydicom
    from pydicom.encaps import encapsulate

    dataset = pydicom.dcmread(write_dicom(folder / "film.dcm", DEEP))
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.PixelData = encapsulate([b"\xff\xd8" + b"\0" * 62])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(folder / "film.dcm")
    return folder / "film.dcm"


def without_decoders(path):
    """Read as on a machine without any plug-in."""
    from types import SimpleNamespace
    from unittest.mock import patch

    from hf_medreport.processing import dicom_reading

    with patch.object(dicom_reading, "get_decoder", lambda syntax: SimpleNamespace(is_available=False)):
        read_image(path)


# --- tables ---


def table(folder: Path, name: str, content) -> Path:
    saved(folder, "film.png")
    return written(folder / name, content)


def parquet(folder: Path, rows: list[dict]) -> Path:
    saved(folder, "film.png")
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "table.parquet")
    return folder / "table.parquet"


GOOD = {"image": "film.png", "text": "Normal."}
LINE = json.dumps(GOOD) + "\n"
bad("CSV", "no text column", ReportDataset)(lambda f: table(f, "table.csv", "image,findings\nfilm.png,Normal.\n"))
bad("CSV", "no image column", ReportDataset)(lambda f: table(f, "table.csv", "path,text\nfilm.png,Normal.\n"))
bad("CSV", "a field too many", ReportDataset)(lambda f: table(f, "table.csv", "image,text\nfilm.png,a,b\n"))
bad("CSV", "an open quote", ReportDataset)(lambda f: table(f, "table.csv", 'image,text\nfilm.png,"Normal.\n'))
bad("CSV", "zero bytes", ReportDataset)(lambda f: table(f, "table.csv", ""))
bad("CSV", "only a header", ReportDataset)(lambda f: table(f, "table.csv", "image,text\n"))
bad("CSV", "another encoding", ReportDataset)(lambda f: table(f, "table.csv", b"image,text\nfilm.png,caf\xe9\n"))
bad("CSV", "empty text", ReportDataset)(lambda f: table(f, "table.csv", "image,text\nfilm.png, \n"))
bad("CSV", "a film that is not there", ReportDataset)(lambda f: table(f, "table.csv", "image,text\ngone.png,Normal.\n"))
bad("CSV", "a path out of its folder", ReportDataset)(lambda f: table(f, "table.csv", "image,text\n../../a.png,Hi.\n"))
bad("CSV", "missing", ReportDataset)(lambda f: f / "table.csv")
bad("JSONL", "broken at line 2", ReportDataset)(lambda f: table(f, "table.jsonl", LINE + '{"image": \n'))
bad("JSONL", "a list at line 2", ReportDataset)(lambda f: table(f, "table.jsonl", LINE + "[1]\n"))
bad("JSONL", "no text column", ReportDataset)(lambda f: table(f, "table.jsonl", '{"image": "film.png"}\n'))
bad("JSONL", "text that is a number", ReportDataset)(
    lambda f: table(f, "table.jsonl", '{"image": "film.png", "text": 3}')
)
bad("JSONL", "zero bytes", ReportDataset)(lambda f: table(f, "table.jsonl", ""))
bad("Parquet", "truncated", ReportDataset)(lambda f: cut(parquet(f, [GOOD]), 0.5))
bad("Parquet", "no text column", ReportDataset)(lambda f: parquet(f, [{"image": "film.png"}]))
bad("Parquet", "empty text at row 2", ReportDataset)(lambda f: parquet(f, [GOOD, {**GOOD, "text": None}]))
bad("Parquet", "text inside", ReportDataset)(lambda f: table(f, "table.parquet", "image,text"))
bad("table", "of another kind", ReportDataset)(lambda f: table(f, "table.xlsx", b"PK"))
bad("folder", "without tables", ReportDataset)(lambda f: f)


# --- models ---


def model(folder: Path) -> Path:
    return save_tiny(system("anatomical_report"), folder / "model")


def changed(path: Path, **values) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@bad("model folder", "misspelt configuration field", load)
def _(folder):
    changed(model(folder) / "config.json", mask_mod="none")
    return folder / "model"


@bad("model folder", "unknown mask mode", load)
def _(folder):
    changed(model(folder) / "config.json", mask_mode="hard")
    return folder / "model"


@bad("model folder", "broken config.json", load)
def _(folder):
    cut(model(folder) / "config.json", 0.5)
    return folder / "model"


@bad("model folder", "a list as config.json", load)
def _(folder):
    written(model(folder) / "config.json", "[]")
    return folder / "model"


@bad("model folder", "no generation_config.json", load)
def _(folder):
    (model(folder) / "generation_config.json").unlink()
    return folder / "model"


@bad("model folder", "no length of a report", load)
def _(folder):
    changed(model(folder) / "generation_config.json", max_new_tokens=None)
    return folder / "model"


@bad("model folder", "an end outside the vocabulary", load)
def _(folder):
    changed(model(folder) / "generation_config.json", eos_token_id=10_000)
    return folder / "model"


@bad("model folder", "another system's checkpoint", load)
def _(folder):
    return save_tiny(system("anatomy_segmenter"), folder / "model")


@bad("model folder", "a language model", load)
def _(folder):
    return save_tiny(system("report_transformer"), folder / "model")


@bad("model folder", "an encoder", load)
def _(folder):
    return save_tiny(system("medvill"), folder / "model")


def labeled(folder: Path, **changes) -> Path:
    """A RadScribe that predicts labels, with changes in its encoder's configuration."""
    path = save_labeled("predicted", folder / "model") / "config.json"
    changed(path, encoder=json.loads(path.read_text())["encoder"] | changes)
    return folder / "model"


bad("model folder", "a label mode that there is not", load)(lambda folder: labeled(folder, label_mode="told"))
bad("model folder", "fewer label pieces than names", load)(lambda folder: labeled(folder, label_pieces=[[5]]))
bad("model folder", "weights of another image encoder", load)(
    lambda folder: labeled(folder, image_encoder="bert_vit", image_encoder_sizes={"patch_size": 8, "channels": 8})
)


@bad("model folder", "a system of somebody else", load)
def _(folder):
    changed(model(folder) / "config.json", model_type="bert")
    return folder / "model"


@bad("model folder", "truncated weights", load)
def _(folder):
    cut(model(folder) / "model.safetensors", 0.5)
    return folder / "model"


@bad("model folder", "weights of another size", load)
def _(folder):
    path = model(folder) / "model.safetensors"
    save_file({key: value[:1].clone() for key, value in load_file(path).items()}, path, metadata={"format": "pt"})
    return folder / "model"


@bad("model folder", "some weights missing", load)
def _(folder):
    path = model(folder) / "model.safetensors"
    weights = {key: value for key, value in load_file(path).items() if not key.startswith("projection")}
    save_file(weights, path, metadata={"format": "pt"})
    return folder / "model"


@bad("model folder", "pickled weights", load)
def _(folder):
    path = model(folder) / "model.safetensors"
    torch.save(load_file(path), folder / "model" / "pytorch_model.bin")
    path.unlink()
    return folder / "model"


@bad("model folder", "no weights", load)
def _(folder):
    (model(folder) / "model.safetensors").unlink()
    return folder / "model"


@bad("model folder", "no tokenizer", load)
def _(folder):
    for path in model(folder).glob("tokenizer*"):
        path.unlink()
    return folder / "model"


@bad("model folder", "no config.json", load)
def _(folder):
    shutil.rmtree(folder)
    folder.mkdir()
    return folder


bad("model name", "misspelt", load)(lambda folder: "anatomical-tyni")
bad("model name", "a path that is not there", load)(lambda folder: "./models/chest")
bad("repository", "does not exist, offline", load)(lambda folder: "org/no-such-model")
