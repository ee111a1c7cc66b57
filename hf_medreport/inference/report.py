"""Films -> reports: one bad film is listed and the others are done."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from hf_medreport.hub.folder import output_folder
from hf_medreport.inference.figure import report_figure
from hf_medreport.inference.film_labels import film_labels, label_words
from hf_medreport.processing.image_reading import read_image, read_mask
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import label_mode
from hf_medreport.version import __version__

PREVIEW_PX = 1024  # longest side of the picture that a report keeps: a film may be many times larger
MAX_STEM_BYTES = 200  # with "_report.png" and the rest, file systems allow 255


@dataclass
class Sentence:
    """One sentence; `mean_logprob` is the mean natural log-probability of its tokens, `evidence` a map of sum 1, or
    less where some of it lay on the padding around the film."""

    text: str
    section: str
    mean_logprob: float
    evidence: np.ndarray = field(repr=False)


@dataclass
class Report:
    """What a model wrote for one film, and what is needed to say where it came from.

    `labels` are the findings that the model was told before it wrote, `label_source` says by whom: `"oracle"`, the
    user, or `"predicted"`, its own head; both None for a model that is told none.
    """

    film: str
    film_sha256: str
    text: str
    sections: dict[str, str]
    sentences: list[Sentence]
    model: str
    revision: str
    version: str = __version__
    statement: str = ""
    labels: list[str] | None = None
    label_source: str | None = None
    image: np.ndarray | None = field(default=None, repr=False)  # at most PREVIEW_PX a side
    prior: np.ndarray | None = field(default=None, repr=False)  # lungs and heart, of any size

    @property
    def name(self) -> str:
        """The file that the report's picture is named after."""
        return self.film

    @property
    def label_words(self) -> str:
        """The labels and their source in words; empty for a model that is told none."""
        return label_words(self.labels, self.label_source)

    def to_text(self) -> str:
        """What a screen shows."""
        labels = f"{self.label_words}\n" if self.label_words else ""
        return f"{self.film}\n{labels}{self.text}\n"

    def to_json(self) -> dict:
        """Everything but pixels: no maps, no folder of the film."""
        record = asdict(self)
        del record["image"], record["prior"]
        for sentence in record["sentences"]:
            sentence.pop("evidence")
            sentence["mean_logprob"] = round(sentence["mean_logprob"], 4)
        return record

    def figure(self, facts: list[tuple[str, str]] | None = None) -> Figure:
        """The report as a picture; `facts` as in `report_figure`."""
        return report_figure(self, facts)

    def release(self) -> None:
        """Let go of the pixels, once they are drawn: a run over many films keeps every report."""
        self.image = self.prior = None


@dataclass(frozen=True)
class Failure:
    """A film without a report, and why."""

    film: str
    message: str


