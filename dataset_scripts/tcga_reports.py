"""TCGA's pathology reports -> an annotation file to train HistGen on, rewritten by a language model under guard.

The public table TCGA-Reports (OCR of 9,523 scanned reports: `patient_filename,text`), or texts of one's own, are
cleaned by rules, joined with the slides at hand (diagnostic ones of tumors, unless asked otherwise), rewritten by a
model that the user names, and split by patient. No text is trusted to the model: where a number, a side or a negation
was lost or invented (`fact_guard`), the cleaned source is used in its place, and the record says so.

    hf-medreport prepare tcga-reports TCGA_Reports.csv --slides features/ --out tcga \
        --endpoint http://localhost:8000/v1 --llm NAME

writes `annotation.json` (HistGen's form), `texts.jsonl` (every source beside what was made of it), `funnel.json` (how
many texts were left at each step, and what was wrong with the others) and `cache/` (answers, so that a killed run asks
nothing twice).
"""

import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hf_medreport.dataset_scripts.parts.fact_guard import lost_facts
from hf_medreport.dataset_scripts.parts.language_model import AnswerCache, LanguageModel, NoAnswer
from hf_medreport.dataset_scripts.parts.patient_split import PARTS, read_split, split_of
from hf_medreport.dataset_scripts.parts.tcga_barcode import (
    ALL,
    PATIENT,
    SAMPLE_TYPES,
    SLIDE_KINDS,
    check_rules,
    choose_slides,
)
from hf_medreport.files.rows import csv_lines, jsonl_lines, open_text
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.settings import load_yaml
from hf_medreport.files.writing import sha256
from hf_medreport.processing.file_suffixes import FEATURE_SUFFIXES, PYRAMID_SUFFIXES
from hf_medreport.processing.input_error import InputError
from hf_medreport.version import __version__

__all__ = [
    "ON_LOSS",
    "SourceText",
    "clean",
    "prepare",
    "read_prompts",
    "read_slides",
    "read_texts",
    "slide_names",
]

PROMPTS = Path(__file__).with_name("tcga_reports_prompts.yaml")
ON_LOSS = ("source", "keep", "drop")
TEXTS = "a .csv with patient_filename,text, a .jsonl with id, text, or a folder of .txt"
SUFFIXES = (*PYRAMID_SUFFIXES, *FEATURE_SUFFIXES)
RULES = re.compile(r"([_=*~.\-])(?:\s?\1){2,}")  # lines and dots that a form is filled in on


@dataclass(frozen=True)
class SourceText:
    """One report of one patient; `where` names its row or file."""

    patient: str
    text: str
    where: str


