"""Descriptions -> pictures, a batch at a time: a bad prompt is listed and the others are drawn.

    pipe = load_generator("runs/diffusion/model")
    asked = asked_of_prompt("small left pleural effusion", 4, modality="CXR")
    for picture in synthesize(asked, pipe, guidance_scale=5):
        picture.show()

A picture depends on its own prompt and seed; in a batch it differs from the same drawn alone by rounding, one gray
level at most. So that a resumed run ends in the same bytes, `fill` draws a batch that is not complete as a whole.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hf_medreport.files.items import item_stem
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.inference.asked_pictures import AskedPicture
from hf_medreport.inference.batches import in_batches
from hf_medreport.inference.figures.synthetic import contact_sheet, marked, save_synthetic
from hf_medreport.inference.report import Failure
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError, four_fields
from hf_medreport.version import __version__

__all__ = ["Checked", "PictureFolder", "Source", "fill", "synthesize"]

STATEMENT = "synthetic: drawn by a model from a description; of no patient, and no clinical statement"
IMAGES, ON_A_SHEET = "images", 64


def synthesize(
    asked: Iterable[AskedPicture], pipe, *, batch_size: int = 4, **options
) -> Iterator[Image.Image | Failure]:
    """Draw pictures one batch after the other.

    Args:
        asked: what to draw; one that cannot be becomes a `Failure`, and the others are drawn.
        pipe: from `load_generator`.
        batch_size: pictures a pass.
        options: of the pipeline's call, the same for all, such as `num_inference_steps`, `guidance_scale`, `height`.

    Returns:
        An iterator over a picture or `Failure` for each, in their order.

    Raises:
        InputError: an option that the pipeline refuses.
    """

    refused = []

    def draw(batch: list[tuple[AskedPicture, Image.Image | None]]) -> list[Image.Image]:
        try:
            return drawn(batch)
        except ValueError as error:
            if (said := four_fields(error)) is None:
                raise
            refused.extend([said] * (said["name"] in options))
            name = f"{batch[0][0].id}, {said['name'].partition(' ')[0]}"  # "prompt 1" of one that stands alone
            raise InputError(**said | {"name": name}) from error

    def drawn(batch: list[tuple[AskedPicture, Image.Image | None]]) -> list[Image.Image]:
        pictures, images = zip(*batch, strict=True)
        given = dict(options)
        if images[0] is not None:
            given["image"] = list(images)
        if any(picture.negative_prompt for picture in pictures):
            given["negative_prompt"] = [picture.negative_prompt or "" for picture in pictures]
        with _memory_errors(len(batch)):
            output = pipe(
                [picture.given for picture in pictures],
                [picture.modality for picture in pictures],
                seeds=[picture.seed for picture in pictures],
                **given,
            )
        return output.images

    for _, alike in groupby(asked, key=lambda picture: picture.image is not None):
        for result in in_batches(alike, lambda picture: picture.id, _begun_from, draw, batch_size):
            if refused:  # what holds for all is no one's failure
                raise InputError(**refused[0])
            yield result


@dataclass(frozen=True)
class Checked:
    """The attempt at a picture that is kept: what it was drawn from, the picture, and what its record says more."""

    used: AskedPicture
    drawn: Image.Image
    said: dict = field(default_factory=dict)


def fill(
    folder: "PictureFolder",
    asked: Sequence[AskedPicture],
    pipe,
    *,
    batch_size: int = 4,
    verify: Callable[[AskedPicture, Image.Image], Checked] | None = None,
    **options,
) -> Iterator[tuple[AskedPicture, Image.Image | Failure]]:
    """Draw into a folder what it has not yet; yields each picture when it is written, or failed.

    Batches are those of the whole list: of one that an earlier run did not complete, all are drawn again, and those
    that are missing are written. `verify` looks at each picture, and may give another for it.
    """
    for batch in _batches(asked, batch_size):
        missing = [picture for picture in batch if not folder.kept(picture)]
        drawn = synthesize(batch, pipe, batch_size=batch_size, **options) if missing else ()
        for picture, result in zip(batch, drawn, strict=bool(missing)):
            if picture in missing:
                checked = None if verify is None or isinstance(result, Failure) else verify(picture, result)
                folder.add(picture, result, checked)
                yield picture, result if checked is None else checked.drawn


def _batches(asked: Sequence[AskedPicture], batch_size: int) -> Iterator[list[AskedPicture]]:
    """What is drawn in one pass: pictures that all begin from an image, or from noise."""
    for _, alike in groupby(asked, key=lambda picture: picture.image is not None):
        alike = list(alike)
        yield from (alike[start : start + batch_size] for start in range(0, len(alike), batch_size))


def _begun_from(picture: AskedPicture) -> Image.Image | None:
    """The image that a picture begins from, 8 bits a channel."""
    if picture.image is None:
        return None
    return Image.fromarray(np.rint(read_image(picture.image) * 255).astype(np.uint8)).convert("RGB")


@contextmanager
def _memory_errors(count: int) -> Iterator[None]:
    """Around a pass: memory that runs out is one line, which says what to lower."""
    try:
        yield
    except (
        RuntimeError,
        MemoryError,
    ) as error:  # torch.OutOfMemoryError is a RuntimeError; a CPU's says it in words
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "allocate memory" not in str(error):
            raise
        found = f"not enough memory for {count} picture{'s' * (count > 1)} at once"
        raise InputError("batch_size", found, "fewer or smaller ones", "lower `batch_size` or `height`") from error


@dataclass(frozen=True)
class Source:
    """What drew the pictures: a model's name, the digest of its weights, and the options of its call."""

    model: str
    revision: str
    options: dict


