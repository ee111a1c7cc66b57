"""Films -> lungs, heart and the crop around the lungs: one bad film is listed and the others are done.

The network works at a small size (64 px in the shipped one). Its logits are brought to the film's own size before the
threshold, so that a mask has smooth edges and fits the film; the crop box is taken at the network's size, where the
report model takes it.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from hf_medreport.files.items import item_stems
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.writing import readable, sha256
from hf_medreport.inference.batches import in_batches
from hf_medreport.inference.loading import Segmenter, model_revision
from hf_medreport.inference.report import Failure, preview
from hf_medreport.modeling.lung_crop import crop_boxes, largest_components
from hf_medreport.processing.film_reading import read_film
from hf_medreport.version import __version__

CROP_MARGIN = 0.05  # of the film's side; what a multi-task model leaves by default
LUNG_COLOR, HEART_COLOR, BOX_COLOR = (53, 208, 255), (255, 110, 90), (255, 214, 10)
OPACITY = 0.2


@dataclass
class Segmentation:
    """Lungs and heart of one film, each bool (height, width) at the film's own size.

    `crop_box` is left, top, right, bottom as fractions of width and height: the two largest components of the lungs
    and a margin; (0, 0, 1, 1) where no lung was found. `dice` is left to whoever knows the truth.
    """

    film: str
    film_sha256: str
    lungs: np.ndarray = field(repr=False)
    heart: np.ndarray = field(repr=False)
    crop_box: tuple[float, float, float, float]
    image: np.ndarray = field(repr=False)  # at most PREVIEW_PX a side
    dice: float | None = None

    def to_json(self) -> dict:
        """Everything but pixels."""
        return {
            "film": self.film,
            "film_sha256": self.film_sha256,
            "height": self.lungs.shape[0],
            "width": self.lungs.shape[1],
            "lungs_fraction": round(float(self.lungs.mean()), 4),
            "heart_fraction": round(float(self.heart.mean()), 4),
            "crop_box": [round(edge, 4) for edge in self.crop_box],
        } | ({} if self.dice is None else {"dice": round(self.dice, 4)})

    def overlay(self) -> Image.Image:
        """The film with lungs blue and heart red, tinted and outlined, and the crop box yellow."""
        gray = self.image if self.image.ndim == 2 else self.image.mean(axis=-1)
        picture = Image.fromarray(np.rint(gray * 255).astype(np.uint8)).convert("RGB")
        line = max(1, max(picture.size) // 400)
        for mask, color in ((self.lungs, LUNG_COLOR), (self.heart, HEART_COLOR)):
            shape = Image.fromarray(mask).convert("L").resize(picture.size, Image.Resampling.NEAREST)
            core = np.asarray(shape.filter(ImageFilter.MinFilter(2 * line + 1))) > 0
            opacity = np.where(core, OPACITY, 1.0) * (np.asarray(shape) > 0)
            picture.paste(color, mask=Image.fromarray(np.rint(opacity * 255).astype(np.uint8)))
        corners = np.array(self.crop_box).reshape(2, 2) * picture.size - ((0, 0), (1, 1))  # a rectangle's end counts
        ImageDraw.Draw(picture).rectangle([tuple(corner) for corner in np.rint(corners)], outline=BOX_COLOR, width=line)
        return picture


def segment_films(
    paths: Iterable[str | os.PathLike],
    segmenter: Segmenter,
    *,
    batch_size: int = 4,
    frame: int | None = None,
    any_modality: bool = False,
) -> Iterator[Segmentation | Failure]:
    """Segment films one batch after the other.

    Args:
        paths: films; one that cannot be read becomes a `Failure`, and the others are done.
        segmenter: from `loading.load_segmenter`.
        batch_size: films a pass.
        frame: which frame or page of films that hold several, counted from 0.
        any_modality: take DICOM files that are no chest films too.

    Returns:
        An iterator over a `Segmentation` or `Failure` for each path, in their order.
    """

    def write(batch: list[tuple[Path, np.ndarray]]) -> list[Segmentation]:
        logits = _logits([film for _, film in batch], segmenter)
        return [_segmentation(path, film, each) for (path, film), each in zip(batch, logits, strict=True)]

    def read(path: Path) -> np.ndarray:  # as it is stored: a mask lies on its file, and names no side
        return read_film(path, orient="stored", frame=frame, any_modality=any_modality).pixels

    return in_batches(map(Path, paths), lambda path: path.name, read, write, batch_size)


@torch.inference_mode()
def _logits(films: list[np.ndarray], segmenter: Segmenter) -> torch.Tensor:
    """(films, 2, rows, columns) at the network's size."""
    pixels = segmenter.image_processor(films, return_tensors="pt")["pixel_values"].to(segmenter.model.device)
    return segmenter.model(pixels).logits.float().cpu()