def prepare(
    source: str | os.PathLike,
    slides: str | os.PathLike,
    out: str | os.PathLike,
    llm: LanguageModel | None = None,
    prompts: str | os.PathLike = PROMPTS,
    on_loss: str = "source",
    split: str = "7:1:2",
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
    resume: bool = False,
    overwrite: bool = False,
    sample_types: Sequence[str] = SAMPLE_TYPES,
    slide_kinds: Sequence[str] = SLIDE_KINDS,
) -> dict:
    """Write annotation, texts and funnel to `out`.

    Args:
        source: the texts, see `read_texts`.
        slides: slides or feature files, see `slide_names`. A patient's become one record.
        llm: rewrites the texts; None only cleans them.
        prompts: YAML with `system` and `user`, which holds `{text}`.
        on_loss: what becomes of a text that lost a fact: "source" uses the cleaned source, "keep" the rewriting all
            the same, "drop" neither.
        split: parts of train, val and test.
        seed: of the split. A patient's part depends on nothing else.
        workers: questions in flight.
        progress: wraps the texts as they are rewritten.
        sample_types, slide_kinds: which slides are taken, as in `choose_slides`: by default diagnostic ones of tumors.
        resume, overwrite: of `RunFolder`. Answers in `cache/` are used again by every run: a question is asked once.

    Returns:
        the funnel: how many texts were read, left out for which reason, flagged and kept, records by part, `slides`
        (how many were read, left out by which rule, and kept), and `problems`, one line a bad text.

    Raises:
        InputError: an argument is wrong, the source or the slides cannot be read, no text has a slide, or the endpoint
            cannot answer at all.
    """
    if on_loss not in ON_LOSS:
        raise InputError("on_loss", f"'{on_loss}'", ", ".join(ON_LOSS), "choose one of them")
    parts, questions = read_split(split), read_prompts(prompts)
    check_rules(sample_types, slide_kinds)
    names, of_slides = choose_slides(slide_names(slides), sample_types, slide_kinds)
    texts, funnel, problems = _usable(read_texts(source), names, of_slides)
    rules = {"sample_types": list(sample_types), "slide_kinds": list(slide_kinds)}
    arguments = {"source": _digest(source), "slides": sha256(json.dumps(names).encode()), "llm": llm and llm.name}
    arguments |= {"prompts": questions, "on_loss": on_loss, "split": split, "seed": seed, **rules}
    with RunFolder(out, "prepare tcga-reports", arguments, resume=resume, overwrite=overwrite) as folder:
        folder.begun("texts.jsonl")
        if llm is not None:
            llm = AnswerCache(llm, folder.path / "cache")
        folder.total = len(texts)
        records, annotation = [], {part: [] for part in PARTS}
        with _pool(workers) as pool:
            rewritten = pool.map(lambda text: rewrite(text.text, llm, questions, on_loss), texts)
            for text, record in progress(zip(texts, rewritten, strict=True), len(texts)):
                records.append({"id": text.patient, **record})
                if "problem" in record:
                    folder.fail()
                    problems.append(_no_answer(text, record["problem"]))
                    funnel["no answer"] += 1
                    continue
                folder.done_items += 1
                funnel["flagged"] += bool(record["lost"])
                if record["used"] == "none":
                    funnel["dropped"] += 1
                    continue
                funnel["kept"] += 1
                part = split_of(text.patient, parts, seed)
                report, images = record[record["used"]], names[text.patient]
                annotation[part].append({"id": text.patient, "report": report, "image_path": images, "split": part})

        funnel |= {part: len(annotation[part]) for part in PARTS} | {"slides": of_slides, "problems": problems}
        asked = ("llm", "prompts", "on_loss", "split", "seed", *rules)
        funnel |= {"arguments": {name: arguments[name] for name in asked}, "hf_medreport": __version__}
        folder.write("texts.jsonl", "".join(json.dumps(record) + "\n" for record in records).encode())
        folder.write_json("annotation.json", annotation, indent=1)
        folder.write_json("funnel.json", funnel)
        folder.finish()
    return funnel