class PictureFolder:
    """The pictures of a run as they come: `images/ID.png` with `images/metadata.jsonl`, which `datasets` reads as an
    image folder and `evaluate images` as captions; at the end contact sheets and `synthesize.json`.

    Args:
        run: the run's folder.
        ids: of all its pictures; their files are named from them.
        source: which model drew them, and how.
        visible_mark: whether the pictures show that they are synthetic.
    """

    def __init__(self, run: RunFolder, ids: Iterable[str], source: Source, visible_mark: bool = False):
        used: set[str] = set()
        self.run, self.source, self.visible_mark = run, source, visible_mark
        self.files = {id: f"{IMAGES}/{item_stem(f'{id}.png', used)}.png" for id in ids}
        self.records: dict[str, dict] = {}
        self.failures: dict[str, str] = {}
        run.total = len(self.files)
        run.expect(self.files)

    def kept(self, picture: AskedPicture) -> bool:
        """Whether an earlier run has drawn a picture; in this one it is counted once."""
        if picture.id not in self.records and (record := self.run.done(picture.id, picture.digest())) is not None:
            self.records[picture.id] = record
        return picture.id in self.records

    def add(self, picture: AskedPicture, drawn: Image.Image | Failure, checked: Checked | None = None) -> None:
        """Write a picture, or what was kept of the attempts at it; or keep why there is none."""
        if isinstance(drawn, Failure):
            return self.fail(picture.id, drawn.message)
        checked = checked or Checked(picture, drawn)
        used, drawn = checked.used, checked.drawn
        said = {
            "prompt": picture.prompt,
            "modality": picture.modality,
            "negative_prompt": used.negative_prompt,
            "seed": used.seed,
            "model": self.source.model,
            "revision": self.source.revision,
        }
        if used.drawn_prompt is not None:
            said["drawn_prompt"] = used.drawn_prompt
        if picture.image is not None:
            said["image"] = picture.image.name
        name = self.files[picture.id]
        shown = marked(drawn) if self.visible_mark else drawn
        self.run.write(name, lambda file: save_synthetic(shown, file, said))
        record = {"id": picture.id, "file": name, **said, "width": drawn.width, "height": drawn.height, **checked.said}
        self.records[picture.id] = record
        self.run.add(picture.id, record, [name], picture.digest())

    def fail(self, id: str, message: str) -> None:
        """Keep why there is no picture."""
        self.failures[id] = message
        self.run.fail()

    def finish(self) -> dict:
        """Write captions, contact sheets, `synthesize.json`, whose content is returned, and the manifest."""
        records = [self.records[id] for id in self.files if id in self.records]
        self._write_captions(records)
        sheets = self._write_sheets(records)
        content = {
            "statement": STATEMENT,
            "model": self.source.model,
            "revision": self.source.revision,
            "version": __version__,
            "options": self.source.options,
            "pictures": records,
            "contact_sheets": sheets,
            "failures": [{"id": id, "message": message} for id, message in self.failures.items()],
        }
        self.run.write_json("synthesize.json", content)
        self.run.finish(STATEMENT, ("torch", "diffusers", "transformers", "numpy", "pillow"))
        return content

    def _write_captions(self, records: list[dict]) -> None:
        with self.run.open(f"{IMAGES}/metadata.jsonl") as file:
            for record in records:
                row = {"file_name": Path(record["file"]).name, "text": record["prompt"]}
                row |= {name: record[name] for name in ("modality", "seed")}
                file.write(f"{json.dumps(row)}\n".encode())

    def _write_sheets(self, records: list[dict]) -> list[str]:
        """One sheet, or numbered ones; the pictures are read again, those of one sheet at a time."""
        parts = [records[start : start + ON_A_SHEET] for start in range(0, len(records), ON_A_SHEET)]
        names = [f"contact_sheet{f'_{k + 1:03d}' * (len(parts) > 1)}.png" for k in range(len(parts))]
        for name, part in zip(names, parts, strict=True):
            shown = []
            for record in part:
                with Image.open(self.run.path / record["file"]) as picture:
                    picture.load()
                shown.append((picture, f"{record['modality'] or ''} {record['prompt']} #{record['seed']}".strip()))
            sheet, said = contact_sheet(shown), {"model": self.source.model, "revision": self.source.revision}
            self.run.write(name, lambda file, sheet=sheet, said=said: save_synthetic(sheet, file, said))
        return names
