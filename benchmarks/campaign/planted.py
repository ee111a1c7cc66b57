"""Planted identifiers through every verb that reads files which may hold some, and planted code wherever code is named.

A patient's name, number, birth date and accession number lie in headers, tags, text chunks, attributes, metadata and
columns that nobody asked for. None of them may come out: of all bytes of all files, unpacked where they are packed, and
of what is printed, also where a file is damaged. Code lies in pickles, YAML tags, `auto_map`, `custom_pipelines` and a
pipeline's index; where it ran, a file has appeared.

    python benchmarks/campaign/planted.py
    python benchmarks/campaign/planted.py --only report segment
"""

import argparse
import gzip
import io
import json
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pydicom
import tifffile
import torch
from kills import ended
from malformed import FIELDS
from mutate import dicom, picture
from parts import RESULTS, forked, import_all, write_part
from PIL import Image, PngImagePlugin
from safetensors.numpy import load_file, save

from hf_medreport.files.items import FILE_IT
from hf_medreport.registry import CHECKPOINTS, systems

NAME, NUMBER, BORN, ACCESSION, PLACE = "QZFAMILY^QZGIVEN", "ZID471123X", "19370213", "ACCQX99887", "QZHOSPITAL"
WORDS = ("QZFAMILY", "QZGIVEN", NUMBER, BORN, ACCESSION, PLACE)
ALL = f"{NAME} {NUMBER} {BORN} {ACCESSION} {PLACE}"


# --- identifiers ------------------------------------------------------------------------------------------------------


def header(**elements) -> bytes:
    """A film whose header names the patient, in private and nested elements too."""
    inner = pydicom.Dataset()
    inner.PatientID, inner.IssuerOfPatientID, inner.AccessionNumber = NUMBER, PLACE, ACCESSION
    dataset = pydicom.dcmread(io.BytesIO(dicom(**elements)))
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = NAME, NUMBER, BORN
    dataset.AccessionNumber, dataset.InstitutionName, dataset.StudyDescription = ACCESSION, PLACE, ALL
    dataset.ReferringPhysicianName, dataset.ImageComments = NAME, ALL
    dataset.OtherPatientIDsSequence = dataset.ReferencedStudySequence = [inner]
    dataset.private_block(0x0011, "VENDOR", create=True).add_new(1, "LO", ALL)
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def tagged(kind: str, **options) -> bytes:
    """A picture that names the patient in Exif's tags, and in what its kind has beside."""
    exif = Image.Exif()
    exif[0x010E], exif[0x013B], exif[0x8298] = ALL, NAME, PLACE  # description, artist, copyright
    file = io.BytesIO()
    Image.fromarray(picture()).save(file, kind, exif=exif, **options)
    return file.getvalue()


def chunks() -> PngImagePlugin.PngInfo:
    said = PngImagePlugin.PngInfo()
    said.add_text("Patient", ALL)
    said.add_text("Comment", ALL, zip=True)
    said.add_itxt("XML:com.adobe.xmp", f"<x>{ALL}</x>", zip=True)
    return said


def slide() -> bytes:
    """An SVS with a description as scanners write it."""
    file, pixels = io.BytesIO(), np.random.default_rng(0).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    said = f"Aperio Image Library v12\n512x512 (256x256)|AppMag = 10|MPP = 1.0|Filename = {NUMBER}|Patient = {ALL}"
    with tifffile.TiffWriter(file) as tiff:
        more = [(315, "s", 0, NAME, True), (316, "s", 0, PLACE, True)]
        options = {"tile": (256, 256), "photometric": "rgb", "metadata": None, "software": PLACE}
        tiff.write(pixels, description=said, extratags=more, **options)
        tiff.write(pixels[::4, ::4], subfiletype=1, description=said, **options)
    return file.getvalue()


def features() -> dict[str, bytes]:
    """Features of tiles, whose files say more than that."""
    tiles = np.random.default_rng(0).normal(size=(4, 128)).astype(np.float32)
    metadata = {"patient": ALL, "slide": "s1", NAME: NUMBER}
    file, saved = io.BytesIO(), io.BytesIO()
    with h5py.File(file, "w") as stored:
        stored["features"], stored["patient"] = tiles, ALL
        stored.attrs["patient"] = stored["features"].attrs["patient"] = ALL
    torch.save({"features": torch.from_numpy(tiles), "patient": ALL, NAME: 1}, saved)
    contents = {".safetensors": save({"features": tiles}, metadata), ".h5": file.getvalue(), ".pt": saved.getvalue()}
    return {f"features{suffix}": content for suffix, content in contents.items()}


