"""The Indiana University chest X-ray collection, from the two forms in which it is handed out, as `Study` objects.

Kaggle's copy: `indiana_reports.csv` and `indiana_projections.csv`, which knows each film's view. Open-i's: one XML a
report, as a folder, as `NLMCXR_reports.tgz` or inside the wheel of torchxrayvision, which carries that archive; views
stand in a table beside it or in the DICOM headers. The uid is the number of the report in both, and one patient's.

    for study in read_archive("NLMCXR_reports.tgz"):
        print(study.uid, study.mesh, study.impression)
"""

import gzip
import io
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from hf_medreport.data.iu_names import FILM_SUFFIXES, image_key
from hf_medreport.files.rows import read_rows
from hf_medreport.files.writing import sha256
from hf_medreport.processing.input_error import InputError

__all__ = ["Sources", "Study", "normalized", "read_archive", "read_kaggle", "read_openi", "read_views"]

ARCHIVE = "NLMCXR_reports.tgz"
EXPECTED_XML = f"a folder of XML, {ARCHIVE}, or the torchxrayvision wheel that holds it"
REPORT_COLUMNS = ("uid", "MeSH", "Problems", "indication", "comparison", "findings", "impression")
PROJECTION_COLUMNS = ("uid", "filename", "projection")
VIEWS = {"frontal": "frontal", "pa": "frontal", "ap": "frontal"}
VIEWS |= dict.fromkeys(("lateral", "lat", "ll", "rl", "large lateral"), "lateral")
SMALL_WORDS = ("and", "of", "normal")  # of a head in title case
MAX_REPORT_BYTES, MAX_ARCHIVE_BYTES = 1_000_000, 256_000_000  # the largest report has 9 kB, the archive unpacked 23 MB


@dataclass(frozen=True)
class Study:
    """One report and the names of its films.

    Attributes:
        uid: number of the report, which is one patient's.
        images: (file name, "frontal", "lateral" or None where nobody says) of each film.
        mesh: the experts' codes, `normalized`.
        problems: the codes' heads.
    """

    uid: str
    images: tuple[tuple[str, str | None], ...]
    mesh: tuple[str, ...]
    problems: tuple[str, ...]
    indication: str
    comparison: str
    findings: str
    impression: str


@dataclass(frozen=True)
class Sources:
    """Where the reports lie: Kaggle's two tables, or Open-i's XML and perhaps a table of views."""

    reports_csv: Path | None = None
    projections_csv: Path | None = None
    xml: Path | None = None
    views: Path | None = None

    def __post_init__(self):
        kaggle, openi = (self.reports_csv, self.projections_csv), (self.xml, self.views)
        if (all(kaggle) and not any(openi)) or (self.xml and not any(kaggle)):
            return
        given = [f"`{name}`" for name, path in vars(self).items() if path]
        expected = "`reports_csv` with `projections_csv`, or `xml` with or without `views`"
        raise InputError("sources", " with ".join(given) or "none", expected, "give one of the two forms")

    def read(self, images: Path | None, problems: list[str]) -> list[Study]:
        """All studies by uid; what is wrong with others goes to `problems`, one line each."""
        if self.xml:
            studies = read_openi(self.xml, images, self.views, problems)
        else:
            studies = read_kaggle(self.reports_csv, self.projections_csv, problems)
        return sorted(studies, key=lambda study: (len(study.uid), study.uid))

    def digests(self) -> dict[str, str]:
        """SHA-256 of each source; of a folder, that of its reports' names and contents."""
        return {name: _digest(path) for name, path in vars(self).items() if path}


def normalized(code: str) -> str:
    """A MeSH code as the collection means to write it: single blanks, head in title case, qualifiers in lower case."""
    parts = [" ".join(part.split()) for part in code.split("/")]
    head, *qualifiers = filter(None, parts) if any(parts) else [""]
    words = (word.lower() if word.lower() in SMALL_WORDS else word[:1].upper() + word[1:] for word in head.split())
    return "/".join([" ".join(words), *map(str.lower, qualifiers)])


# --- Kaggle ---


