"""Mutation fuzz of every parser: sound files, changed at random, are either read or refused with four fields.

Each input is made from (seed, parser, number) alone. Whatever else a reader raises, a read of over 5 s or one that asks
for more than 2 GiB of memory beyond what the libraries take, is a crash: its input is kept in `--crashes` and named in
the result. Workers die alone: an input that kills one (a segmentation fault) is a crash too. What is done is kept in
`--work` and goes on there: a million inputs are the goal, reached in parts.

    python benchmarks/campaign/mutate.py --n 20000
    python benchmarks/campaign/mutate.py --n 1000000 --work build/campaign/mutate   # goes on behind the first 20,000
"""

import argparse
import contextlib
import gzip
import io
import json
import os
import random
import resource
import signal
import struct
import tarfile
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pydicom
import tifffile
import torch
import yaml
from parts import RESULTS, write_part
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from safetensors.numpy import save

from hf_medreport.data.archives.films import open_films
from hf_medreport.evaluation.reports.prediction_files import Problems
from hf_medreport.evaluation.reports.prediction_files import read_rows as read_predictions
from hf_medreport.files.rows import read_rows, stream_rows
from hf_medreport.files.settings import read_settings, read_yaml
from hf_medreport.files.writing import write_json
from hf_medreport.hub.identifiers import identifiers_in
from hf_medreport.hub.publish import check_card
from hf_medreport.inference.loading import read_config
from hf_medreport.phantom.chest.parser import facts_from_text, parse_report
from hf_medreport.phantom.slide.parser import parse_slide_report
from hf_medreport.processing.feature_files import read_features
from hf_medreport.processing.film_reading import read_film
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import four_fields
from hf_medreport.processing.label_text import parse_labels
from hf_medreport.processing.report_object import ReportObject
from hf_medreport.processing.slide_reading import open_slide
from hf_medreport.registry import find_system, systems

SECONDS, BYTES = 5, 2 << 30  # of processor time; a read that waits for something ends after `WAITS`
WAITS = 60
CHUNK = 40  # inputs a worker; what a killed one had done is done again
ODD = (b"\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"-1", b"NaN", b"1e999", b"9" * 5000, b"\xef\xbb\xbf", b'"')
ODD += (b"[" * 3000, b'{"a":' * 3000, b"../../", b"\r", b"\n\n", b";", b"\xe9", b"=cmd", b"null", b"\xff\xfe", b"^")
REPORT = (
    "FINDINGS: There is a small left pleural effusion. A 14 mm nodule is seen in the right upper zone. The heart is "
    "not enlarged. No pneumothorax. There may be consolidation in the left lower zone.\nIMPRESSION: Small left "
    "effusion; right upper zone nodule of 14 mm, unchanged since 2019.\n"
)


def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (48, 40), dtype=np.uint8)


def drawn(kind: str, pixels: np.ndarray | None = None, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture() if pixels is None else pixels).save(file, kind, **options)
    return file.getvalue()


def dicom(frames: int = 1, **elements) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID, dataset.Modality = meta.MediaStorageSOPClassUID, "1.2.3", "DX"
    dataset.PatientName, dataset.PatientID, dataset.ViewPosition = "Planted^Name", "00471123", "PA"
    pixels = np.stack([picture().astype(np.uint16) * 16] * frames)
    dataset.Rows, dataset.Columns = pixels.shape[1:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.WindowCenter, dataset.WindowWidth, dataset.RescaleSlope, dataset.RescaleIntercept = 2000, 4000, 1, 0
    if frames > 1:
        dataset.NumberOfFrames = frames
    dataset.PixelData = pixels.tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def pyramid() -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    with tifffile.TiffWriter(file) as tiff:
        options = {"tile": (256, 256), "photometric": "rgb", "metadata": None}
        tiff.write(pixels, subifds=0, **options)
        tiff.write(pixels[::4, ::4], subfiletype=1, **options)
    return file.getvalue()


def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"features": rng.normal(size=(6, 8)).astype(np.float32), "coordinates": np.arange(12).reshape(6, 2)}


def pt() -> bytes:
    file = io.BytesIO()
    torch.save(torch.from_numpy(tensors()["features"]), file)
    return file.getvalue()


def h5() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as stored:
        stored["features"], stored["coords"] = tensors()["features"], tensors()["coordinates"]
        stored["coords"].attrs["patch_size"], stored["coords"].attrs["patch_level"] = 256, 0
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"image": "a.png", "text": REPORT}] * 3), file)
    return file.getvalue()


def archive(mode: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=tarfile.USTAR_FORMAT) as tar:
        for name in ("train/a.png", "train/b.png"):
            member = tarfile.TarInfo(name)
            member.size = len(content := drawn("PNG"))
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def configurations() -> list[bytes]:
    made = (row.resolve("config")(**row.tiny).to_dict() for row in systems() if row.kind != "generator")
    return [json.dumps(config, default=str).encode() for config in made]