@contextmanager
def _pool(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Threads; what they have not begun when the block is left, they do not begin."""
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _no_answer(text: SourceText, problem: str) -> str:
    remedy = "go on with `resume`, or change model or prompt"
    return str(InputError(text.where, problem, "a rewritten report", remedy))


def _digest(source: str | os.PathLike) -> str:
    """SHA-256 of a file of texts, or over those of a folder."""
    paths = sorted(Path(source).glob("*.txt")) if Path(source).is_dir() else [Path(source)]
    return sha256("".join(f"{path.name} {sha256(path)}\n" for path in paths).encode())


def _usable(
    texts: Iterable[SourceText | InputError], slides: dict, of_slides: dict[str, int]
) -> tuple[list[SourceText], dict, list[str]]:
    """The texts that can become records, the funnel up to there, and what is wrong with the others."""
    funnel = dict.fromkeys(("read", "broken", "empty", "duplicate", "no slide"), 0)
    funnel |= dict.fromkeys(("no answer", "flagged", "dropped", "kept"), 0)
    usable, first, problems = [], {}, []
    for text in texts:
        funnel["read"] += 1
        if isinstance(text, InputError):
            funnel["broken"] += 1
            problems.append(str(text))
        elif not clean(text.text):
            funnel["empty"] += 1
            problems.append(str(InputError(text.where, "no text", "a report", "fill it in or drop it")))
        elif text.patient in first:
            funnel["duplicate"] += 1
            found = f"{text.patient} again (first: {first[text.patient]})"
            problems.append(str(InputError(text.where, found, "one report a patient", "drop one of them")))
        else:
            first[text.patient] = text.where
            if text.patient in slides:
                usable.append(text)
            else:
                funnel["no slide"] += 1
    if first and not usable:
        found = f"no slide of the {len(first)} patients with reports"
        left_out = [f"{step}: {count}" for step, count in of_slides.items() if step not in ("read", "kept")]
        found += f" (left out: {', '.join(left_out)})" * bool(left_out)
        remedy = "check `slides`, or take others by `sample_types` and `slide_kinds`" if left_out else "check `slides`"
        raise InputError("slides", found, "names that begin with a patient's barcode (TCGA-XX-XXXX)", remedy)
    return usable, funnel, problems


def rewrite(text: str, llm: LanguageModel | None, prompts: dict[str, str], on_loss: str) -> dict:
    """`{"source", "output", "lost", "used"}`: both texts, what the second lost, and which one the record takes.

    Where the model gave no answer, "problem" says why, and neither is used: the next run asks again.
    """
    source = clean(text)
    if llm is None:
        return {"source": source, "output": None, "lost": [], "used": "source"}
    try:
        output = clean(llm.ask(prompts["system"], prompts["user"].replace("{text}", source)))
        if not output:
            raise NoAnswer("an empty answer")
    except InputError:  # of the endpoint as a whole
        raise
    except Exception as error:
        problem = str(error) if isinstance(error, NoAnswer) else f"{type(error).__name__}: {error}"
        return {"source": source, "output": None, "lost": [], "used": "none", "problem": problem}
    lost = lost_facts(source, output)
    used = {"source": "source", "keep": "output", "drop": "none"}[on_loss] if lost else "output"
    return {"source": source, "output": output, "lost": lost, "used": used}


def clean(text: str) -> str:
    """One line of text: composed letters, no control characters, no ruled lines, single spaces. No fact changes."""
    text = "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in text)
    return " ".join(RULES.sub(" ", unicodedata.normalize("NFC", text)).split())


# --- what is read ---


def read_texts(source: str | os.PathLike) -> Iterator[SourceText | InputError]:
    """Reports of a CSV (`patient_filename`, `text`), a JSONL (`id`, `text`) or a folder of .txt named by the patient.

    Ids are TCGA barcodes, of which the first three parts are the patient. A row that cannot be used is given as the
    InputError that says why.

    Raises:
        InputError: no such source, of another kind, or without these columns.
    """
    source = Path(source)
    if source.is_dir():
        paths = sorted(source.glob("*.txt"))
        if not paths:
            raise InputError(source.name, "a folder without .txt", TEXTS, "name the folder of the texts")
        return (_text(path.stem, _read(path), path.name) for path in paths)
    if not source.is_file():
        raise InputError(source.name, "no such file", TEXTS, "check the path")
    if source.suffix.lower() == ".csv":
        return _csv_texts(source)
    if source.suffix.lower() == ".jsonl":
        return _jsonl_texts(source)
    raise InputError(source.name, f"a '{source.suffix}' file", TEXTS, "convert it")


def _read(path: Path) -> str:
    """A file's text; bytes that are no UTF-8 stay as lone surrogates, so that only their row is lost."""
    return path.read_text(encoding="utf-8-sig", errors="surrogateescape")


def _text(name: object, text: object, where: str) -> SourceText | InputError:
    if not isinstance(name, str) or not (match := PATIENT.match(name.upper())):
        found = f"id '{name}'" if isinstance(name, str) and name.isprintable() else "no id"
        return InputError(where, found, "a TCGA barcode (TCGA-XX-XXXX...)", "correct the id")
    if not isinstance(text, str):
        found = "no text" if text is None else f"{type(text).__name__} as text"
        return InputError(where, found, "a report", "fill it in or drop it")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return InputError(where, "bytes that are no UTF-8", "UTF-8", "save the text as UTF-8")
    return SourceText(match[0], text, where)


def _csv_texts(path: Path) -> Iterator[SourceText | InputError]:
    with open_text(path, "surrogateescape") as file:
        rows = csv_lines(file, path.name, ("patient_filename", "text"))
        for number, (_, row) in enumerate(rows, 1):
            where = f"{path.name}, row {number}"
            if isinstance(row, InputError):
                yield InputError(where, row.found, row.expected, "mend the row")
            else:
                yield _text(row["patient_filename"], row["text"], where)


def _jsonl_texts(path: Path) -> Iterator[SourceText | InputError]:
    expected = 'an object {"id", "text"}'
    with open_text(path, "surrogateescape") as file:
        for number, row in jsonl_lines(file, path.name):
            where = f"{path.name}, line {number}"
            if isinstance(row, InputError):
                yield InputError(where, row.found, expected, row.remedy)
            elif {"id", "text"} <= row.keys():
                yield _text(row["id"], row["text"], where)
            else:
                yield InputError(where, f"keys {', '.join(row)}", expected, "mend the line")


def read_slides(slides: str | os.PathLike) -> dict[str, list[str]]:
    """Patient -> names of all its slides, see `slide_names`."""
    return choose_slides(slide_names(slides), (ALL,), (ALL,))[0]


def slide_names(slides: str | os.PathLike) -> list[str]:
    """Names of slides in order, of a folder (with its folders), a list (one name a line) or a manifest of the GDC.

    A bare id in a list is its feature file, `ID.safetensors`: ids of TCGA hold a dot themselves.

    Raises:
        InputError: neither, nothing in it, or two files of one slide.
    """
    slides = Path(slides)
    expected = "a folder of slides or feature files, or a list of their names"
    if slides.is_dir():
        found = (path for path in slides.rglob("*") if path.suffix.lower() in SUFFIXES)
        names = sorted(path.relative_to(slides).as_posix() for path in found)
    elif slides.is_file():
        lines = set(filter(None, map(str.strip, _listed(slides))))
        bare = {line for line in lines if PurePosixPath(line).suffix.lower() not in SUFFIXES}
        names = sorted((lines - bare) | {f"{line}.safetensors" for line in bare})
    else:
        raise InputError(slides.name, "no such file or folder", expected, "check `slides`")
    if not names:
        raise InputError(slides.name, "no slide", expected, "check `slides`")
    stems = {}
    for name in names:
        path = PurePosixPath(name)
        if path.stem in stems:
            found = f"{PurePosixPath(stems[path.stem]).name} and {path.name}"
            raise InputError(slides.name, found, "one file a slide", "name a folder or list with one kind of files")
        stems[path.stem] = name
    return names


def _listed(path: Path) -> list[str]:
    """The lines of a list; of a table with the column `filename`, as the GDC's manifests are, its cells."""
    lines = _read(path).splitlines()
    if not lines or "filename" not in lines[0].split("\t"):
        return lines
    rows = [row for _, row in csv_lines((f"{line}\n" for line in lines), path.name, ("filename",))]
    bad = next((row for row in rows if isinstance(row, InputError)), None)
    if bad is not None:
        raise bad
    return [row["filename"] for row in rows]


def read_prompts(path: str | os.PathLike) -> dict[str, str]:
    """`{"system", "user"}` of a YAML.

    Raises:
        InputError: no such file, no YAML, another key, or no place for the text.
    """
    path = Path(path)
    try:
        prompts = load_yaml(path, "YAML with system and user")
    except InputError as error:
        where = error.name.replace(str(path), path.name, 1)
        raise InputError(where, error.found, "YAML with system and user", "check `prompts`") from error
    if not isinstance(prompts, dict) or set(prompts) != {"system", "user"}:
        found = f"keys {', '.join(map(str, prompts))}" if isinstance(prompts, dict) else "no keys"
        raise InputError(path.name, found, "system and user", "name the two so")
    if not all(isinstance(prompt, str) for prompt in prompts.values()) or "{text}" not in prompts["user"]:
        raise InputError(f"{path.name}, user", "no {text}", "a prompt with {text}", "say where the report goes")
    return prompts
