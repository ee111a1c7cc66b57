"""Films -> reports: one bad film is listed and the others are done."""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import CHECKPOINTS
from hf_medreport.version import __version__

TEST_BENCH = "written by a test-bench model that learned from drawn films: no clinical statement"


@dataclass
class Sentence:
    """One sentence; `mean_logprob` is the mean natural log-probability of its tokens, `evidence` a map of sum 1."""

    text: str
    section: str
    mean_logprob: float
    evidence: np.ndarray = field(repr=False)


@dataclass
class Report:
    """What a model wrote for one film, and what is needed to say where it came from."""

    film: str
    film_sha256: str
    text: str
    sections: dict[str, str]
    sentences: list[Sentence]
    model: str
    revision: str
    version: str = __version__
    statement: str = ""
    image: np.ndarray | None = field(default=None, repr=False)

    def to_json(self) -> dict:
        """Everything but pixels: no maps, no folder of the film."""
        record = asdict(self)
        record.pop("image")
        for sentence in record["sentences"]:
            sentence.pop("evidence")
            sentence["mean_logprob"] = round(sentence["mean_logprob"], 4)
        return record


@dataclass(frozen=True)
class Failure:
    """A film without a report, and why."""

    film: str
    message: str


def report_films(paths: Iterable[str | os.PathLike], pipe, *, batch_size: int = 4, progress=None) -> tuple[list, list]:
    """Reports and failures, each in the order of `paths`.

    Args:
        paths: films; a path that cannot be read becomes a `Failure`.
        pipe: from `loading.load`.
        batch_size: films a pass.
        progress: called with the number of films done after each batch.

    Returns:
        (list of Report, list of Failure)
    """
    reports, failures, batch = [], [], []
    revision = model_revision(pipe)
    paths = [Path(path) for path in paths]
    for index, path in enumerate(paths):
        try:
            batch.append((path, read_image(path)))
        except InputError as error:
            failures.append(Failure(path.name, str(error)))
        if batch and (len(batch) == batch_size or index == len(paths) - 1):
            records = pipe([film for _, film in batch], batch_size=len(batch), return_evidence=True)
            reports += [
                _report(path, film, record[0], pipe, revision)
                for (path, film), record in zip(batch, records, strict=True)
            ]
            batch = []
        if progress is not None:
            progress(len(reports) + len(failures))
    return reports, failures


def _report(path: Path, film: np.ndarray, record: dict, pipe, revision: str) -> Report:
    return Report(
        film=path.name,
        film_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        text=record["generated_text"],
        sections=record["sections"],
        sentences=[Sentence(**sentence) for sentence in record["sentences"]],
        model=model_name(pipe),
        revision=revision,
        statement=TEST_BENCH if is_test_bench(pipe) else "",
        image=film,
    )


def is_test_bench(pipe) -> bool:
    """Whether the model is one that ships with this package."""
    return Path(pipe.model.config.name_or_path).parent == CHECKPOINTS


def model_name(pipe) -> str:
    """A repository's id, or the folder's name."""
    path = pipe.model.config.name_or_path
    return Path(path).name if Path(path).is_dir() else path


def model_revision(pipe) -> str:
    """The first 16 digits of the SHA-256 of all weights, whatever files they came from."""
    digest = hashlib.sha256()
    for name, tensor in sorted(pipe.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().float().numpy()).tobytes())
    return digest.hexdigest()[:16]


def save_reports(
    reports: list[Report],
    failures: list[Failure],
    out: str | os.PathLike,
    pipe,
    facts: dict[str, list[tuple[str, str]]] | None = None,
) -> list[Path]:
    """Write `report.json` and `FILM_report.png` for each film to `out`; each file appears whole or not at all.

    Args:
        facts: for phantom films, what `report_figure` lists under the picture, by the film's name.
    """
    from hf_medreport.inference.figure import report_figure

    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise InputError(folder.name, "a file", "a folder to write to", "choose another --out")
    folder.mkdir(parents=True, exist_ok=True)
    written, used = [], set()
    for report in reports:
        stem = unique_stem(report.film, used)
        figure = report_figure(report, film_prior(pipe, report.image), (facts or {}).get(report.film))
        written.append(
            _whole(folder / f"{stem}_report.png", lambda path, figure=figure: figure.savefig(path, format="png"))
        )
    content = json.dumps(to_json(reports, failures), indent=2) + "\n"
    written.append(_whole(folder / "report.json", lambda path: path.write_text(content, encoding="utf-8")))
    return written


def to_json(reports: list[Report], failures: list[Failure]) -> dict:
    """What `report.json` and `--json` hold."""
    return {
        "reports": [report.to_json() for report in reports],
        "failures": [asdict(failure) for failure in failures],
    }


def film_prior(pipe, film: np.ndarray) -> np.ndarray | None:
    """Lungs and heart as the model's segmenter sees them, (height, width) in {0, 1}; None without a segmenter."""
    segmenter = getattr(pipe.model, "segmenter", None)
    if segmenter is None:
        return None
    pixels = pipe.processor(images=film, return_tensors="pt")["pixel_values"].to(pipe.device)
    return segmenter.anatomical_masks(pixels)[0, 0].cpu().numpy()


def unique_stem(film: str, used: set[str]) -> str:
    """A file name for a film's picture: its stem, made safe and unique."""
    stem = re.sub(r"[^\w.-]", "_", Path(film).stem).lstrip(".") or "film"
    candidate, number = stem, 2
    while candidate in used:
        candidate, number = f"{stem}-{number}", number + 1
    used.add(candidate)
    return candidate


def _whole(path: Path, write) -> Path:
    unfinished = path.with_name(f".{path.name}.part")
    try:
        write(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
