"""Read a film for a report: the picture, and what its header says against taking it for a chest film.

    film = read_film("film.dcm")                    # refuses a CT slice, a hand, a mirrored film
    film = read_film("film.dcm", orient="header")   # turns it to the standard view, because this asks for it
    film.pixels, film.notes

`read_image` reads any picture and asks no header. Only DICOM has one: a PNG, JPEG or TIFF without its markers cannot be
checked, neither what it shows nor how it lies.
"""

import os
from typing import NamedTuple

import numpy as np
from PIL.Image import Image

from .dicom_reading import data_set, looks_like_dicom
from .film_header import ELEMENTS, ORIENTS, Inspected, inspected, turned
from .image_checks import MAX_PIXELS, open_input
from .image_reading import read_with_notes
from .input_error import InputError


class Film(NamedTuple):
    """A film: float32 in [0, 1], (height, width) or (height, width, 3); what must be known of it, in sentences; and
    whether it was turned."""

    pixels: np.ndarray
    notes: tuple[str, ...] = ()
    is_turned: bool = False


def read_film(
    source: str | os.PathLike | bytes | Image | np.ndarray,
    *,
    orient: str | None = None,
    frame: int | None = None,
    any_modality: bool = False,
    max_pixels: int = MAX_PIXELS,
    name: str | None = None,
) -> Film:
    """Read one film.

    Args:
        source: as in `read_image`.
        orient: of a DICOM film that does not lie as the standard view, see `film_header`: None refuses it, `"header"`
            turns it as its header says, `"stored"` takes it as it is stored.
        frame: which page or frame of a file that holds several, counted from 0.
        any_modality: take a DICOM file that is no chest film by its modality or body part too.
        max_pixels, name: as in `read_image`.

    Raises:
        InputError: as `read_image`; no chest film, or one that lies otherwise, and nobody insisted; another `orient`.
    """
    check_orient(orient)
    found = _inspected(source, frame if isinstance(frame, int) else 0, orient, any_modality, max_pixels, name)
    pixels, notes = read_with_notes(source, frame=frame, max_pixels=max_pixels, name=name)
    if found.turned_from is not None:
        pixels = np.ascontiguousarray(turned(pixels, found.turned_from))
    return Film(pixels, (*notes, *found.notes), found.turned_from is not None)


def _inspected(
    source: object, frame: int, orient: str | None, any_modality: bool, max_pixels: int, name: str | None
) -> Inspected:
    """What the header says, where there is one."""
    if isinstance(source, (str, os.PathLike, bytes)):
        handle, name = open_input(source, name)
        with handle:
            head = handle.read(256)
            handle.seek(0)
            if looks_like_dicom(head):
                header = data_set(handle, name, max_pixels, ELEMENTS, stop_before_pixels=True)
                return inspected(header, frame, name, orient, any_modality)
    notes = ("a picture without a header, which does not say how it lies: read as it is stored",)
    return Inspected(notes if orient == "header" else (), None)


def check_orient(orient: str | None) -> None:
    """Refuse another `orient` than `read_film` has."""
    if orient not in ORIENTS:
        raise InputError("orient", f"{orient!r:.24}", "header or stored", "choose one of them, or leave out `orient`")


def refuse_mask(film: Film, name: str) -> None:
    """Refuse a mask beside a film that was turned: whether the mask was drawn before or after that, nobody can tell.

    Raises:
        InputError: the film was turned.
    """
    if film.is_turned:
        remedy = "leave out the mask, or save the film turned and give that"
        raise InputError(name, "a mask beside a film that its header turns", "one of the film as it is seen", remedy)