def films() -> dict[str, bytes]:
    return {
        "a.dcm": header(),
        "ct.dcm": header(Modality="CT"),
        "turned.dcm": header(PatientOrientation=["R", "F"]),
        "b.png": tagged("PNG", pnginfo=chunks()),
        "c.jpg": tagged("JPEG", comment=ALL.encode()),
        "d.tif": tagged("TIFF", description=ALL),
    }


def written(at: Path, contents: dict[str, bytes]) -> list[Path]:
    at.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (at / name).write_bytes(content)
    return [at / name for name in contents]


def given(at: Path, contents: dict[str, bytes]) -> Path:
    """The folder in which these files are."""
    written(at, contents)
    return at


def whole_and_cut(at: Path, contents: dict[str, bytes]) -> list[Path]:
    """The files, and each of them damaged in two ways."""
    damaged = {f"cut_{name}": content[: len(content) * 7 // 10] for name, content in contents.items()}
    damaged |= {f"zeros_{name}": content.replace(b"\x08\x00", b"\xff\xff") for name, content in contents.items()}
    return written(at, contents | damaged)


def rows(at: Path, name: str, **columns: str) -> Path:
    """A table with columns that nobody asks for."""
    columns |= {"patient_name": NAME, "patient_id": NUMBER, "birth_date": BORN, "AccessionNumber": ACCESSION}
    (path := at / name).write_text("\n".join(map(",".join, (columns, columns.values()))) + "\n")
    return path


def of_films(verb: str) -> Callable[[Path], list]:
    return lambda at: [verb, *whole_and_cut(at / "films", films()), "--out", at / "out"]


def pictures(at: Path) -> list:
    for folder in ("real", "fake"):
        written(at / folder, {name: content for name, content in films().items() if "dcm" not in name})
    return ["evaluate", "images", "--real", at / "real", "--fake", at / "fake", "--out", at / "out"]


def drawing(at: Path) -> list:
    written(at, {"b.png": tagged("PNG", pnginfo=chunks())})
    table = rows(at, "table.csv", prompt="small left pleural effusion", image="b.png")
    return ["synthesize", "--csv", table, "--modality", "CXR", "--steps", 2, "--out", at / "out"]


def model(at: Path) -> Path:
    """A shipped model whose weights name somebody."""
    folder = Path(shutil.copytree(CHECKPOINTS / "anatomical-tiny", at / "model"))
    weights = folder / "model.safetensors"
    weights.write_bytes(save(load_file(weights), {"format": "pt", "patient": ALL}))
    return folder


def cases(at: Path) -> list:
    table = rows(at, "reports.csv", patient_filename="TCGA-ZZ-0001", text="Invasive carcinoma.")
    slides = written(at, {"slides.txt": b"TCGA-ZZ-0001-01Z-00-DX1.svs\n"})[0]
    return ["prepare", "tcga-reports", table, "--slides", slides, "--no-llm", "--out", at / "out"]


def learning(at: Path) -> list:
    written(at, {"a.dcm": header()})
    table = rows(at, "table.csv", image="a.dcm", text="The heart is normal. There is no effusion.")
    recipe = Path(__file__).parents[2] / "examples" / "anatomical_phantom.yaml"
    small = ["--max_steps", 1, "--encoder_steps", 0, "--segmenter_steps", 0, "--image_size", 64]
    small += [
        "--vocabulary_size",
        280,
        "--evaluation_cases",
        0,
        "--per_device_train_batch_size",
        2,
        "--model_name",
        "model",
    ]
    tables = ["--train_data", table, "--validation_data", table, "--phantom_cases", 0, "--phantom_validation_cases", 0]
    small += ["--model_name", "model"]
    return ["train", "anatomical", "--config", recipe, *tables, *small, "--output_dir", at / "out"]


IDENTIFIERS: dict[str, Callable[[Path], list]] = {
    "report, films": of_films("report"),
    "report, films as JSON": lambda at: [*of_films("report")(at), "--json", "--orient", "header", "--any-modality"],
    "segment": of_films("segment"),
    "tile": lambda at: ["tile", *whole_and_cut(at, {"s.svs": slide()}), "--patch-px", 256, "--out", at / "out"],
    "report, slide": lambda at: ["report", *written(at, {"s.svs": slide()}), "--out", at / "out"],
    "report, features": lambda at: ["report", *whole_and_cut(at, features()), "--out", at / "out"],
    "evaluate reports": lambda at: [
        *("evaluate", "reports", rows(at, "p.csv", id="1", prediction="Normal.", reference="Normal heart.")),
        *("--metrics", "bleu1", "--out", at / "out"),
    ],
    "evaluate model": lambda at: [
        *("evaluate", "model", rows(given(at, {"a.dcm": header()}), "t.csv", image="a.dcm", text="Normal.")),
        *("--metrics", "bleu1", "--out", at / "out"),
    ],
    "evaluate images": pictures,
    "synthesize": drawing,
    "synthesize, begun from a picture": lambda at: [
        *("synthesize", "small effusion", "--modality", "CXR", "--steps", 2, "--out", at / "out"),
        *("--init", *written(at, {"a.dcm": header()})),
    ],
    "train": learning,
    "prepare": cases,
    "publish": lambda at: ["publish", model(at), "org/x", "--dry-run"],
    "doctor": lambda at: ["doctor", model(at)],
}


def unpacked(content: bytes) -> bytes:
    """The bytes of a file, and those that it holds packed: text of a PNG, members of a ZIP, a gzip's content."""
    if content[:8] == b"\x89PNG\r\n\x1a\n":
        return content + repr(Image.open(io.BytesIO(content)).info).encode()
    if content[:2] == b"\x1f\x8b":
        return content + gzip.decompress(content)
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            return content + b"".join(packed.read(name) for name in packed.namelist())
    return content


def leaks(content: bytes) -> list[str]:
    """The planted words among bytes, in any case and as two bytes a letter too."""
    seen = unpacked(content).lower()
    return [word for word in WORDS if word.lower().encode() in seen or word.lower().encode("utf-16-le") in seen]


def identifiers(name: str, work: Path) -> dict:
    """A verb that reads planted files, and what of them came out."""
    command = IDENTIFIERS[name](work)
    (log := work.parent / f"{work.name}.log").unlink(missing_ok=True)
    code = ended(forked(log, *command))
    out = [path for path in (work / "out").rglob("*") if path.is_file()] if (work / "out").is_dir() else []
    found = [f"{word} in {path.name}" for path in [*out, log] for word in leaks(path.read_bytes())]
    found += [f"{word} as a name" for path in out for word in leaks(path.name.encode())]
    said = log.read_text(errors="replace").replace(str(work), "WORK")
    bad = code not in (0, 1, 2) or "Traceback" in said or FILE_IT in said
    if bad:
        found.append(f"ended with {code}: {said[-300:]}")
    return {"exit": code, "files": len(out), "leaks": found, "says": said.splitlines()[-3:]}


# --- code -------------------------------------------------------------------------------------------------------------


class Planted:
    """What a pickle runs when it is read: a file appears."""

    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self) -> tuple:
        return open, (self.mark, "w")


def pickled(mark: Path) -> dict[str, bytes]:
    """Planted pickles: torch's new and old form, a bare one, and numpy's."""
    new, old, array = io.BytesIO(), io.BytesIO(), io.BytesIO()
    torch.save({"features": Planted(mark)}, new)
    torch.save({"features": Planted(mark)}, old, _use_new_zipfile_serialization=False)
    np.save(array, np.array([Planted(mark)], dtype=object), allow_pickle=True)
    return {"zip": new.getvalue(), "old": old.getvalue(), "bare": pickle.dumps(Planted(mark)), "npy": array.getvalue()}


CODE: dict[str, Callable[[Path, Path], list]] = {}
SUFFIXES = (".pt", ".pth", ".bin", ".pkl", ".ckpt", ".npy", ".safetensors", ".h5")


def pickles(command: Callable[[Path, Path], list], kind: str, suffix: str) -> Callable[[Path, Path], list]:
    return lambda at, mark: command(at, written(at, {f"planted{suffix}": pickled(mark)[kind]})[0])


OF_PICKLES: dict[str, Callable[[Path, Path], list]] = {
    f"convert {name}": lambda at, path, name=name: ["convert", name, path, "--out", at / "out"]
    for row in systems()
    for name in row.converters
}
OF_PICKLES |= {
    "report": lambda at, path: ["report", path],
    "evaluate reports": lambda at, path: ["evaluate", "reports", path, "--out", at / "out"],
    "evaluate images --features": lambda at, path: [*pictures(at), "--features", path],
}
for verb, command in OF_PICKLES.items():
    suffixes = SUFFIXES if verb in ("report", "convert anatomical") else (".pth", ".bin")
    for suffix in suffixes:
        for kind in ("zip", "old", "bare", "npy")[: 4 if suffix in (".pt", ".pth") else 1]:
            CODE[f"{verb}, {kind} as {suffix}"] = pickles(command, kind, suffix)

TAGS = ("!!python/object/apply:builtins.open ['{}', w]", "!!python/object/new:builtins.open ['{}', w]")
TAGS += ("!!python/object/apply:os.mkdir ['{}']", "!!python/name:os.system", "!!python/module:evil")
OF_YAML = {
    "train": lambda path: ["train", "anatomical", "--config", path],
    "train diffusion": lambda path: ["train", "diffusion", "--config", path],
    "rlhf": lambda path: ["rlhf", "--config", path],
    "prepare --prompts": lambda path: [
        *("prepare", "tcga-reports", path, "--slides", path.parent, "--out", path.parent / "out", "--prompts", path),
        *("--llm", "x", "--endpoint", "http://127.0.0.1:9"),
    ],
}
for verb, of_path in OF_YAML.items():
    for number, tag in enumerate(TAGS):
        CODE[f"{verb}, YAML {number}"] = lambda at, mark, of_path=of_path, tag=tag: of_path(
            written(at, {"c.yaml": f"output_dir: {tag.format(mark)}\n".encode()})[0]
        )


def with_code(at: Path, mark: Path, shipped: str = "anatomical-tiny") -> Path:
    """A copy of a shipped model with a module that runs when it is imported."""
    folder = Path(shutil.copytree(CHECKPOINTS / shipped, at / "model"))
    (folder / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    return folder


def settings(folder: Path, file: str, **values: object) -> Path:
    path = folder / file
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(known | values))
    return folder


AUTO = ("AutoConfig", "AutoModel", "AutoModelForImageTextToText", "AutoProcessor", "AutoTokenizer")
EVIL = dict.fromkeys(AUTO, "evil.Evil")


def unknown(at: Path, mark: Path) -> Path:
    return settings(with_code(at, mark), "config.json", model_type="evil", auto_map=EVIL)


def beside_ours(at: Path, mark: Path) -> Path:
    folder = settings(with_code(at, mark), "config.json", auto_map=EVIL)
    for file in ("processor_config.json", "tokenizer_config.json", "preprocessor_config.json"):
        settings(folder, file, auto_map=EVIL)
    return folder


def task(at: Path, mark: Path) -> Path:
    pipelines = {"image-to-text": {"impl": "evil.Evil", "pt": ["AutoModel"], "type": "multimodal"}}
    return settings(with_code(at, mark), "config.json", model_type="evil", custom_pipelines=pipelines, auto_map=EVIL)


def only_pickles(at: Path, mark: Path) -> Path:
    folder = with_code(at, mark)
    (folder / "model.safetensors").unlink()
    written(folder, {"pytorch_model.bin": pickled(mark)["zip"], "training_args.bin": pickled(mark)["zip"]})
    return folder


def pickles_beside(at: Path, mark: Path) -> Path:
    folder = with_code(at, mark)
    written(folder, {"pytorch_model.bin": pickled(mark)["zip"], "training_args.bin": pickled(mark)["zip"]})
    return folder


def generator(at: Path, mark: Path, index: dict) -> Path:
    return settings(with_code(at, mark, "diffusion-tiny"), "model_index.json", **index)


def generator_pickles(at: Path, mark: Path) -> Path:
    folder = with_code(at, mark, "diffusion-tiny")
    for weights in list(folder.rglob("*.safetensors")):
        weights.with_suffix(".bin").write_bytes(pickled(mark)["zip"])
        weights.unlink()
    return folder


def adapter(at: Path, mark: Path) -> Path:
    folder = at / "adapter"
    written(folder, {name: pickled(mark)["zip"] for name in ("adapter_model.bin", "pytorch_lora_weights.bin")})
    return settings(folder, "adapter_config.json", peft_type="LORA", auto_mapping={"parent_library": "evil"})


FOLDERS = {"auto_map, unknown": unknown, "auto_map, ours": beside_ours, "custom_pipelines": task}
FOLDERS |= {"pickles alone": only_pickles, "pickles beside": pickles_beside}
SLIDES, FILM = {"s.svs": slide()}, {"b.png": tagged("PNG")}
OF_FOLDERS: dict[str, Callable[[Path, Path], list]] = {
    "report": lambda at, model: ["report", *written(at, FILM), "--model", model],
    "segment": lambda at, model: ["segment", *written(at, FILM), "--model", model, "--out", at / "out"],
    "tile": lambda at, model: ["tile", *written(at, SLIDES), "--encoder", model, "--out", at / "out"],
    "doctor": lambda at, model: ["doctor", model],
    "publish": lambda at, model: ["publish", model, "org/x", "--dry-run"],
    "evaluate phantom": lambda at, model: ["evaluate", "phantom", "--model", model, "--n", 1, "--out", at / "out"],
    "evaluate images": lambda at, model: [*pictures(at), "--features", model],
    "train": lambda at, model: [
        *("train", "anatomical", "--model", model, "--phantom_cases", 2, "--max_steps", 1, "--output_dir", at / "out"),
        *("--evaluation_cases", 1, "--phantom_validation_cases", 1, "--per_device_train_batch_size", 1),
    ],
    "synthesize": lambda at, model: ["synthesize", "effusion", "--model", model, "--steps", 1, "--out", at / "out"],
    "synthesize --verify-judge": lambda at, model: [
        *("synthesize", "effusion", "--verify", "--verify-judge", model, "--steps", 1, "--out", at / "out"),
    ],
}
for verb, of_folder in OF_FOLDERS.items():
    for what, make in FOLDERS.items():
        CODE[f"{verb}, {what}"] = lambda at, mark, of_folder=of_folder, make=make: of_folder(at, make(at, mark))
GENERATORS = {
    "class of the index": {"_class_name": ["evil", "Evil"]},
    "component of the index": {"unet": ["evil", "Evil"], "scheduler": ["evil", "Evil"]},
}
GENERATORS = {what: lambda at, mark, index=index: generator(at, mark, index) for what, index in GENERATORS.items()}
for what, make in (GENERATORS | {"pickled components": generator_pickles}).items():
    for verb in ("synthesize", "publish", "doctor", "evaluate phantom"):
        CODE[f"{verb}, {what}"] = lambda at, mark, verb=verb, make=make: OF_FOLDERS[verb](at, make(at, mark))
CODE["synthesize, adapter"] = lambda at, mark: [
    *("synthesize", "effusion", "--adapter", adapter(at, mark), "--steps", 1, "--out", at / "out"),
]


def code(name: str, work: Path) -> dict:
    """A verb that is given planted code, and whether it ran."""
    mark = work.parent / f"{work.name}.ran"
    (log := work.parent / f"{work.name}.log").unlink(missing_ok=True)
    mark.is_dir() and mark.rmdir()
    mark.unlink(missing_ok=True)
    command = CODE[name](work, mark)
    assert not mark.exists(), "planting it ran it"
    ends = ended(forked(log, *command))
    said = log.read_text(errors="replace").replace(str(work), "WORK")
    refused = ends == 0 or ends in (1, 2) and any(FIELDS.fullmatch(line) for line in said.splitlines())
    in_order = refused and "Traceback" not in said and FILE_IT not in said
    return {"exit": ends, "ran": mark.exists(), "in_order": in_order, "says": said.splitlines()[-2:]}


def main(asked: Callable[[str], object], work: Path) -> None:
    import_all()
    kept = RESULTS / "planted.json"
    known = json.loads(kept.read_text()) if kept.is_file() else {"identifiers": {}, "code": {}}
    try:
        for part, names, run in (("identifiers", IDENTIFIERS, identifiers), ("code", CODE, code)):
            for name in filter(asked, names):
                at = work / part / re.sub(r"\W+", "-", name)
                shutil.rmtree(at, ignore_errors=True)
                at.mkdir(parents=True)
                known[part][name] = run(name, at)
                print(f"{name}: {known[part][name]}", flush=True)
    finally:  # what is known when it is stopped
        write_part("planted", counted({part: known[part] for part in ("identifiers", "code")}))


def counted(known: dict[str, dict]) -> dict:
    return {
        "leaks": sum(len(one["leaks"]) for one in known["identifiers"].values()),
        "runs": sum(one["ran"] for one in known["code"].values()),
        "other_faults": sum(not one["in_order"] for one in known["code"].values()),
        **known,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[""], help="What names begin with; all by default.")
    parser.add_argument("--work", type=Path, default=Path("build/campaign/planted"))
    asked = parser.parse_args()
    main(lambda name: name.startswith(tuple(asked.only)), asked.work.absolute())
