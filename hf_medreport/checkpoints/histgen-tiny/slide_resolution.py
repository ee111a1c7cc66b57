"""How fine a slide is: microns per px as its header says, what contradicts it, and what a person says instead.

Nothing is guessed: where no header says it, nobody knows, and an objective's power only contradicts. What a person
says fills in what is missing; it takes the header's place only where that is asked for, and then that is noted.
"""

import html
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from .input_error import InputError

# Beyond these no light microscope goes: a value outside is in another unit, or of a printer (300 dpi is 85 um a px).
FINEST_MPP, COARSEST_MPP = 0.02, 20.0
SQUARE_TOLERANCE = 1.05  # px wider than high by more than this would distort every cell
NEARLY_SQUARE = 1.01  # and from here on it is told
AGAINST_OBJECTIVE = 1.5  # the next objective is twice as strong
OBJECTIVE = 10.0  # of a power of 40x, 10 / 40 um a px are usual
SAME = 1.01
MICRONS = {"centimeter": 10_000, "inch": 25_400}
TIFF_UNITS = {2: "inch", 3: "centimeter"}
IMAGE_DESCRIPTION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 270, 282, 283, 296
OME_UNITS = {"m": 1e6, "cm": 1e4, "mm": 1e3, "\u00b5m": 1.0, "um": 1.0, "nm": 1e-3, "pm": 1e-6, "\u00c5": 1e-4}
OME_UNITS |= {"in": 25_400.0}
OME_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
OME_ATTRIBUTE = re.compile(r"""([\w:]+)\s*=\s*(["'])(.*?)\2""")


class Resolution(NamedTuple):
    """Of a slide: microns per level-0 px, None where nobody says; whether a person said it and not the header; and
    what has to be known of it, a line each."""

    mpp: float | None
    told: bool
    notes: tuple[str, ...]


def resolution(
    name: str,
    own: tuple[float, float] | None,
    power: float | None,
    slide_mpp: float | None = None,
    override_slide_mpp: bool = False,
) -> Resolution:
    """The resolution that a slide is read with.

    Args:
        name: of the slide.
        own: (x, y) of its header.
        power: of its objective, as its header says.
        slide_mpp, override_slide_mpp: as in `open_slide`.

    Raises:
        InputError: px that are not square, by a header whose place nothing takes.
    """
    notes = []
    if own is not None and not all(FINEST_MPP <= value <= COARSEST_MPP for value in own):
        notes.append(f"its header says {_both(own)} microns per px, as no scanner has: taken as not said")
        own = None
    differs = own is not None and slide_mpp is not None and not all(_alike(value, slide_mpp, SAME) for value in own)
    if own is None or differs and override_slide_mpp:
        mpp, told = slide_mpp, slide_mpp is not None
        if own is not None:
            change = slide_mpp / (sum(own) / 2)
            notes.append(f"{_both(own)} microns per px of its header replaced by {slide_mpp:g} ({change:.3g} times)")
    else:
        if not _alike(*own, SQUARE_TOLERANCE):
            raise InputError(
                name,
                f"px of {own[0]:g} x {own[1]:g} microns",
                "square px",
                "give `slide_mpp` and `override_slide_mpp` if the file is wrong, else resample the slide",
            )
        mpp, told = sum(own) / 2, False
        if not _alike(*own, NEARLY_SQUARE):
            notes.append(f"px of {own[0]:g} x {own[1]:g} microns, taken as squares of {mpp:g}")
        if differs:
            notes.append(f"{mpp:g} microns per px of its header kept, not {slide_mpp:g}")
    if mpp and power and not _alike(mpp, OBJECTIVE / power, AGAINST_OBJECTIVE):
        usual = OBJECTIVE / power
        notes.append(f"{mpp:g} microns per px, but an objective of {power:g}x, with which {usual:g} is usual")
    return Resolution(mpp, told, tuple(notes))


def check_slide_mpp(slide_mpp: float | Mapping[str, float] | None) -> None:
    """Refuse what can be the resolution of no slide."""
    for value in slide_mpp.values() if isinstance(slide_mpp, Mapping) else [slide_mpp]:
        if value is not None and not FINEST_MPP <= value <= COARSEST_MPP:
            expected = f"microns per px, {FINEST_MPP:g} to {COARSEST_MPP:g}"
            raise InputError("slide_mpp", f"{value:g}", expected, "0.25 is usual for 40x, 0.5 for 20x")