def report_films(
    paths: Iterable[str | os.PathLike],
    pipe,
    *,
    masks: Iterable[str | os.PathLike] | None = None,
    labels: Iterable[str] | None = None,
    batch_size: int = 4,
) -> Iterator[Report | Failure]:
    """Report films one batch after the other, so that any number of them needs the memory of one batch.

    Args:
        paths: films; one that cannot be read becomes a `Failure`, and the others are done.
        pipe: from `loading.load`. A model of two views takes each for a frontal film alone and gives `PairReport`s.
        masks: a lung-heart mask a film, for a model that has no segmenter of its own or in its place.
        labels: CheXpert names joined by commas, one string a film, for a model that is told the labels of a film.
        batch_size: films a pass.

    Returns:
        An iterator over a `Report` or `Failure` for each path, in their order.

    Raises:
        InputError: another number of masks or labels than of films, none for a model that needs them, masks or labels
            that the model does not take, or labels that CheXpert does not have.
    """
    paths = list(map(Path, paths))
    labels = film_labels(labels, paths, pipe, model_name(pipe))
    if reads_pairs(pipe):
        from hf_medreport.inference.report_pairs import report_pairs  # which stands on this module

        return report_pairs([(path, None) for path in paths], pipe, masks=masks, batch_size=batch_size)
    if masks is not None and label_mode(pipe.model) is not None:
        found = f"{len(list(masks))}, and {model_name(pipe)} reads none"
        raise InputError("masks", found, "none", "leave out `masks`")
    masks = one_mask_each(masks, len(paths), "film")
    if needs_masks(pipe) and paths and masks[0] is None:
        found = f"none, and {model_name(pipe)} has no segmenter to draw them"
        raise InputError("masks", found, "a lung-heart mask a film", "give `masks`")
    revision = model_revision(pipe)

    def read(item: tuple[Path, Path | None, list[str] | None]) -> dict:
        path, mask, names = item
        case = {"frontal": read_image(path)} | ({} if mask is None else {"mask": read_mask(mask)})
        return case | ({} if names is None else {"labels": names})

    def write(batch: list[tuple[tuple, dict]]) -> list[Report]:
        records = pipe([case for _, case in batch], batch_size=len(batch), return_evidence=True)
        return [
            _report(path, case, record, pipe, revision)
            for ((path, *_), case), (record,) in zip(batch, records, strict=True)
        ]

    return in_batches(zip(paths, masks, labels, strict=True), lambda item: item[0].name, read, write, batch_size)


def one_mask_each(masks: Iterable[str | os.PathLike] | None, count: int, unit: str) -> list[Path | None]:
    """A mask, or None, for each of `count` films or pairs; `unit` says which."""
    masks = [None] * count if masks is None else list(map(Path, masks))
    if len(masks) != count:
        found = f"{len(masks)} for {count} {unit}{'s' * (count != 1)}"
        raise InputError("masks", found, f"one a {unit}", f"give them in the {unit}s' order")
    return masks


def in_batches(items: Iterable, name: Callable, read: Callable, write: Callable, batch_size: int) -> Iterator:
    """Read one item after the other and work on them a batch at a time; a bad one is a `Failure` where it stood.

    Args:
        items: whatever `read` takes.
        name: item -> what a `Failure` calls it.
        read: item -> case, or an `InputError`.
        write: a list of (item, case), `batch_size` of them or the last few, -> what is yielded of each.
        batch_size: how many cases are in memory at a time.
    """
    waiting = []
    for item in items:
        try:
            waiting.append((item, read(item)))
        except InputError as error:
            waiting.append((item, Failure(readable(name(item)), readable(str(error)))))
        if sum(not isinstance(case, Failure) for _, case in waiting) == batch_size:
            yield from _written(waiting, write)
            waiting = []
    yield from _written(waiting, write)


def _written(waiting: list[tuple], write: Callable) -> Iterator:
    batch = [(item, case) for item, case in waiting if not isinstance(case, Failure)]
    results = iter(write(batch) if batch else ())
    for _, case in waiting:
        yield case if isinstance(case, Failure) else next(results)


def _report(path: Path, case: dict, record: dict, pipe, revision: str) -> Report:
    film = case["frontal"]
    fields = words_and_source(record, pipe, revision)
    for sentence in fields["sentences"]:
        sentence.evidence = on_film(pipe, sentence.evidence, film)
    return Report(
        film=readable(path.name),
        film_sha256=sha256(path),
        **fields,
        image=preview(film),
        prior=case["mask"] if "mask" in case else film_prior(pipe, film),
    )


def words_and_source(record: dict, pipe, revision: str) -> dict:
    """The fields of a `Report` that a pipeline's record fills, and those that say which model wrote it."""
    return {
        "text": record["generated_text"],
        "sections": record["sections"],
        "sentences": [Sentence(**sentence) for sentence in record["sentences"]],
        "model": model_name(pipe),
        "revision": revision,
        "statement": getattr(pipe.model.config, "statement", ""),  # models of other libraries have none
        "labels": record.get("labels"),
        "label_source": record.get("label_source"),
    }


