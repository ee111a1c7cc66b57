"""Malformed inputs for every verb: each ends with 1 or 2 and a line of its own in four fields, never in a traceback.

What can be given together (films, slides, feature files) is given together, beside a sound one that must be done all
the same; all else call by call. The lines themselves are the result.

    python benchmarks/campaign/malformed.py
    python benchmarks/campaign/malformed.py --verbs train publish
"""

import argparse
import datetime
import json
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
from mutate import CSV, LINES, archive, dicom, drawn, h5, parquet, pt, pyramid, tensors
from parts import RESULTS, verb, write_part
from safetensors.numpy import save

from hf_medreport.files.items import FILE_IT
from hf_medreport.registry import CHECKPOINTS

LEAST = 40  # a verb
FIELDS = re.compile(r".+: found .+; expected .+; .+", re.DOTALL)
RECIPE = Path(__file__).parents[2] / "examples" / "anatomical_phantom.yaml"
NOISE = {
    "empty": b"",
    "zeros": b"\0" * 4096,
    "text": b"Chest, two views. Heart normal.",
    "HTML": b"<!DOCTYPE html><html>404</html>",
    "ZIP": b"PK\x03\x04" + b"\0" * 60,
    "PDF": b"%PDF-1.7\n",
    "gzip": b"\x1f\x8b\x08\0" + b"\0" * 20,
    "JSON bomb": b"[" * 300_000,
    "random": random.Random(0).randbytes(5000),
    "UTF-16": "a: b\n".encode("utf-16"),
}


