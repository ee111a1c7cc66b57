"""A frontal and a lateral film, or one of them -> a verdict, a report, and both films redrawn; one bad pair is listed.

for report in report_pairs([("f.png", "l.png"), ("alone.png", None)], load("cxr-multitask-tiny")):
    print(report.verdict, report.text)
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from hf_medreport.inference.figure_pair import pair_figure
from hf_medreport.inference.loading import DEFAULT_FOR_PAIRS
from hf_medreport.inference.pairs import VIEWS, Pair, read_pair
from hf_medreport.inference.report import (
    Failure,
    Report,
    in_batches,
    model_name,
    model_revision,
    one_mask_each,
    preview,
    readable,
    reads_pairs,
    reads_slides,
    sha256,
    words_and_source,
)
from hf_medreport.modeling.structural_similarity import structural_similarity
from hf_medreport.processing.image_reading import read_mask
from hf_medreport.processing.input_error import InputError

ABNORMAL = 0.5  # the probability from which a case is called abnormal
OTHER_FIELD = 0.02  # a mask whose proportions differ by more is of another film


@dataclass
class Redrawn:
    """A view as the encoder saw it and as its decoder redrew it, both float32 (size, size) in [0, 1]."""

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
        note: which view was missing.
        abnormal_probability, verdict: how sure the model is that the case is abnormal, and what it calls it; None where
            it was not trained to say.
        box: where the frontal film was cropped: left, top, right, bottom as fractions of it; None without one.
        ssim: structural similarity of each view and its reconstruction, 1 where they are equal.
        lateral_image: the lateral film, at most PREVIEW_PX a side.
        redrawn: what the picture shows of each view that was there.
    """

    lateral: str | None
    lateral_sha256: str | None
    views: tuple[str, ...]
    note: str
    abnormal_probability: float | None
    verdict: str | None
    box: tuple[float, float, float, float] | None
    ssim: dict[str, float]
    lateral_image: np.ndarray | None = field(default=None, repr=False)
    redrawn: dict[str, Redrawn] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        return self.film or self.lateral

    @property
    def films(self) -> str:
        """Both names."""
        return " + ".join(name for name in (self.film, self.lateral) if name)

    @property
    def verdict_words(self) -> str:
        if self.verdict is None:
            return "no verdict: the model was not trained to give one"
        return f"{self.verdict} (probability of abnormal: {self.abnormal_probability:.2f})"

    def to_text(self) -> str:
        lines = [self.films, self.verdict_words]
        return "\n".join(lines + [self.note] * bool(self.note) + [self.text, ""])

    def to_json(self) -> dict:
        """Everything but pixels and maps."""
        record = super().to_json()
        del record["lateral_image"], record["redrawn"]
        if self.verdict is not None:
            record["abnormal_probability"] = round(self.abnormal_probability, 4)
        record["box"] = self.box and [round(edge, 4) for edge in self.box]
        record["ssim"] = {view: round(value, 4) for view, value in self.ssim.items()}
        return record

    def figure(self, facts: list[tuple[str, str]] | None = None) -> Figure:
        """The report as a picture; `facts` as in `pair_figure`."""
        return pair_figure(self, facts)

    def release(self) -> None:
        super().release()
        self.lateral_image, self.redrawn = None, {}