def reads_slides(pipe) -> bool:
    """Whether a pipeline's model takes the features of slides."""
    return pipe.model.main_input_name == "patch_features"


def reads_pairs(pipe) -> bool:
    """Whether a pipeline's model takes a lateral film beside the frontal one."""
    return getattr(pipe.model.config, "model_type", None) == "cxr_multitask"


def needs_masks(pipe) -> bool:
    """Whether the model reads a lung-heart mask and cannot draw it."""
    config = pipe.model.config
    return getattr(config, "mask_mode", "none") != "none" and config.segmenter is None


def film_prior(pipe, film: np.ndarray) -> np.ndarray | None:
    """Lungs and heart as the model's segmenter sees them, (rows, columns) in {0, 1}, of what it sees of the film; None
    without a segmenter."""
    segmenter = getattr(pipe.model, "segmenter", None)
    if segmenter is None:
        return None
    pixels = pipe.processor(images=film, return_tensors="pt")["pixel_values"].to(pipe.device)
    return on_film(pipe, segmenter.anatomical_masks(pixels)[0, 0].cpu().numpy(), film)


def on_film(pipe, grid: np.ndarray, film: np.ndarray) -> np.ndarray:
    """A map (rows, columns) of the square that the model saw, as one of the film that was made into it."""
    image_processor = pipe.processor.image_processor
    if getattr(image_processor, "fit", "stretch") == "stretch":  # those of other libraries stretch films too
        return grid
    return image_processor.on_film(grid, *film.shape[:2])


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def readable(text: str) -> str:
    """Text that can be printed: bytes of a file name that are no UTF-8 become "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def preview(film: np.ndarray) -> np.ndarray:
    """The film at most PREVIEW_PX a side, for pictures; the model has read the whole one."""
    height, width = film.shape[:2]
    scale = PREVIEW_PX / max(height, width)
    if scale >= 1:
        return film
    size = max(1, round(width * scale)), max(1, round(height * scale))
    planes = [film] if film.ndim == 2 else list(np.moveaxis(film, -1, 0))
    small = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX)) for plane in planes]
    return small[0] if film.ndim == 2 else np.stack(small, axis=-1)


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


class ReportFolder:
    """The folder of `--out`: `FILM_report.png` for each report and `report.json`, each whole or not there at all."""

    def __init__(self, out: str | os.PathLike):
        self.folder, self.used = output_folder(out), set()

    def add(self, report: Report, facts: list[tuple[str, str]] | None = None) -> Path:
        """Draw one report; `facts` as in `report_figure`."""
        figure = report.figure(facts)
        picture = self.folder / f"{unique_stem(report.name, self.used)}_report.png"
        return write_whole(picture, lambda path: figure.savefig(path, format="png"))

    def finish(self, results: list[Report | Failure]) -> Path:
        """Write `report.json`."""
        content = json.dumps(to_json(results), indent=2) + "\n"
        return write_whole(self.folder / "report.json", lambda path: path.write_text(content, encoding="utf-8"))


def to_json(results: list[Report | Failure]) -> dict:
    """What `report.json` and `--json` hold."""
    return {
        "reports": [result.to_json() for result in results if isinstance(result, Report)],
        "failures": [asdict(result) for result in results if isinstance(result, Failure)],
    }


def unique_stem(film: str, used: set[str]) -> str:
    """A file name for a film's picture: its stem, made safe and unique."""
    stem = re.sub(r"[^\w.-]", "_", Path(film).stem).lstrip(".") or "film"
    stem = stem.encode("utf-8")[:MAX_STEM_BYTES].decode("utf-8", "ignore")
    candidate, number = stem, 2
    while candidate in used:
        candidate, number = f"{stem}-{number}", number + 1
    used.add(candidate)
    return candidate


def write_whole(path: Path, write) -> Path:
    """Let `write(temporary path)` write a file that then appears under its own name at once."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        write(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
