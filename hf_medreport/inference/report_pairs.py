"""A frontal and a lateral film, or one of them -> a classification, a report, reconstructions; one bad pair is listed.

for report in report_pairs([("f.png", "l.png"), ("alone.png", None)], load("cxr-multitask-tiny")):
    print(report.classification, report.text)
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from hf_medreport.files.writing import readable, sha256
from hf_medreport.inference.batches import in_batches, one_mask_each
from hf_medreport.inference.figures.pair import pair_figure
from hf_medreport.inference.loading import model_name, shows_slide
from hf_medreport.inference.read_pairs import VIEWS, Pair, read_pair
from hf_medreport.inference.report import Failure, Report, preview, source_of, written_of
from hf_medreport.inference.report_films import refuse_slide
from hf_medreport.modeling.structural_similarity import structural_similarity
from hf_medreport.processing.film_reading import refuse_mask
from hf_medreport.processing.image_reading import read_mask
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import default_model, system_of

ABNORMAL = 0.5  # the probability from which a case is called abnormal
OTHER_FIELD = 0.02  # a mask whose proportions differ by more is of another film


@dataclass
class Reconstruction:
    """A view as the encoder saw it and as its decoder drew it again, both float32 (size, size) in [0, 1]."""

    seen: np.ndarray
    drawn: np.ndarray


@dataclass(kw_only=True)
class PairReport(Report):
    """What a model made of one case.

    `film`, `film_sha256` and `image` are the frontal film's, None where there is none. A sentence's evidence is (rows,
    2 x columns) over what the encoder saw: the frontal film left, the lateral one right.

    Attributes:
        lateral, lateral_sha256: the lateral film's name and fingerprint; None where there is none.
        views: which of frontal and lateral were there.
        note: which view was missing; `notes` are those on the films.
        abnormal_probability, classification: how sure the model is that the case is abnormal, and what it calls it;
            None where it was not trained to say.
        box: where the frontal film was cropped: left, top, right, bottom as fractions of it; None without one.
        ssim: structural similarity of each view and its reconstruction, 1 where they are equal.
        lateral_image: the lateral film, at most PREVIEW_PX a side.
        reconstructions: what the picture shows of each view that was there.
    """

    lateral: str | None
    lateral_sha256: str | None
    views: tuple[str, ...]
    note: str
    abnormal_probability: float | None
    classification: str | None
    box: tuple[float, float, float, float] | None
    ssim: dict[str, float]
    lateral_image: np.ndarray | None = field(default=None, repr=False)
    reconstructions: dict[str, Reconstruction] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Of the frontal film, or of the lateral where it stands alone."""
        return self.film or self.lateral

    @property
    def films(self) -> str:
        """Both names."""
        return " + ".join(name for name in (self.film, self.lateral) if name)

    @property
    def classification_words(self) -> str:
        """Normal or abnormal, and how sure that is."""
        if self.classification is None:
            return "no classification: the model was not trained to give one"
        return f"{self.classification} (probability of abnormal: {self.abnormal_probability:.2f})"

    def to_text(self) -> str:
        """What the command prints: names, classification, note, report."""
        lines = [self.films, self.classification_words]
        return "\n".join(lines + [self.note] * bool(self.note) + self.note_lines + [self.text, ""])

    def to_json(self) -> dict:
        """Everything but pixels and maps."""
        probability = self.abnormal_probability
        return super().to_json() | {
            "lateral": self.lateral,
            "lateral_sha256": self.lateral_sha256,
            "views": self.views,
            "note": self.note,
            "abnormal_probability": None if probability is None else round(probability, 4),
            "classification": self.classification,
            "box": self.box and [round(edge, 4) for edge in self.box],
            "ssim": {view: round(value, 4) for view, value in self.ssim.items()},
        }

    def figure(self, facts: list[tuple[str, str]] | None = None) -> Figure:
        """The report as a picture; `facts` as in `pair_figure`."""
        return pair_figure(self, facts)

    def release(self) -> None:
        """Let go of pixels, maps and reconstructions, once they are drawn."""
        super().release()
        self.lateral_image, self.reconstructions = None, {}