def _segmentation(path: Path, film: np.ndarray, logits: torch.Tensor) -> Segmentation:
    large = torch.nn.functional.interpolate(logits[None], film.shape[:2], mode="bilinear")[0]
    lungs, heart = (large > 0).numpy()
    (box,) = crop_boxes(largest_components(logits[None, 0] > 0), CROP_MARGIN).tolist()
    return Segmentation(readable(path.name), sha256(path), lungs, heart, tuple(box), preview(film))


class SegmentFolder:
    """The results of a run over films, as they come: `STEM_lungs.png`, `_heart.png` and `_overlay.png` of each.

    Args:
        run: the run's folder.
        ids: of all its films, see `item_ids`; their files are named from them.
        segmenter: which found the masks.
    """

    def __init__(self, run: RunFolder, ids: Iterable[str], segmenter: Segmenter):
        self.run, self.stems, self.segmenter = run, item_stems(ids), segmenter
        self.records: dict[str, dict] = {}
        self.failures: dict[str, str] = {}
        run.total = len(self.stems)
        run.expect(self.stems)

    def kept(self, id: str, digest: str) -> bool:
        """Whether an earlier run has done a film of this digest."""
        record = self.run.done(id, digest)
        if record is not None:
            self.records[id] = record
        return record is not None

    def add(self, id: str, result: Segmentation | Failure, digest: str, failure: str | None = None) -> None:
        """Write the masks, 0 and 255 and of the film's size, and the overlay.

        Args:
            id: of the film.
            result: its masks, or why there are none.
            digest: of what they were made from.
            failure: what went wrong with the film beside its masks.
        """
        if isinstance(result, Failure):
            failure = result.message
        else:
            self.records[id] = {"id": id, **result.to_json()}
            files = self._write_pictures(self.stems[id], result)
        if failure is None:
            self.run.add(id, self.records[id], files, digest)
        else:
            self.failures[id] = failure
            self.run.fail()

    def _write_pictures(self, stem: str, result: Segmentation) -> list[str]:
        pictures = {
            f"{stem}_lungs.png": Image.fromarray(result.lungs).convert("L"),
            f"{stem}_heart.png": Image.fromarray(result.heart).convert("L"),
            f"{stem}_overlay.png": result.overlay(),
        }
        for name, picture in pictures.items():
            self.run.write(name, lambda file, picture=picture: picture.save(file, "PNG"))
        return list(pictures)

    def finish(self) -> dict:
        """Write `segment.json`, whose content is returned, and the manifest."""
        films = [self.records[id] for id in self.stems if id in self.records]
        failures = [{"id": id, "film": id.rsplit("/")[-1], "message": why} for id, why in self.failures.items()]
        content = to_json(films, failures, self.segmenter)
        self.run.write_json("segment.json", content)
        self.run.finish(packages=("torch", "transformers", "numpy", "pillow"))
        return content


def to_json(films: list[dict], failures: list[dict], segmenter: Segmenter) -> dict:
    """What `segment.json` and a screen's JSON hold."""
    scores = [film["dice"] for film in films if "dice" in film]
    return {
        "model": segmenter.name,
        "revision": model_revision(segmenter),
        "version": __version__,
        "crop_margin": CROP_MARGIN,
        "films": films,
        "mean_dice": round(float(np.mean(scores)), 4) if scores else None,
        "failures": failures,
    }