def cuts(content: bytes) -> dict[str, bytes]:
    """A sound file cut at ten places, and ten with many bits turned."""
    found = {f"cut at {tenth}0 %": content[: len(content) * tenth // 10] for tenth in range(1, 10)}
    for number in range(10):
        rng, turned = random.Random(number), bytearray(content)
        for _ in range(len(content) // 4):
            turned[rng.randrange(len(turned))] ^= 1 << rng.randrange(8)
        found[f"turned {number}"] = bytes(turned)
    return found


def films() -> dict[str, bytes]:
    """Malformed films by what is wrong with them and their suffix."""
    kinds = {".png": drawn("PNG"), ".jpg": drawn("JPEG"), ".tif": drawn("TIFF"), ".dcm": dicom()}
    found = {f"{what}{suffix}": content for what, content in NOISE.items() for suffix in kinds}
    found |= {f"cut {suffix[1:]}{suffix}": content[: len(content) * 6 // 10] for suffix, content in kinds.items()}
    dark = np.zeros((48, 40), np.uint8)
    found |= {
        "black.png": drawn("PNG", dark),
        "white.jpg": drawn("JPEG", dark + 255),
        "dot.png": drawn("PNG", dark[:1, :1]),
    }
    found |= {f"{key} {value}.dcm": dicom(**{key: value}) for key, value in ODD_DICOM}
    return found


ODD_DICOM = (("Rows", 60_000), ("Columns", 0), ("WindowWidth", 0), ("BitsStored", 17), ("SamplesPerPixel", 4))
ODD_DICOM += (
    ("PhotometricInterpretation", "HSV"),
    ("NumberOfFrames", 3),
    ("PixelRepresentation", 7),
)


def features() -> dict[str, bytes]:
    """Malformed feature files."""
    kinds = {".safetensors": save(tensors()), ".pt": pt(), ".h5": h5()}
    found = {f"{what}{suffix}": content for what, content in NOISE.items() for suffix in kinds}
    found |= {
        f"cut {tenth}{suffix}": whole[: len(whole) * tenth // 10]
        for suffix, whole in kinds.items()
        for tenth in (3, 7, 9)
    }
    for what, array in {
        "integers": np.ones((4, 8), np.int64),
        "one axis": np.ones(8),
        "NaN": np.full((4, 8), np.nan),
    }.items():
        found[f"{what}.safetensors"] = save({"features": array})
    return found


def slides() -> dict[str, bytes]:
    """Malformed slides."""
    kinds = (".svs", ".tif", ".ndpi", ".scn")  # each of a name of its own, or all are refused together
    found = {f"{what} {kind[1:]}{kind}": content for what, content in NOISE.items() for kind in kinds}
    whole = pyramid()
    return found | {f"{what}.tif": content for what, content in cuts(whole).items() if "turned" not in what}


def written(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    os.path.exists(pipe := folder / f"pipe{next(iter(contents))[-4:]}") or os.mkfifo(pipe)
    return sorted(path for path in folder.iterdir() if not path.name.startswith("sound"))


# --- one call for all -------------------------------------------------------------------------------------------------


def together(command: list, bad: list[Path], sound: Path, out: Path, *options) -> Iterator[tuple[str, int, list[str]]]:
    """What is said of each of many inputs of one call."""
    code, _, err = verb(*command, *bad, sound, *options, "--out", out)
    lines = [line for line in err.splitlines() if FIELDS.fullmatch(line)]
    for path in bad:
        yield path.name, code, [line for line in lines if line.startswith(path.name)]
    done = re.search(r"(\d+) done, (\d+) failed", err)
    yield "the sound one is done", 1, ["x: found it; expected it; -"] if done and int(done[1]) == 1 else ["not done"]


def of_films(command: str) -> Callable[[Path], Iterator]:
    def calls(work: Path):
        bad = written(work / "films", films())
        (sound := work / "films" / "sound.png").write_bytes(drawn("PNG"))
        yield from together([command], bad, sound, work / "out")

    return calls


def tile(work: Path):
    bad = written(work / "slides", slides())
    (sound := work / "slides" / "sound.tif").write_bytes(pyramid())
    yield from together(["tile"], bad, sound, work / "out", "--slide-mpp", "1", "--patch-px", "128")


def report_features(work: Path):
    bad = written(work / "features", features())
    sound = work / "features" / "sound.safetensors"
    rng = np.random.default_rng(0)
    sound.write_bytes(save({"features": rng.normal(size=(4, 128)).astype(np.float32)}))
    yield from together(["report"], bad, sound, work / "out")


# --- a call each ------------------------------------------------------------------------------------------------------


def each(calls: dict[str, list]) -> Iterator[tuple[str, int, list[str]]]:
    """What is said of one input a call."""
    for what, arguments in calls.items():
        code, _, err = verb(*arguments)
        yield what, code, err.splitlines()


def of_yaml(command: list, odd: tuple[str, ...], work: Path) -> dict[str, list]:
    """Calls with a broken YAML each, or one of these odd contents."""
    yamls = NOISE | {f"value {text}": f"{text}\n".encode() for text in odd}
    calls = {"pipe": [*command, "--config", work / "pipe.yaml"], "folder": [*command, "--config", work]}
    os.mkfifo(work / "pipe.yaml")
    for number, (what, content) in enumerate(yamls.items()):
        (path := work / f"c{number}.yaml").write_bytes(content)
        calls[what] = [*command, "--config", path, "--output_dir", work / "run"]
    return calls


def train(work: Path):
    calls = of_yaml(["train", "anatomical"], ODD_YAML, work)
    for flag in ODD_FLAGS:
        calls[f"flag {flag}"] = ["train", "anatomical", "--config", RECIPE, "--output_dir", work / "run", *SMALL]
        calls[f"flag {flag}"] += flag.split(" ")
    yield from each(calls)


ODD_YAML = ("no: 1", "1: 2", "- a", "a", "output_dir: 2024-99-99", "output_dir: 2024-01-01", "a: !!binary aGk=", "a: [")
ODD_YAML += ("a: &a [*a]", "a: !!python/object:os.system x", "learning_rate: x", "learning_rate: {}", "learning_rat: 1")
ODD_YAML += ("phantom_cases: -1", "image_size: 0", "mask_mode: hard", "a: \0", "max_steps: many", "decoder: 3")
SMALL = ("--phantom_cases", 4, "--segmenter_steps", 0, "--encoder_steps", 0, "--max_steps", 1)  # were one accepted
ODD_FLAGS = ("--output_dir ", "--learning_rate x", "--no-such 1", "--train_data no.csv", "--resume --overwrite")
ODD_FLAGS += ("--max_steps 1e3x", "--learning_rat 1", "--seed x", "--num_train_epochs y", "--fp16 maybe", "--encoder")


def rlhf(work: Path):
    yield from each(of_yaml(["rlhf"], ODD_LOOPS, work))


ODD_LOOPS = (*ODD_YAML[:10], *(f"phantom_prompts: 2\n{text}" for text in ("rounds: 0", "rounds: x", "seed: -1")))
ODD_LOOPS += tuple(
    f"phantom_prompts: 2\n{text}"
    for text in (
        *("guidance_scale: .nan", "selector: 3", "policy: x", "update: magic", "update_settings: 5", "ratings: no.csv"),
        *("update_settings: {rounds: 0}", "update_settings: {no: 1}", "num_candidates: 99", "expert_level: 4", "a: b"),
        *("prompts: no.csv", "generator: ''", "generator: no-such", "train_rewards: false", "train_rewards: 7"),
    )
)


def phantom(work: Path):
    calls = {}
    for command, odd in ODD_PHANTOM.items():
        for text in odd:
            name = f"{command} {text}"
            calls[name] = ["phantom", command, "--out", work / "out", "--n", 1, *text.split(" ", 1)]
    calls["thousands of parts"] = [
        "phantom",
        "chest",
        "--out",
        work / "o",
        "--findings",
        "small left effusion; " * 3000,
    ]
    yield from each(calls)


ODD_PHANTOM = {
    "chest": ("--n -1", "--n x", "--size 1", "--size 100000", "--split no", "--style no", "--prevalence no", "--bits 9")
    + ("--wordings no", "--follow-up 2", "--follow-up nan", "--format bmp", "--monochrome 3", "--workers 0", "--seed x")
    + ("--findings ", "--findings a dog", "--findings no effusion", "--findings effusion", "--findings -14 mm nodule"),
    "slide": (
        "--n 0",
        "--size 1",
        "--size 1000000",
        "--mpp 0",
        "--mpp nan",
        "--split no",
        "--pen-share 2",
        "--style no",
    ),
    "pictures": ("--n 0", "--modality pet", "--size 1", "--size 9999", "--split no", "--format bmp", "--style no")
    + ("--wordings no", "--seed 1.5", "--workers 0", "--out ", "--no-such 1"),
}


def folders(work: Path) -> dict[str, Path]:
    """Copies of a shipped model, each with one thing that is wrong."""
    made = {}
    for number, (what, change) in enumerate(ODD_FOLDERS.items()):
        folder = shutil.copytree(CHECKPOINTS / "anatomical-tiny", work / f"m{number}")
        change(folder)
        made[what] = folder
    made["no folder"] = work / "no"
    return made


def settings(file: str, **values) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = json.loads((folder / file).read_text()) | values
        (folder / file).write_text(json.dumps(content))

    return change


def content(file: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / file).write_bytes(content)


def gone(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


MAPS = (
    {"AutoModel": 5},
    {"AutoModel": [5]},
    {"AutoModel": {}},
    {"AutoModel": "../x.Y"},
    {"AutoModel": []},
    5,
    "m.M",
    [],
)
TASKS = ({"pt": []}, {"impl": 5}, {"impl": "x"}, 5, None)
SHARDS = ("../../x.safetensors", "/etc/passwd", 5, None, "", "gone.safetensors", "a/b.safetensors")
INDEX = "model.safetensors.index.json"
ODD_FOLDERS = {f"auto_map {value}": settings("config.json", auto_map=value) for value in MAPS}
ODD_FOLDERS |= {f"task {task}": settings("config.json", custom_pipelines={"x": task}) for task in TASKS}
ODD_FOLDERS |= {f"shard {name}": content(INDEX, json.dumps({"weight_map": {"a": name}}).encode()) for name in SHARDS}
ODD_FOLDERS |= {f"config.json: {what}": content("config.json", noise) for what, noise in NOISE.items()}
ODD_FOLDERS |= {f"generation: {what}": content("generation_config.json", noise) for what, noise in NOISE.items()}
ODD_FOLDERS |= {f"processor: {what}": content("processor_config.json", noise) for what, noise in NOISE.items()}
ODD_FOLDERS |= {f"tokenizer: {what}": content("tokenizer_config.json", noise) for what, noise in NOISE.items()}
ODD_FOLDERS |= {f"no {name}": gone(name) for name in ("config.json", "generation_config.json", "model.safetensors")}
ODD_FOLDERS |= {
    f"generation: {name} {value}": settings("generation_config.json", **{name: value})
    for name, value in (("num_beams", 0), ("max_new_tokens", -1), ("eos_token_id", "x"), ("num_beams", 10**9))
}
ODD_FOLDERS |= {
    "weights cut": lambda folder: os.truncate(folder / "model.safetensors", 1000),
    "a pickle": content("pytorch_model.bin", b""),
}
OF_CARDS = {
    "no README.md": gone("README.md"),
    "a card of broken YAML": content("README.md", b"---\na: [\n---\n"),
    "a name on the card": content("README.md", b"---\nlicense: mit\n---\nDOE^JANE\n"),
    "a path on the card": content("README.md", b"---\nlicense: mit\n---\n/home/jane/x\n"),
    "a link": lambda folder: (folder / "notes.txt").symlink_to("/etc/passwd"),
    "a pipe": lambda folder: os.mkfifo(folder / "pipe"),
}


def publish(work: Path):
    made = folders(work)
    for what, change in OF_CARDS.items():
        made[what] = shutil.copytree(CHECKPOINTS / "anatomical-tiny", work / what.replace(" ", "-").replace("/", "-"))
        change(made[what])
    yield from each({what: ["publish", folder, "org/x", "--dry-run"] for what, folder in made.items()})


def report_models(work: Path):
    (film := work / "sound.png").write_bytes(drawn("PNG"))
    others = (
        "auto_map",
        "task",
        "shard",
        "a pickle",
        "generation: empty 2",
    )  # of no matter where a model of ours is read
    made = {what: folder for what, folder in folders(work).items() if not what.startswith(others)}
    yield from each({what: ["report", film, "--model", folder] for what, folder in made.items()})


def evaluate_reports(work: Path):
    kinds = {".csv": CSV, ".jsonl": LINES, ".json": b"[]"}
    bad = {f"{what}{suffix}": noise for what, noise in NOISE.items() for suffix in kinds}
    bad |= {f"{what}.parquet": noise for what, noise in cuts(parquet()).items()}
    bad |= {"no columns.csv": b"a,b\n1,2\n", "twice.csv": b"id,id\n1,2\n", "open quote.csv": b'id,prediction\n1,"a\n'}
    paths = written(work / "predictions", bad)
    yield from each({path.name: ["evaluate", "reports", path, "--out", work / "out"] for path in paths})


def evaluate_model(work: Path):
    bad = {f"{what}{suffix}": noise for what, noise in NOISE.items() for suffix in (".csv", ".jsonl", ".parquet")}
    bad |= {f"{what}.parquet": noise for what, noise in list(cuts(parquet()).items())[:9]}
    bad |= {
        "no columns.csv": b"a,b\n1,2\n",
        "gone.csv": b"image,text\ngone.png,Normal.\n",
        "up.csv": b"image,text\n../a.png,x\n",
    }
    paths = written(work / "tables", bad)
    yield from each({path.name: ["evaluate", "model", path, "--out", work / "out"] for path in paths})


def evaluate_phantom(work: Path):
    others = ("auto_map", "task", "shard", "a pickle", "generation: empty 2")  # as of report, models
    made = {what: folder for what, folder in folders(work).items() if not what.startswith(others)}
    yield from each({what: ["evaluate", "phantom", "--n", 1, "--model", folder] for what, folder in made.items()})


def rate(work: Path):
    (work / "pictures").mkdir()
    (work / "pictures" / "a.png").write_bytes(drawn("PNG"))
    call = ["rate", work / "pictures", "--no-browser", "--out", work / "ratings.csv"]
    bad = {f"{what}{suffix}": noise for what, noise in NOISE.items() for suffix in (".csv", ".jsonl", ".parquet")}
    calls = {path.name: [*call, "--csv", path] for path in written(work / "tables", bad)}
    for path in written(work / "exports", {f"{what}.json": noise for what, noise in NOISE.items()}):
        calls[f"import {path.name}"] = [*call, "--import", path]
    odd = ("--level 0", "--level x", "--seed -1", "--port 0", "--port x", "--no-such 1", "--rater ", "--csv gone.csv")
    yield from each(calls | {flag: [*call, *flag.split(" ")] for flag in odd})


def convert(work: Path):
    kinds = {".pth": pt(), ".safetensors": save(tensors()), ".h5": h5()}
    bad = {f"{what}{suffix}": noise for what, noise in NOISE.items() for suffix in kinds}
    bad |= {
        f"cut {tenth}{suffix}": whole[: len(whole) * tenth // 10]
        for suffix, whole in kinds.items()
        for tenth in (3, 6, 9, 10)
    }
    paths = written(work / "checkpoints", bad)
    yield from each({path.name: ["convert", "anatomical", path, "--out", work / "out"] for path in paths})


def prepare(work: Path):
    bad = {f"{what}{suffix}": noise for what, noise in NOISE.items() for suffix in (".csv", ".jsonl", ".tgz", ".xml")}
    paths, calls = written(work / "sources", bad | {"cut.tgz": archive("w:gz")[:300]}), {}
    for path in paths:
        if path.suffix in (".csv", ".jsonl"):
            calls[path.name] = ["prepare", "tcga-reports", path, "--slides", work, "--out", work / "out", "--no-llm"]
        else:
            calls[path.name] = ["prepare", "iu-xray", "--xml", path, "--images", work, "--dry-run"]
    yield from each(calls)


def merge(work: Path):
    calls = {}
    for number, (what, noise) in enumerate(NOISE.items()):
        for file in ("manifest.json", "part-1-of-2.json", ".unfinished.jsonl", "records.jsonl"):
            (folder := work / f"f{number}-{file}").mkdir()
            (folder / file).write_bytes(noise)
            calls[f"{what} as {file}"] = ["merge", folder, "--out", work / "out"]
    yield from each(calls | {"no folder": ["merge", work / "no", "--out", work / "out"]})


def doctor(work: Path):
    made = {
        what: folder for what, folder in folders(work).items() if what.startswith(("config", "no config", "no folder"))
    }
    calls = {what: ["doctor", folder] for what, folder in made.items()}
    calls |= {
        f"arguments {text}": ["doctor", *text.split(" ")] for text in ("", " ", "a b", "--no-such", "no-such-model")
    }
    calls |= {f"name {number}": ["doctor", name] for number, name in enumerate(ODD_NAMES)}
    for file, what in product(("config.json", "tested_with.json"), SHORT):
        folder = shutil.copytree(CHECKPOINTS / "anatomical-tiny", work / f"{file}-{what}")
        (folder / file).write_bytes(SHORT[what])
        calls[f"{file}: {what}"] = ["doctor", folder]
    yield from each(calls)


SHORT = {"a list": b"[]", "null": b"null", "a number": b"1", "a text": b'"a"', "a cut": b'{"a'}
ODD_NAMES = (
    "../../x",
    "a\nb",
    "a\0b",
    "é" * 200,
    "~",
    "/dev/zero",
    "org/x/y",
    "-",
    "*",
    "$(id)",
    "a" * 5000,
    "\u202e",
    "a/../..",
    "..",
    "*?[",
)


def synthesize(work: Path):
    calls = {
        text: ["synthesize", "small left effusion", "--out", work / "out", *text.split(" ")] for text in ODD_PICTURES
    }
    for number, (what, noise) in enumerate(NOISE.items()):
        for suffix in (".csv", ".jsonl"):
            (path := work / f"t{number}{suffix}").write_bytes(noise)
            calls[f"{what}{suffix}"] = ["synthesize", "--csv", path, "--out", work / "out"]
    yield from each(calls)


ODD_PICTURES = ("--steps 0", "--steps x", "--guidance nan", "--guidance -1", "--size 1", "--size x", "--modality pet")
ODD_PICTURES += (
    "--scheduler no",
    "--n 0",
    "--strength 2",
    "--init no.png",
    "--model no",
    "--adapter no",
    "--device tpu9",
)
ODD_PICTURES += ("--guidance-schedule no", "--guidance-rescale 2", "--retrieve no.csv", "--terms a", "--retrieve-image")
ODD_PICTURES += ("--batch-size 0", "--seed x", "--resume --overwrite")

VERBS = {"report, films": of_films("report"), "report, features": report_features, "report, models": report_models}
VERBS |= {"segment": of_films("segment"), "tile": tile, "train": train, "phantom": phantom, "publish": publish}
VERBS |= {"evaluate reports": evaluate_reports, "evaluate model": evaluate_model, "convert": convert, "merge": merge}
VERBS |= {"evaluate phantom": evaluate_phantom, "rate": rate}
VERBS |= {"prepare": prepare, "doctor": doctor, "synthesize": synthesize, "rlhf": rlhf}


def fault(code: int, lines: list[str]) -> str | None:
    """What is wrong with how a call ended: nothing, where it gave 1 or 2 and one line in four fields."""
    said = [line for line in lines if not re.fullmatch(r"\d+ done, \d+ failed, \d+ left", line)]
    text = "\n".join(said)
    if "Traceback" in text or FILE_IT in text:
        return "an error that nobody foresaw"
    if code not in (1, 2):
        return f"exit code {code}"
    return None if len(said) == 1 and FIELDS.fullmatch(said[0]) else f"{len(said)} lines in place of one of four fields"


def run(name: str, work: Path) -> dict:
    """What is said of each malformed input of a verb."""
    folder = work / re.sub(r"\W+", "-", name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    inputs = []
    for what, code, lines in VERBS[name](folder):
        lines = [line.replace(str(work), "WORK") for line in lines]
        inputs.append({"input": what, "exit": code, "says": lines[:3], "fault": fault(code, lines)})
    faults = [each["input"] for each in inputs if each["fault"]]
    print(f"{name}: {len(inputs)} inputs, faults: {faults}", flush=True)
    day = datetime.date.today().isoformat()
    return {"date": day, "inputs": len(inputs), "faults": len(faults), "each": inputs}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verbs", nargs="+", choices=VERBS, default=list(VERBS))
    parser.add_argument("--work", type=Path, default=Path("build/campaign/malformed"))
    given = parser.parse_args()
    kept = RESULTS / "malformed.json"
    for name in given.verbs:  # those that are asked for, in place of what was known of them
        result = run(name, given.work.absolute())
        verbs = (json.loads(kept.read_text())["verbs"] if kept.is_file() else {}) | {name: result}
        inputs, faults = (sum(one[what] for one in verbs.values()) for what in ("inputs", "faults"))
        write_part("malformed", {"inputs": inputs, "faults": faults, "verbs": verbs})