def read_kaggle(reports: str | os.PathLike, projections: str | os.PathLike, problems: list[str]) -> list[Study]:
    """Studies of Kaggle's two tables. A study with a bad row is left out, and `problems` says why.

    Raises:
        InputError: a table is missing, broken or without a column.
    """
    reports, (images, bad), studies = Path(reports), _projections(Path(projections), problems), {}
    for number, row in enumerate(_table(reports, REPORT_COLUMNS), 1):
        where, uid = f"{reports.name}, row {number}", row["uid"].strip()
        if not uid:
            problems.append(str(InputError(where, "no uid", "the report's number", "fill it in or drop the row")))
        elif uid in studies:
            problems.append(str(InputError(where, f"uid {uid} again", "one report a uid", "drop one of them")))
        else:
            mesh = tuple(map(normalized, filter(str.strip, row["MeSH"].split(";"))))
            heads = tuple(map(normalized, filter(str.strip, row["Problems"].split(";"))))
            pictures = tuple((name, view) for name, view, _ in images.get(uid, ()))
            texts = (" ".join(row[name].split()) for name in REPORT_COLUMNS[3:])
            studies[uid] = Study(uid, pictures, mesh, heads, *texts)
    for uid, where in ((uid, row[2]) for uid, rows in images.items() if uid not in studies for row in rows):
        found = f"uid {uid}, which has no report"
        problems.append(str(InputError(where, found, f"a uid of {reports.name}", "drop the row")))
    return [study for uid, study in studies.items() if uid not in bad]


def _projections(path: Path, problems: list[str]) -> tuple[dict[str, list[tuple]], set[str]]:
    """uid -> (file name, view, row) of its films; and the uids that have a bad row."""
    images, bad, first = {}, set(), {}
    for number, row in enumerate(_table(path, PROJECTION_COLUMNS), 1):
        where, uid, name = f"{path.name}, row {number}", row["uid"].strip(), row["filename"].strip()
        view, problem = _view(where, "projection", row["projection"])
        if not name or PurePosixPath(name).name != name or "\\" in name:
            found = f"'{name}'" if name else "no file name"
            problem = InputError(where, found, "the name of a file in `images`", "correct 'filename'")
        elif name in first:
            found = f"{name} again (first: row {first[name]})"
            problem = InputError(where, found, "each film once", "drop one of them")
        elif _strange(uid, name):
            problem = _other_patient(where, uid, name)
        first.setdefault(name, number)
        if problem:
            problems.append(str(problem))
            bad.add(uid)
        images.setdefault(uid, []).append((name, view, where))
    return images, bad


def _table(path: Path, columns: Sequence[str]) -> Sequence[dict[str, str]]:
    """The rows of a CSV that has these columns."""
    if path.suffix.lower() != ".csv":
        raise InputError(path.name, f"a '{path.suffix}' file", "a .csv", "convert it")
    rows = read_rows(path)
    present = list(rows[0]) if rows else []
    missing = [column for column in columns if column not in present]
    if missing:
        found = f"columns {', '.join(present)}" if present else "no rows"
        raise InputError(path.name, found, f"columns {', '.join(columns)}", f"name the column '{missing[0]}'")
    return rows


def _view(where: str, column: str, value: str) -> tuple[str | None, InputError | None]:
    """ "frontal", "lateral" or None; an unknown word is a problem, none is not."""
    view = VIEWS.get(value.strip().lower())
    if view or not value.strip():
        return view, None
    expected = "Frontal or Lateral, or PA, AP, LL, RL"
    return None, InputError(where, f"{column} '{value.strip()}'", expected, "correct it or leave it empty")


def _strange(uid: str, name: str) -> bool:
    """Whether the name of a film says that it is of another patient."""
    return image_key(name)[0] not in (None, uid)


def _other_patient(where: str, uid: str, name: str) -> InputError:
    return InputError(where, f"{name} under uid {uid}", f"films of patient {uid}", "correct the uid or the file name")


# --- Open-i ---