def told_mpp(slide_mpp: float | Mapping[str, float] | None, slide) -> float | None:
    """What is said of one slide: the one value for all, or that of its path."""
    if not isinstance(slide_mpp, Mapping):
        return slide_mpp
    return slide_mpp.get(str(slide)) if isinstance(slide, (str, os.PathLike)) else None


def _alike(one: float, other: float, tolerance: float) -> bool:
    return max(one, other) <= tolerance * min(one, other)


def _both(own: tuple[float, float]) -> str:
    return " x ".join(dict.fromkeys(f"{value:g}" for value in own))


# --- headers ----------------------------------------------------------------------------------------------------------


def positive(*numbers: object) -> tuple[float, ...] | None:
    """The numbers, if all of them are finite and above 0."""
    try:
        values = tuple(float(number) for number in numbers)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return values if all(0 < value < float("inf") for value in values) else None


def openslide_mpp(properties: Mapping[str, str], vendor: str) -> tuple[float, float] | None:
    """From OpenSlide's properties: of an OME-TIFF its own words, else the vendor's, else the tags of the file."""
    mpp = ome_mpp(properties.get("tiff.ImageDescription") or properties.get("openslide.comment") or "")
    if mpp is not None:
        return mpp
    mpp = positive(properties.get("openslide.mpp-x"), properties.get("openslide.mpp-y"))
    if mpp is None:
        tags = positive(properties.get("tiff.XResolution"), properties.get("tiff.YResolution"))
        unit = MICRONS.get(properties.get("tiff.ResolutionUnit"))
        mpp = tuple(unit / value for value in tags) if tags and unit else None
        vendor = "generic-tiff"
    return None if mpp and vendor == "generic-tiff" and max(mpp) > COARSEST_MPP else mpp


def openslide_power(properties: Mapping[str, str]) -> float | None:
    """The power of the objective, by OpenSlide's properties."""
    power = positive(properties.get("openslide.objective-power"))
    return power and power[0]


def tagged_mpp(tags: Mapping) -> tuple[float, float] | None:
    """From the tags of an untiled TIFF; without a unit (1, or no tag) a resolution says nothing."""
    description = tags.get(IMAGE_DESCRIPTION)
    mpp = ome_mpp(description) if isinstance(description, str) else None  # bytes, where a writer said so
    if mpp is not None:
        return mpp
    resolution = positive(tags.get(X_RESOLUTION), tags.get(Y_RESOLUTION))
    unit = MICRONS.get(TIFF_UNITS.get(tags.get(RESOLUTION_UNIT)))
    if not resolution or not unit:
        return None
    mpp = tuple(unit / value for value in resolution)
    return mpp if max(mpp) <= COARSEST_MPP else None


def ome_mpp(description: str) -> tuple[float, float] | None:
    """PhysicalSizeX and PhysicalSizeY of the first picture that OME's XML describes; what y does not say, x does.

    Without a unit they are microns, as OME has it. Other units than of length say nothing.
    """
    pixels = OME_PIXELS.search(description) if "<OME" in description or ":OME" in description else None
    if pixels is None:
        return None
    attributes = {name: html.unescape(value) for name, _, value in OME_ATTRIBUTE.findall(pixels[0])}
    across = _ome_size(attributes, "X")
    down = _ome_size(attributes, "Y") if "PhysicalSizeY" in attributes else across
    return positive(across, down)


def _ome_size(attributes: dict[str, str], axis: str) -> float | None:
    unit = attributes.get(f"PhysicalSize{axis}Unit", "um").strip().replace("\u03bc", "\u00b5")
    unit = unit.removeprefix("\u00c2")  # as Latin-1 reads the two bytes of this letter in UTF-8
    size = positive(attributes.get(f"PhysicalSize{axis}"))
    return size[0] * OME_UNITS[unit] if size and unit in OME_UNITS else None


def dicom_mpp(header) -> tuple[float, float] | None:
    """From PixelSpacing (rows first) in mm, in the shared functional groups."""
    for group in header.get("SharedFunctionalGroupsSequence") or []:
        for measures in group.get("PixelMeasuresSequence") or []:
            down, across = measures.get("PixelSpacing") or (None, None)
            spacing = positive(across, down)
            return tuple(1000 * value for value in spacing) if spacing else None
    return None


def dicom_power(header) -> float | None:
    """The power of the objective, in the first optical path."""
    for path in header.get("OpticalPathSequence") or []:
        power = positive(path.get("ObjectiveLensPower"))
        return power and power[0]
    return None


__all__ = ["Resolution", "check_slide_mpp", "resolution", "told_mpp"]