def report_pairs(
    pairs: Iterable[tuple[str | os.PathLike | None, str | os.PathLike | None]],
    pipe: MedicalReportPipeline,
    *,
    masks: Iterable[str | os.PathLike] | None = None,
    batch_size: int = 4,
    orient: str | None = None,
    frame: int | None = None,
    any_modality: bool = False,
) -> Iterator[PairReport | Failure]:
    """Report cases of a frontal and a lateral film, a batch at a time.

    Args:
        pairs: (frontal, lateral), one of them may be None. A pair with a film that cannot be read, or with films that
            are no two views of one patient (see `pairs.read_pair`), becomes a `Failure`, and the others are done.
        pipe: from `loading.load`, with a model of two views.
        masks: a lung mask a pair, by which its frontal film is cropped; None asks the model's segmenter.
        batch_size: cases a pass.
        orient, frame, any_modality: of all films, as in `read_film`.

    Returns:
        An iterator over a `PairReport` or `Failure` for each pair, in their order.

    Raises:
        InputError: a model of another kind, another number of masks than of pairs, or a mask without a frontal film.
    """
    pairs = [Pair(*(Path(film) if film else None for film in pair)) for pair in pairs]
    reads = system_of(pipe.model).reads
    if reads != "pair":
        found = f"{model_name(pipe)}, which reads {'slides' if reads == 'slide' else 'frontal films'} only"
        expected = f"one that reads a lateral film too, such as {default_model('pair')}"
        remedy = "choose another `model`, or give the film without `frontal`, `lateral` and `pairs`"
        raise InputError("model", found, expected, remedy)
    masks = one_mask_each(masks, len(pairs), "pair")
    alone = [pair for pair, mask in zip(pairs, masks, strict=True) if mask is not None and pair.frontal is None]
    if alone:
        found = f"one for {alone[0].name or 'no film'}, without a frontal film"
        raise InputError("masks", found, "lungs of frontal films", "give `frontal`, or leave out `masks`")
    source = source_of(pipe)
    options = {"orient": orient, "frame": frame, "any_modality": any_modality}

    def write(batch: list[tuple[tuple, tuple]]) -> list[PairReport]:
        cases = [case for _, (case, _) in batch]
        records = pipe(cases, batch_size=len(cases), return_evidence=True, return_details=True)
        rows = zip(batch, records, strict=True)
        return [
            _report(pair, case, written_of(record | {"notes": notes}) | _details(record) | source)
            for ((_, pair, _), (case, notes)), (record,) in rows
        ]

    def read(item: tuple[int, Pair, Path | None]) -> tuple[dict, list[str]]:
        for path in filter(None, item[1]):
            if shows_slide(path):
                refuse_slide(path, pipe)
        return _read(*item, options)

    items = zip(count(1), pairs, masks)  # noqa: B905  (count has no end)
    return in_batches(items, lambda item: item[1].name or f"pair {item[0]}", read, write, batch_size)


def _read(number: int, pair: Pair, mask_path: Path | None, options: dict) -> tuple[dict, list[str]]:
    """The case of the pair of a number with its mask, and the notes on its films."""
    if not pair.name:
        found = "neither a frontal nor a lateral film"
        raise InputError(f"pair {number}", found, "one or both", "name a film or drop the pair")
    films = read_pair(pair, **options)
    case = {view: film.pixels for view, film in films.items()}
    notes = [f"{view} film: {note}" for view, film in films.items() for note in film.notes]
    if mask_path is None:
        return case, notes
    refuse_mask(films["frontal"], mask_path.name)
    mask = read_mask(mask_path)
    (rows, columns), (height, width) = mask.shape, case["frontal"].shape[:2]
    if abs(columns * height / (rows * width) - 1) > OTHER_FIELD:
        expected = f"the proportions of {pair.frontal.name}, {width} x {height} px"
        raise InputError(mask_path.name, f"a mask of {columns} x {rows} px", expected, "give this film's mask")
    return case | {"mask": mask}, notes


def _details(record: dict) -> dict:
    """What the model says beside its text, by the names of `PairReport`'s fields."""
    views, probability = record["views"], record["abnormal_probability"]
    pictures = {view: (record["targets"][view], record["reconstructions"][view]) for view in views}
    missing = (f"{view} view missing: its learned substitute was used" for view in VIEWS if view not in views)
    return {
        "views": views,
        "note": "".join(missing),
        "abnormal_probability": probability,
        "classification": None if probability is None else "abnormal" if probability >= ABNORMAL else "normal",
        "box": record["box"],
        "ssim": {view: _likeness(*both) for view, both in pictures.items()},
        "reconstructions": {
            view: Reconstruction(*(one.mean(axis=0) for one in both)) for view, both in pictures.items()
        },
    }


def _likeness(seen: np.ndarray, drawn: np.ndarray) -> float:
    """Structural similarity of two pictures (3, size, size)."""
    return structural_similarity(torch.from_numpy(seen)[None], torch.from_numpy(drawn)[None]).item()


def _report(pair: Pair, case: dict, figures: dict) -> PairReport:
    names = [path and readable(path.name) for path in pair]
    digests = [path and sha256(path) for path in pair]
    images = [preview(case[view]) if view in case else None for view in VIEWS]
    return PairReport(
        film=names[0],
        film_sha256=digests[0],
        image=images[0],
        lateral=names[1],
        lateral_sha256=digests[1],
        lateral_image=images[1],
        **figures,
    )