def read_openi(
    source: Path, images: Path | None = None, views: Path | None = None, problems: list[str] | None = None
) -> Iterator[Study]:
    """Studies of Open-i's XML, their films named as they lie in `images` (.png, .jpg or .dcm, found by their ids).

    Views come from the table `views` (see `read_views`), else from the header of a DICOM film, else from nowhere.

    Raises:
        InputError: as `read_archive` and `read_views`, or two files of one film.
    """
    files = {} if images is None else _films(images)
    known = {} if views is None else read_views(views, problems)
    for study in read_archive(source, problems):
        pairs = []
        for name, _ in study.images:
            path, view = files.get(image_key(name)), known.get(image_key(name))
            if path and views is None and path.suffix.lower() == ".dcm":
                view = _dicom_view(path, problems)
            pairs.append((path.relative_to(images).as_posix() if path else PurePosixPath(name).name, view))
        yield replace(study, images=tuple(pairs))


def read_archive(source: str | os.PathLike, problems: list[str] | None = None) -> Iterator[Study]:
    """Studies of a folder of XML, of the collection's archive, or of a wheel that holds it. No view is known.

    Nothing is unpacked to disk, and no entity of an XML is declared or fetched.

    Args:
        problems: takes a line for each report that cannot be used; without it the first one raises.

    Raises:
        InputError: no such source, another kind of file, or a damaged archive.
    """
    first: dict[str, str] = {}
    for where, content in _reports(Path(source)):
        try:
            if isinstance(content, InputError):
                raise content
            study = _study(where, content)
            if study.uid in first:
                found = f"uid {study.uid} again (first: {first[study.uid]})"
                raise InputError(where, found, "one report a uid", "drop one of them")
        except InputError as problem:
            if problems is None:
                raise
            problems.append(str(problem))
        else:
            first[study.uid] = where
            yield study


def read_views(path: str | os.PathLike, problems: list[str] | None = None) -> dict[tuple[str | None, str], str]:
    """`image_key` -> view, from a CSV with `filename` or `imageid` and `projection` or `View Position`.

    Films without a view are left out; a word that is no view goes to `problems`, or raises without them.

    Raises:
        InputError: no such file, a broken one, or without these columns.
    """
    path = Path(path)
    rows = _table(path, ())
    present = rows[0] if rows else {}
    name = next((column for column in ("filename", "imageid") if column in present), None)
    column = next((column for column in ("projection", "View Position") if column in present), None)
    if name is None or column is None:
        found = f"columns {', '.join(present)}" if len(present) < 9 else f"{len(present)} other columns"
        expected = "a column filename or imageid, and a column projection or View Position"
        raise InputError(path.name, found if present else "no rows", expected, "name the columns so")
    views = {}
    for number, row in enumerate(rows, 1):
        view, problem = _view(f"{path.name}, row {number}", column, row[column])
        if problem and problems is None:
            raise problem
        if problem:
            problems.append(str(problem))
        if view:
            views[image_key(row[name])] = view
    return views


def _reports(source: Path) -> Iterator[tuple[str, bytes | InputError]]:
    """(name, XML or what is wrong with it) of each report."""
    if source.is_dir():
        paths = sorted(source.rglob("*.xml"))
        if not paths:
            raise InputError(source.name, "a folder without .xml", EXPECTED_XML, "name the folder of the reports")
        yield from ((path.name, path.read_bytes()) for path in paths)
    elif not source.is_file():
        raise InputError(source.name, "no such file or folder", EXPECTED_XML, "check the path")
    else:
        with tarfile.open(fileobj=io.BytesIO(_unpacked(source))) as archive:
            for member in archive:
                if member.name.endswith(".xml"):
                    yield PurePosixPath(member.name).name, _member(archive, member)


