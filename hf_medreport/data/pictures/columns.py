"""Columns and cells of tables of pictures, as tables of the field have them and as they were meant."""

from collections.abc import Mapping

from hf_medreport.processing.input_error import InputError

__all__ = ["COLUMNS", "clean_cell", "column_roles", "is_empty", "joined"]

# What a column may be called, its case and blanks and hyphens apart.
COLUMNS = {
    "path": ("path", "image", "image_path", "img", "img_path", "file", "file_name", "filename"),
    "text": ("text", "caption", "prompt", "description", "report"),
    "modality": ("modality", "modal"),
}


def column_roles(name: str, header: tuple[str, ...], known: Mapping[str, tuple[str, ...]] = COLUMNS) -> dict[str, str]:
    """role -> column, of the roles that a header has.

    Args:
        name: what messages call the table.
        header: its columns.
        known: role -> what its column may be called, in small letters with underscores.

    Raises:
        InputError: two columns for one role.
    """
    roles = {}
    for role, names in known.items():
        fits = [column for column in header if column.strip().lower().replace(" ", "_").replace("-", "_") in names]
        if len(fits) > 1:
            found = f"columns {', '.join(repr(column) for column in fits)}"
            raise InputError(name, found, f"one column for the {role}", "give the others another name")
        if fits:
            roles[role] = fits[0]
    return roles


def joined(header: list[str], values: list[str], text: str | None) -> list[str]:
    """The fields of a row, those in the middle joined where commas in its description made several of it.

    Args:
        header: the columns.
        values: of the row.
        text: the column of the description; None where there is none.
    """
    extra = len(values) - len(header)
    if extra <= 0 or text is None:
        return values
    first = header.index(text)
    return [*values[:first], ",".join(values[first : first + extra + 1]), *values[first + extra + 1 :]]


def clean_cell(cell: object) -> object:
    """A cell without the blanks around it; quotes after a blank, as in `a.png, "mild, left", CXR`, are quotes too."""
    if not isinstance(cell, str):
        return cell
    text = cell.strip()
    if cell[:1].isspace() and len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1].replace('""', '"').strip()
    return text


def is_empty(cell: object) -> bool:
    """Whether a cell is a gap, which is nan where pandas wrote it."""
    return cell is None or cell == "" or cell != cell
