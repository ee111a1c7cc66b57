"""The films of one table: each read with the same options, and what their headers give to know told once."""

import logging

from hf_medreport.processing.film_reading import Film, check_orient, read_film

__all__ = ["TableFilms"]

logger = logging.getLogger(__name__)


class TableFilms:
    """Reads films.

    Args:
        orient, frame, any_modality: of all films, as in `read_film`.

    Raises:
        InputError: another `orient`.
    """

    def __init__(self, orient: str | None = None, frame: int | None = None, any_modality: bool = False):
        check_orient(orient)
        self.options = {"orient": orient, "frame": frame, "any_modality": any_modality}
        self.told: set[str] = set()

    def __call__(self, source, name: str) -> Film:
        """A film; InputError as `read_film` raises it, with this name."""
        film = read_film(source, name=name, **self.options)
        for note in film.notes:
            if note not in self.told:
                logger.warning("%s: %s (told once a table)", name, note)
        self.told.update(film.notes)
        return film