def _unpacked(source: Path) -> bytes:
    """The tar of the archive, which may lie in a wheel; read to its end, so that a cut one is noticed."""
    content, again = source.read_bytes(), "download it again"
    if content.startswith(b"PK"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as wheel:
                names = [name for name in wheel.namelist() if PurePosixPath(name).name == ARCHIVE]
                if not names:
                    raise InputError(source.name, f"a ZIP without {ARCHIVE}", EXPECTED_XML, "name another archive")
                content = wheel.read(names[0])
        except (zipfile.BadZipFile, EOFError, zlib.error) as error:
            raise InputError(source.name, "a damaged ZIP archive", "a complete one", again) from error
    if not content.startswith(b"\x1f\x8b"):
        raise InputError(source.name, "neither gzip nor ZIP", EXPECTED_XML, "name another archive")
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            tar = file.read(MAX_ARCHIVE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(source.name, "a damaged or truncated archive", "a complete one", again) from error
    if len(tar) > MAX_ARCHIVE_BYTES:
        raise InputError(source.name, "more than 256 MB unpacked", f"{ARCHIVE} (23 MB)", again)
    try:
        tarfile.open(fileobj=io.BytesIO(tar)).close()
    except tarfile.TarError as error:
        raise InputError(source.name, "a gzip file that holds no tar", EXPECTED_XML, "name another archive") from error
    return tar


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes | InputError:
    """A report out of the archive; nothing that leads elsewhere or is no report at all."""
    path = PurePosixPath(member.name)
    where = path.name
    if path.is_absolute() or ".." in path.parts:
        return InputError(where, "a path that leaves the archive", "a report inside it", "use the original archive")
    if not member.isfile():
        return InputError(where, "a link or device", "a report", "use the original archive")
    if member.size > MAX_REPORT_BYTES:
        return InputError(where, f"{member.size:,} bytes", "a report of at most 1 MB", "use the original archive")
    return archive.extractfile(member).read()


class _DoctypeFound(Exception):
    """An XML declares a document type: the collection's never do, and entities come in by it."""


class _Builder(ElementTree.TreeBuilder):
    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise _DoctypeFound


def _study(where: str, content: bytes) -> Study:
    again = "take the report from the original archive"
    try:
        root = ElementTree.fromstring(content, ElementTree.XMLParser(target=_Builder()))
    except _DoctypeFound:
        raise InputError(where, "a document type with entities of its own", "plain XML", again) from None
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # also an encoding that nobody knows
        line = f" (line {error.position[0]})" if isinstance(error, ElementTree.ParseError) else ""
        raise InputError(where, f"broken XML{line}", "a complete report", again) from error
    mark = root.find("uId")
    uid = "" if mark is None else mark.get("id", "").removeprefix("CXR")
    if not uid:
        raise InputError(where, "no uId", "a report of the collection", again)
    names = [image.get("id", "") for image in root.iter("parentImage")]
    if strange := [name for name in names if _strange(uid, name)]:
        raise _other_patient(where, uid, strange[0])
    texts = {part.get("Label"): " ".join("".join(part.itertext()).split()) for part in root.iter("AbstractText")}
    codes = (" ".join("".join(code.itertext()).split()) for code in root.iter("major"))
    mesh = tuple(map(normalized, filter(None, codes)))
    heads = tuple(dict.fromkeys(code.split("/")[0] for code in mesh))
    labels = ("INDICATION", "COMPARISON", "FINDINGS", "IMPRESSION")
    return Study(uid, tuple((name, None) for name in names), mesh, heads, *(texts.get(label, "") for label in labels))


def _films(folder: Path) -> dict[tuple[str | None, str], Path]:
    """`image_key` -> file of each film in a folder and its folders."""
    files: dict[tuple[str | None, str], Path] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in FILM_SUFFIXES):
        key = image_key(path.name)
        if key in files:
            found = f"{files[key].name} and {path.name}"
            raise InputError(folder.name, found, "one file a film", "name a folder with one kind of files")
        files[key] = path
    return files


def _dicom_view(path: Path, problems: list[str] | None) -> str | None:
    """The view that a DICOM film's header names."""
    try:
        import pydicom
    except ImportError:
        expected = "pydicom, or a table of views"
        raise InputError("pydicom", "not installed", expected, 'pip install "hf-medreport[dicom]"') from None
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["ViewPosition"])
        view, problem = _view(path.name, "View Position", str(header.get("ViewPosition") or ""))
    except Exception:  # pydicom meets damaged headers with exceptions of every kind
        view, problem = None, InputError(path.name, "a damaged DICOM header", "a DICOM film", "copy it again")
    if problem and problems is None:
        raise problem
    if problem:
        problems.append(str(problem))
    return view


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's reports."""
    if path.is_file():
        return sha256(path)
    reports = sorted(path.rglob("*.xml"))
    listed = [f"{sha256(one)} {one.relative_to(path).as_posix()}\n" for one in reports]
    return sha256("".join(listed).encode())
