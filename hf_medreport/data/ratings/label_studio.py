"""Label Studio's export (JSON, not JSON-MIN) as ratings: a control of stars or choices with 1 to 3.

table = read_label_studio("export.json", image_root="pictures", level=2)
write_ratings("ratings.csv", table.ratings)
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from hf_medreport.data.pictures.columns import COLUMNS, column_roles, is_empty
from hf_medreport.data.ratings import rows
from hf_medreport.data.ratings.table import RATINGS, Rating, RatingTable
from hf_medreport.files.rows import parse_json, read_text
from hf_medreport.processing.input_error import InputError

__all__ = ["read_label_studio"]

EXPECTED = "Label Studio's export of the format JSON"
ROLES = {name: COLUMNS[name] for name in ("path", "text", "modality")} | {"expert_level": rows.RATERS["expert_level"]}
UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what Label Studio puts before the name of an uploaded file


def read_label_studio(
    path: str | os.PathLike, *, image_root: str | os.PathLike, level: int | None = None
) -> RatingTable:
    """The ratings of an export.

    Args:
        path: a list of tasks with `data` (the picture, its prompt, and its modality where it is known) and
            `annotations`, of which the newest of each annotator counts; cancelled ones count for nothing.
        image_root: folder of the pictures. They are found by their path below it, or by their name.
        level: of the annotators, where a task's data has no `expert_level`.

    Returns:
        Its usable ratings; tasks and annotations that cannot be used are told in `problems`.

    Raises:
        InputError: no such file, another one, or no usable annotation.
    """
    path, root = Path(path), Path(image_root).resolve()
    if not path.is_file():
        raise InputError(path, "no such file", EXPECTED, "check the path")
    if not root.is_dir():
        raise InputError("image_root", f"no folder '{root.name}'", "the folder of the pictures", "check the path")
    if level is not None:
        rows.checked_level(level)
    try:
        tasks = parse_json(read_text(path, EXPECTED))
    except InputError:
        raise
    except ValueError as error:
        raise InputError(path.name, f"broken JSON ({error})"[:120], EXPECTED, "export it again") from error
    if not isinstance(tasks, list):
        raise InputError(path.name, f"a {type(tasks).__name__}, no list of tasks", EXPECTED, "export it again")
    ratings, problems = {}, []
    for number, task in enumerate(tasks, start=1):
        try:
            for where, annotation in _annotations(f"{path.name}, task {number}", task):
                try:
                    rating = _rating(where, task["data"], annotation, root, level)
                    ratings[rating.rater, rating.image, rating.prompt] = rating
                except InputError as error:
                    problems.append(str(error))
        except InputError as error:
            problems.append(str(error))
    if not ratings:
        found = f"no usable annotation{f' (the first: {problems[0]})' if problems else ''}"
        raise InputError(path.name, found, "pictures with ratings", "check the export")
    return RatingTable(list(ratings.values()), problems)


def _annotations(where: str, task: object) -> Iterator[tuple[str, dict]]:
    """Those of a task that count, the oldest first."""
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise InputError(where, "no data", "a task with data and annotations", "export as JSON, not as JSON-MIN")
    annotations = task.get("annotations")
    if not isinstance(annotations, list):
        raise InputError(where, "no annotations", "a list of them", "export as JSON, not as JSON-MIN")
    known = [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]
    for annotation in sorted(known, key=lambda one: str(one.get("updated_at") or one.get("created_at") or "")):
        yield f"{where}, annotation {annotation.get('id', '?')}", annotation


def _rating(where: str, data: dict, annotation: dict, root: Path, level: int | None) -> Rating:
    roles = column_roles(where, tuple(map(str, data)), ROLES)
    cells = {role: data[column] for role, column in roles.items()}
    for role in ("path", "text"):
        if role not in cells:
            name = {"path": "image", "text": "prompt"}[role]
            raise InputError(where, f"data without {name}", f"the field '{name}'", "name it so in the project")
    given = cells.get("expert_level")
    if is_empty(given) and level is None:
        raise InputError(where, "no expert level", "one in the data", "give `level`")
    return Rating(
        image=_picture(where, cells["path"], root),
        rating=rows.whole_number(where, _said(where, annotation.get("result")), "rating", RATINGS),
        modality=None if is_empty(cells.get("modality")) else str(cells["modality"]),
        level=level if is_empty(given) else rows.whole_number(where, given, "expert level", rows.LEVELS),
        prompt=rows.text_cell(where, cells["text"], "prompt"),
        rater=_annotator(annotation.get("completed_by")),
    )


def _said(where: str, result: object) -> object:
    """The one rating or choice of an annotation."""
    said = []
    for region in result if isinstance(result, list) else ():
        value = region.get("value") if isinstance(region, dict) else None
        if isinstance(value, dict):
            said += [value["rating"]] if "rating" in value else list(value.get("choices") or ())
    if len(said) != 1:
        found = f"{len(said)} ratings or choices" if said else "no rating"
        raise InputError(where, found, "one rating or choice", "rate it, or keep one control in the project")
    return said[0]


def _annotator(by: object) -> str:
    """An annotator's e-mail address or number."""
    name = (by.get("email") or by.get("id")) if isinstance(by, dict) else by
    return "" if name is None else " ".join(str(name).split())


def _picture(where: str, cell: object, root: Path) -> Path:
    """A picture by what Label Studio calls it: a path, an upload, a local file, or an address of a store."""
    if not isinstance(cell, str) or not cell.strip():
        raise InputError(where, "no path", "the picture's path", "check the export")
    address = urlsplit(cell.strip())
    path = parse_qs(address.query).get("d", [unquote(address.path)])[0].lstrip("/")
    name = path.rpartition("/")[2]
    for candidate in dict.fromkeys((path, name, UPLOADED.sub("", name))):
        file = (root / candidate).resolve()
        if candidate and file.is_relative_to(root) and file.is_file():
            return file
    found = f"no file {ascii(UPLOADED.sub('', name))} in {root.name}/"
    raise InputError(where, found, "an existing picture", "give the folder that holds it")
