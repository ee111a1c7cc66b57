"""Slides, or the features of slides -> reports, each with the tiles that drove it; one bad slide is listed.

for report in report_slides(["a.svs", "b.safetensors"], load("histgen-tiny")):
    print(report.film, report.text)
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from hf_medreport.files.writing import readable, sha256
from hf_medreport.inference.batches import failed
from hf_medreport.inference.figures.slide import evidence_map, slide_figure, tile_pictures
from hf_medreport.inference.report import Failure, Report, Sentence, source_of, written_of
from hf_medreport.processing.feature_files import PatchFeatures, read_features
from hf_medreport.processing.feature_origin import ForeignFeatures, foreign_notes, said
from hf_medreport.processing.file_suffixes import FEATURE_SUFFIXES, PYRAMID_SUFFIXES
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.processing.slide_reading import Slide, open_slide, told_mpp

TOP = 6  # tiles that a report names, in all and for each sentence
SCANS = (*PYRAMID_SUFFIXES, ".png", ".jpg", ".jpeg")


@dataclass
class TopTile:
    """A tile that spoke for a sentence or a report: its index, its place, its share of the evidence.

    `x`, `y` are level-0 px of its top left corner; None where the features came without coordinates.
    """

    index: int
    x: int | None
    y: int | None
    share: float

    def to_json(self) -> dict:
        """Its fields, the share in four digits."""
        return asdict(self) | {"share": round(self.share, 4)}


@dataclass(kw_only=True)
class SlideSentence(Sentence):
    """One sentence; `evidence` (tiles,) of sum 1, or 0 where no tile spoke for it, and the first tiles of it."""

    tiles: list[TopTile]


@dataclass(kw_only=True)
class SlideReport(Report):
    """What a model wrote for one slide.

    `film` is the name of the slide or feature file, `film_sha256` the fingerprint of the slide or the SHA-256 of the
    feature file, `image` the map of the evidence. `places` (tiles, 2) are the tiles' top left corners, `level0_px` is
    their side, in level-0 px, where they are known.
    """

    patches: int = 0  # how many tiles the model read
    tiles: list[TopTile] = field(default_factory=list)  # by evidence summed over the sentences
    note: str = ""  # what the picture lacks, and why
    pictures: list[np.ndarray] = field(default_factory=list, repr=False)  # of `tiles`, where there is a slide
    places: np.ndarray | None = field(default=None, repr=False)
    level0_px: int = 0

    def to_json(self) -> dict:
        """Everything but pixels and maps."""
        record = super().to_json()
        for written, sentence in zip(record["sentences"], self.sentences, strict=True):
            written["tiles"] = [tile.to_json() for tile in sentence.tiles]
        tiles = [tile.to_json() for tile in self.tiles]
        return record | {"patches": self.patches, "tiles": tiles, "note": self.note}

    def figure(self, facts: list[tuple[str, str]] | None = None) -> Figure:
        """The report as a picture; `facts` as in `slide_figure`."""
        return slide_figure(self, facts)

    def release(self) -> None:
        """Let go of pixels and maps, once they are drawn: a bag may hold 100,000 tiles."""
        super().release()
        self.pictures, self.places = [], None
        for sentence in self.sentences:
            sentence.evidence = np.empty(0, np.float32)


def report_slides(
    paths: Iterable[str | os.PathLike],
    pipe: MedicalReportPipeline,
    slide_mpp: float | Mapping[str, float] | None = None,
    *,
    override_slide_mpp: bool = False,
    allow_foreign_features: bool = False,
) -> Iterator[SlideReport | Failure]:
    """Report slides one after the other, from their pixels or from features made before.

    Args:
        paths: slides, or feature files (.safetensors, .pt, .h5); one that cannot be used becomes a `Failure`.
        pipe: from `loading.load`, with a model that reads slides.
        slide_mpp, override_slide_mpp: as in `open_slide`; a mapping has them by path, see `slide_mpp.told_by`.
        allow_foreign_features: also features of another encoder, resolution or size of tiles than the model learned
            from; without it they are a `Failure`.

    Yields:
        A `SlideReport` or `Failure` for each path, in their order.
    """
    source, told = source_of(pipe), {"override_slide_mpp": override_slide_mpp}
    for path in map(Path, paths):
        try:
            told["slide_mpp"] = told_mpp(slide_mpp, path)
            result = _report(path, pipe, told, allow_foreign_features, source)
        except Exception as error:
            result = failed(path.name, error)
        yield result


def _report(path: Path, pipe: MedicalReportPipeline, told: dict, allow_foreign: bool, source: dict) -> SlideReport:
    if path.suffix.lower() in FEATURE_SUFFIXES:
        bag = read_features(path, pipe.model.config.feature_size)
        pipe.processor.hold_to_learned(path.name, bag, allow_foreign)
        report = _written(path, sha256(path), bag, pipe, source)
        _draw_beside(report, path, bag)
        return report
    with open_slide(path, **told) as slide:
        bag = _encoded(path, slide, pipe, allow_foreign)
        report = _written(path, slide.fingerprint(), bag, pipe, source)
        report.notes += slide.notes
        _draw(report, bag, int(bag.info["level0_px"]), slide)
    return report


def _encoded(path: Path, slide: Slide, pipe: MedicalReportPipeline, allow_foreign: bool) -> PatchFeatures:
    """The bag of an open slide; errors name the file, and no options that only the verb `tile` has."""
    width = pipe.model.config.feature_size
    try:
        encoder = pipe.processor.patch_encoder
        if encoder.width != width:
            found, expected = f"features of width {encoder.width} from {encoder.name}", f"width {width}"
            raise InputError(path.name, found, f"{expected}, which the model takes", "use the model's own encoder")
        return pipe.processor.encode_slide(slide, pipe.device, allow_foreign)
    except ForeignFeatures:
        raise
    except InputError as error:
        remedy = error.remedy
        if "`" in remedy:
            remedy = (
                "give `slide_mpp`" if slide.mpp is None else "choose another slide: the model decides how it is cut"
            )
        found = "; ".join([error.found, *slide.notes])
        raise InputError(path.name, found, error.expected, remedy) from error


def _written(
    path: Path, fingerprint: str, bag: PatchFeatures, pipe: MedicalReportPipeline, source: dict
) -> SlideReport:
    """The report of a bag that was held to the model, or that somebody insists on; without its picture."""
    (record,) = pipe([{"slides": [bag]}], batch_size=1, return_evidence=True, allow_foreign_features=True)[0]
    sentences = [
        SlideSentence(**sentence, tiles=top_tiles(sentence["evidence"], bag.coordinates))
        for sentence in record["sentences"]
    ]
    notes = foreign_notes(pipe.processor.learned_from, said(bag.info))
    return SlideReport(
        film=readable(path.name),
        film_sha256=fingerprint,
        **written_of(record) | source | {"sentences": sentences, "notes": notes + _ink_notes(bag)},
        patches=len(bag.features),
        tiles=top_tiles(_heat(sentences, bag), bag.coordinates),
    )


def _ink_notes(bag: PatchFeatures) -> list[str]:
    """What a reader must know of how the slide was cut."""
    return [note for note in [bag.info.get("ink_note")] if note]


def _heat(sentences: list[Sentence], bag: PatchFeatures) -> np.ndarray:
    """(tiles,) evidence summed over the sentences."""
    return np.sum([sentence.evidence for sentence in sentences], axis=0) if sentences else np.zeros(len(bag.features))


def top_tiles(evidence: np.ndarray, coordinates: np.ndarray | None) -> list[TopTile]:
    """The TOP tiles with the most evidence, those without any left out."""
    total = float(evidence.sum())
    order = np.argsort(-evidence, kind="stable")[:TOP]
    places = {} if coordinates is None else {index: coordinates[index].tolist() for index in order.tolist()}
    return [
        TopTile(index, *places.get(index, (None, None)), float(evidence[index]) / total)
        for index in order.tolist()
        if evidence[index] > 0
    ]


def _draw(report: SlideReport, bag: PatchFeatures, level0_px: int, slide: Slide | None) -> None:
    """Give the report its map and, where there is a slide, its top tiles."""
    top = [tile.index for tile in report.tiles]
    report.places, report.level0_px = bag.coordinates, level0_px
    report.image = evidence_map(slide, bag.coordinates, level0_px, _heat(report.sentences, bag), top)
    report.pictures = [] if slide is None else tile_pictures(slide, bag.coordinates[top], level0_px)


def _draw_beside(report: SlideReport, path: Path, bag: PatchFeatures) -> None:
    """Draw on the slide that the features were made from, if it lies beside them; else the tiles only, and say why."""
    level0_px = bag.info.get("level0_px", "")
    if bag.coordinates is None or not level0_px.isdecimal() or not int(level0_px):
        lacking = "coordinates" if bag.coordinates is None else "size of a tile"
        report.note = f"tiles only: the file holds no {lacking}"
        return
    beside = _slide_beside(path, bag.info)
    if beside is None:
        why = "their slide does not lie beside the file"
    else:
        try:
            with open_slide(beside) as slide:
                if bag.info.get("slide_fingerprint") in (None, slide.fingerprint()):
                    return _draw(report, bag, int(level0_px), slide)
                why = f"{slide.name} is another slide than theirs"
        except InputError as error:  # the report stands without its slide
            why = f"{error.name}: found {error.found}"
        except OSError as error:
            why = f"{beside.name}: {(error.strerror or 'an error of the system').lower()}"
    report.note = readable(f"tiles only: {why}")
    _draw(report, bag, int(level0_px), None)


def _slide_beside(path: Path, info: dict[str, str]) -> Path | None:
    """The slide of a feature file in the same folder: by the name in its header, or by its own stem."""
    named = Path(info.get("slide", path.stem)).name
    names = [named, *(f"{named}{suffix}" for suffix in SCANS if Path(named).suffix.lower() not in SCANS)]
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