CSV = (
    b'id,image,text\n1,a.png,"The heart is normal, the lungs too."\n2,b.png,"Small ""left"" effusion.\nSecond line."\n'
)
LINES = b"".join(json.dumps({"id": n, "prediction": REPORT, "reference": REPORT}).encode() + b"\n" for n in range(3))
RECIPE = {"output_dir": "runs/a", "learning_rate": 1e-4, "decoder": {"n_layer": 2, "sizes": [1, 2]}, "fp16": False}
CARD = (
    b"---\nlicense: apache-2.0\ntags: [a, b]\nmodel-index:\n- name: x\n  results: []\n---\n\n# A model\n\n| a | b |\n"
)


def of_text(read: Callable[[str], object]) -> Callable[[Path], object]:
    return lambda path: read(path.read_text(encoding="utf-8", errors="replace"))


def read_members(path: Path) -> None:
    films = open_films(path)
    for name in list(films.names())[:5]:
        films.read(name)


def read_slide(path: Path) -> None:
    with open_slide(path) as slide:
        slide.read(0, 0, 0, 64, 64)


def configured(path: Path) -> None:
    """As a folder's config.json is read, and what its system then makes of it."""
    content = read_config(path.name, path.parent)
    row = find_system(content.get("model_type"))
    if row is not None and row.kind != "generator":
        row.resolve("config").from_dict(content)


# parser -> (the name of a file, how sound ones look, what reads them)
PARSERS: dict[str, tuple[str, Callable[[], list[bytes]], Callable[[Path], object]]] = {
    "film: PNG, JPEG, TIFF": (
        "film",
        lambda: [drawn("PNG"), drawn("JPEG"), drawn("TIFF"), drawn("PNG", picture().astype(np.uint16) * 257)],
        read_film,
    ),
    "picture": ("picture", lambda: [drawn("PNG", np.stack([picture()] * 3, -1)), drawn("GIF")], read_image),
    "DICOM": ("film.dcm", lambda: [dicom(), dicom(3), dicom(BitsStored=16, HighBit=15)], read_film),
    "slide": ("slide.tif", lambda: [pyramid()], read_slide),
    "features: safetensors": ("a.safetensors", lambda: [save(tensors())], read_features),
    "features: pt": ("a.pt", lambda: [pt()], read_features),
    "features: HDF5": ("a.h5", lambda: [h5()], read_features),
    "table: CSV": ("a.csv", lambda: [CSV, CSV.replace(b",", b";")], lambda path: list(stream_rows(path))),
    "table: CSV, compressed": ("a.csv.gz", lambda: [gzip.compress(CSV)], lambda path: list(stream_rows(path))),
    "table: JSONL": ("a.jsonl", lambda: [LINES], read_rows),
    "table: Parquet": ("a.parquet", lambda: [parquet()], read_rows),
    "predictions: CSV": ("p.csv", lambda: [CSV], lambda path: read_predictions(path, "prediction", Problems())),
    "predictions: JSONL": ("p.jsonl", lambda: [LINES], lambda path: read_predictions(path, "prediction", Problems())),
    "YAML": ("a.yaml", lambda: [yaml.safe_dump(RECIPE).encode()], lambda path: read_yaml(str(path))),
    "JSON": ("a.json", lambda: [json.dumps(RECIPE).encode()], lambda path: read_settings(path, path.name)),
    "sections and sentences": ("r.txt", lambda: [REPORT.encode()], of_text(ReportObject.parse)),
    "facts of a report": ("r.txt", lambda: [REPORT.encode()], of_text(parse_report)),
    "facts asked for": (
        "f.txt",
        lambda: [b"small left pleural effusion; 14 mm left upper zone nodule"],
        of_text(facts_from_text),
    ),
    "facts of a slide": (
        "s.txt",
        lambda: [b"DIAGNOSIS: Invasive carcinoma, grade 2. Margins clear."],
        of_text(parse_slide_report),
    ),
    "labels": ("l.txt", lambda: [b"Edema, 'Pleural Effusion', Enlarged Cardiomediastinum"], of_text(parse_labels)),
    "archive": ("a.tar", lambda: [archive("w:")], read_members),
    "archive, compressed": ("a.tar.gz", lambda: [archive("w:gz")], read_members),
    "configuration": ("config.json", configurations, configured),
    "card": ("README.md", lambda: [CARD], lambda path: check_card(path.parent)),
    "identifiers": ("c.md", lambda: [CARD + REPORT.encode()], of_text(lambda text: list(identifiers_in(text)))),
}


# --- mutations --------------------------------------------------------------------------------------------------------