def report_pairs(
    pairs: Iterable[tuple[str | os.PathLike | None, str | os.PathLike | None]],
    pipe,
    *,
    masks: Iterable[str | os.PathLike] | None = None,
    batch_size: int = 4,
) -> Iterator[PairReport | Failure]:
    """Report cases of a frontal and a lateral film, a batch at a time.

    Args:
        pairs: (frontal, lateral), one of them may be None. A pair with a film that cannot be read, or with films that
            are no two views of one patient (see `pairs.read_pair`), becomes a `Failure`, and the others are done.
        pipe: from `loading.load`, with a model of two views.
        masks: a lung mask a pair, by which its frontal film is cropped; None asks the model's segmenter.
        batch_size: cases a pass.

    Returns:
        An iterator over a `PairReport` or `Failure` for each pair, in their order.

    Raises:
        InputError: a model of another kind, another number of masks than of pairs, or a mask without a frontal film.
    """
    pairs = [Pair(*(Path(film) if film else None for film in pair)) for pair in pairs]
    if not reads_pairs(pipe):
        found = f"{model_name(pipe)}, which reads {'slides' if reads_slides(pipe) else 'frontal films'} only"
        remedy = "choose another `model`, or give the film without `frontal`, `lateral` and `pairs`"
        raise InputError("model", found, f"one that reads a lateral film too, such as {DEFAULT_FOR_PAIRS}", remedy)
    masks = one_mask_each(masks, len(pairs), "pair")
    alone = [pair for pair, mask in zip(pairs, masks, strict=True) if mask is not None and pair.frontal is None]
    if alone:
        found = f"one for {alone[0].name or 'no film'}, without a frontal film"
        raise InputError("masks", found, "lungs of frontal films", "give `frontal`, or leave out `masks`")
    revision = model_revision(pipe)

    def write(batch: list[tuple[tuple, dict]]) -> list[PairReport]:
        cases = [case for _, case in batch]
        records = pipe(cases, batch_size=len(cases), return_evidence=True)
        rows = zip(batch, records, _forward(pipe, cases), strict=True)
        return [
            _report(pair, case, words_and_source(record, pipe, revision) | figures)
            for ((_, pair, _), case), (record,), figures in rows
        ]

    items = zip(count(1), pairs, masks)  # noqa: B905  (count has no end)
    return in_batches(items, lambda item: item[1].name or f"pair {item[0]}", _read, write, batch_size)


def _read(item: tuple[int, Pair, Path | None]) -> dict:
    """The case of the pair of a number, and its mask."""
    number, pair, mask_path = item
    if not pair.name:
        found = "neither a frontal nor a lateral film"
        raise InputError(f"pair {number}", found, "one or both", "name a film or drop the pair")
    case = read_pair(pair)
    if mask_path is None:
        return case
    mask = read_mask(mask_path)
    (rows, columns), (height, width) = mask.shape, case["frontal"].shape[:2]
    if abs(columns * height / (rows * width) - 1) > OTHER_FIELD:
        expected = f"the proportions of {pair.frontal.name}, {width} x {height} px"
        raise InputError(mask_path.name, f"a mask of {columns} x {rows} px", expected, "give this film's mask")
    return case | {"mask": mask}


@torch.no_grad()
def _forward(pipe, cases: list[dict]) -> list[dict]:
    """Of each case what the model says beside its text, by the names of `PairReport`'s fields."""
    inputs = pipe.processor(images=cases, return_tensors="pt").to(pipe.device)
    del inputs["input_ids"], inputs["attention_mask"]  # no text: the report is the pipeline's
    output = pipe.model(**inputs)
    trained = bool(pipe.model.config.abnormal_weight)
    probabilities = output.abnormal_logits.float().sigmoid().tolist() if trained else [None] * len(cases)
    results = []
    for row, (there, probability) in enumerate(zip(output.views.tolist(), probabilities, strict=True)):
        views = tuple(view for view, is_there in zip(VIEWS, there, strict=True) if is_there)
        seen, drawn = (
            {view: getattr(output, f"{view}_{what}")[row].float().cpu() for view in views}
            for what in ("target", "reconstruction")
        )
        results.append(
            {
                "views": views,
                "note": "".join(
                    f"{view} view missing: its learned substitute was used" for view in VIEWS if view not in views
                ),
                "abnormal_probability": probability,
                "verdict": ("abnormal" if probability >= ABNORMAL else "normal") if trained else None,
                "box": tuple(output.boxes[row].tolist()) if "frontal" in views else None,
                "ssim": {view: structural_similarity(seen[view][None], drawn[view][None]).item() for view in views},
                "redrawn": {
                    view: Redrawn(seen[view].mean(dim=0).numpy(), drawn[view].mean(dim=0).numpy()) for view in views
                },
            }
        )
    return results


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