def mutated(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """A sound file with one to six changes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice((1, 2, 4, 8, 64, 1024)))
        match rng.randrange(9):
            case 0:  # bits
                for _ in range(rng.choice((1, 8, 64)) if data else 0):
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            case 1:
                del data[start:]
            case 2:
                del data[start:end]
            case 3:
                data[start:start] = data[start:end] * rng.choice((1, 2, 50))
            case 4:
                data[start:end] = rng.choice(ODD)
            case 5:
                data[start:start] = rng.choice(ODD)
            case 6:  # a number in the file
                data[start : start + 4] = struct.pack(
                    rng.choice("<>") + "I", rng.choice((0, 1, 2**16, 2**31, 2**32 - 1))
                )
            case 7:  # a piece of another file
                other = rng.choice(others)
                place = rng.randrange(len(other) + 1)
                data[start:end] = other[place : place + rng.choice((4, 64, 4096))]
            case 8:  # digits
                data = bytearray(
                    bytes(data).replace(b"%d" % rng.randrange(10), rng.choice((b"-1", b"99999999", b"0", b"x")))
                )
    return bytes(data)


class TooSlow(BaseException):
    """A read that took longer than `SECONDS` or `WAITS`; no reader's `except Exception` takes it for a bad file."""


def late(*_) -> None:
    raise TooSlow


def outcome(read: Callable[[Path], object], path: Path) -> str | None:
    """What a read that is neither done nor refused with four fields ended in."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, WAITS)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as quiet, contextlib.redirect_stderr(quiet):
            warnings.simplefilter("ignore")
            read(path)
    except TooSlow:
        return f"over {SECONDS} s"
    except Exception as error:
        if four_fields(error) is None:
            return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if "\n" in str(error):
            return "a message of several lines"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def crashes_of(parser: str, seed: int, numbers: range, say: Callable[[int], None]) -> Iterator[tuple[int, str, bytes]]:
    """(number, what happened, the input) of those inputs of a parser that crash its reader."""
    name, sound, read = PARSERS[parser]
    sound = sound()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        for number in numbers:
            rng = random.Random(f"{seed} {parser} {number}")
            content = mutated(rng.choice(sound), sound, rng)
            path.write_bytes(content)
            say(number)
            if (what := outcome(read, path)) is not None:
                yield number, what, content


def bounded() -> None:
    """Limit this process's memory to what it has and `BYTES` more, and have it interrupted where it is late."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGPROF, late)


def child(parser: str, seed: int, numbers: range, crashes: Path, writing: int) -> None:
    """Read these inputs, telling each number before it and each crash after it."""

    def tell(line: object) -> None:
        os.write(writing, f"{json.dumps(line)}\n".encode())

    bounded()
    for number, what, content in crashes_of(parser, seed, numbers, tell):
        (crashes / f"{stem(parser)}-{seed}-{number}").write_bytes(content)
        tell({"parser": parser, "number": number, "what": what})


def chunk(parser: str, seed: int, numbers: range, crashes: Path) -> list[dict]:
    """What crashes among these inputs, read in a child that may die of one."""
    found, begin = [], numbers.start
    while begin < numbers.stop:
        reading, writing = os.pipe()
        if not (pid := os.fork()):
            try:
                child(parser, seed, range(begin, numbers.stop), crashes, writing)
                os._exit(0)
            finally:
                os._exit(1)
        os.close(writing)
        last = begin
        with os.fdopen(reading) as lines:
            for line in map(json.loads, lines):
                if isinstance(line, int):
                    last = line
                else:
                    found.append(line)
        state = os.waitpid(pid, 0)[1]
        if state == 0:
            break
        found.append({"parser": parser, "number": last, "what": f"the process died (wait status {state})"})
        begin = last + 1
    return found


def stem(parser: str) -> str:
    """A parser's name as a file's."""
    return "".join(letter if letter.isalnum() else "-" for letter in parser)


def run(n: int, seed: int, work: Path, crashes: Path) -> Iterator[dict]:
    """The first `n` inputs, shared out over the parsers in rounds of `CHUNK` each; what was done before is not done
    again. After each round, what is known by then."""
    work.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    files, share = {parser: work / f"{stem(parser)}-{seed}.json" for parser in PARSERS}, -(-n // len(PARSERS))
    states = {parser: {"done": 0, "crashes": []} for parser in PARSERS}
    states |= {parser: json.loads(file.read_text()) for parser, file in files.items() if file.exists()}
    for end in [*range(CHUNK, share, CHUNK), share]:
        for parser, state in states.items():
            if state["done"] < end:
                state["crashes"] += chunk(parser, seed, range(state["done"], end), crashes)
                state["done"] = end
                write_json(files[parser], state)
        done = {parser: state["done"] for parser, state in states.items()}
        yield {
            "seed": seed,
            "inputs": sum(done.values()),
            "inputs_by_parser": done,
            "bounds": {"processor_seconds": SECONDS, "seconds": WAITS, "bytes": BYTES},
            "crashes": [crash for state in states.values() for crash in state["crashes"]],
        }


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--n", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--work", type=Path, default=Path("build/campaign/mutate"))
    arguments.add_argument("--crashes", type=Path, default=RESULTS / "crashes")
    given = arguments.parse_args()
    for figures in run(given.n, given.seed, given.work, given.crashes):
        write_part("mutate", figures)
