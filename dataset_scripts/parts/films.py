"""Films with reports as two large collections publish them, and the rules that choose among them.

MIMIC-CXR and CheXpert Plus say the same things in other tables: whose film this is, of which study and view, in which
part of the collection, what its report says, which of CheXpert's 14 observations a labeler found in it. A source (see
`mimic_cxr`, `chexpert_plus`) reads its tables into `Film` objects; `choose` applies the rules and counts what each step
leaves.

    chosen, steps = choose(source, source.films(problems), Rules(), problems)

A thing that is wrong (a report that is not there, tables that contradict each other) is one line in `problems`, and its
film is left out; a thing that the rules leave out is only counted.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from hf_medreport.files.rows import csv_rows
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.label_text import LABELS
from hf_medreport.processing.report_sections import split_sections

__all__ = ["Chosen", "Film", "Rules", "Source", "choose"]

SECTIONS = ("findings", "impression")
FILM_SUFFIXES = (".jpg", ".png", ".dcm", ".jpeg")  # in the order of choice where a film lies there twice
PARTS = {"train": "train", "validate": "validation", "valid": "validation", "validation": "validation", "test": "test"}
GROUPS = {"frontal": ("AP", "PA", "FRONTAL"), "lateral": ("LATERAL", "LL", "RL", "XTABLE LATERAL")}
# Positions of MIMIC-CXR that are neither; a view of no name is one that nobody noted.
OTHER_VIEWS = ("AP AXIAL", "AP LLD", "AP RLD", "PA LLD", "PA RLD", "LAO", "LPO", "RAO", "RPO", "SWIMMERS")
VIEWS = (*GROUPS["frontal"], *GROUPS["lateral"], *OTHER_VIEWS)


@dataclass(frozen=True)
class Film:
    """One film, and what its source's tables say of it.

    Attributes:
        stem: its file below the folder of the films, without ending ("p10/p10000032/s50414267/02aa804e-...").
        id: a name that no other film has and that may be a file's.
        view: one of `VIEWS`, or "" where nobody noted it.
        split: "train", "validation" or "test"; None where the source publishes no parts or none for this film.
        report: the text of its study where the table holds it; None where it lies in a file.
        labels: CheXpert observation -> 1 (there), 0 (not there), -1 (uncertain) of those mentioned; None: not labeled.
    """

    stem: str
    id: str
    patient_id: str
    study_id: str
    view: str
    split: str | None
    report: str | None
    labels: dict[str, int] | None


@dataclass(frozen=True)
class Chosen:
    """A film that the rules keep.

    Attributes:
        positives: the observations that count as there, "No Finding" among them; None: not labeled.
    """

    film: Film
    path: Path
    findings: str | None
    impression: str | None
    text: str
    positives: tuple[str, ...] | None


class Source(Protocol):
    """Where films, reports and labels lie.

    Attributes:
        name: as it stands in `prepare NAME`.
        labels: whose labels they are.
        title, statement: what the collection is called, and under which terms it was given.
        published: whether the source says which part a patient belongs to.
    """

    name: str
    title: str
    statement: str
    labels: str
    published: bool

    def films(self, problems: list[str]) -> list[Film]:
        """All films in a fixed order but those with which something is wrong; `problems` takes a line for each."""

    def report(self, film: Film) -> str:
        """The text of its report, "" where there is none; InputError where it cannot be read."""

    def path(self, film: Film) -> Path:
        """The film's file; InputError where there is none."""

    def digests(self) -> dict[str, str]:
        """SHA-256 of each table."""


@dataclass(frozen=True)
class Rules:
    """Which films stay, and what of them.

    Args:
        sections: which a report must have, and the model is to write: findings, impression or both, joined by a blank.
        views: "frontal" (default), "lateral", "all" (also those of no noted view), or views by name: "AP,PA".
        uncertain: an observation that the labeler calls uncertain counts as there ("positive") or as not there
            ("negative", the default: what is said for certain), or its film is left out ("drop").
    """

    sections: tuple[str, ...] = SECTIONS
    views: str = "frontal"
    uncertain: str = "negative"

    def __post_init__(self):
        sections = tuple(name.strip().lower() for name in self.sections)
        if not sections or len(set(sections)) < len(sections) or not set(sections) <= set(SECTIONS):
            found = f"'{','.join(self.sections)}'"
            raise InputError("sections", found, "findings, impression or both", "like findings,impression")
        if self.uncertain not in ("positive", "negative", "drop"):
            raise InputError("uncertain", f"'{self.uncertain}'", "positive, negative or drop", "choose one of them")
        object.__setattr__(self, "sections", sections)
        self.wanted_views()

    def wanted_views(self) -> Sequence[str]:
        """The names of the views that stay."""
        if self.views == "all":
            return (*VIEWS, "")
        if self.views in GROUPS:
            return GROUPS[self.views]
        names = [name.strip().upper() for name in self.views.split(",")]
        if unknown := [name for name in names if name not in VIEWS]:
            expected = f"frontal, lateral, all, or names among {', '.join(VIEWS)}"
            raise InputError("views", f"'{unknown[0]}'", expected, "check `views`")
        return names

    def positives(self, film: Film) -> tuple[str, ...] | None:
        """The observations of a film that count as there, in `LABELS`' order."""
        if film.labels is None:
            return None
        counted = (1, -1) if self.uncertain == "positive" else (1,)
        return tuple(name for name in LABELS if film.labels.get(name) in counted)


def choose(
    source: Source,
    films: list[Film],
    rules: Rules,
    problems: list[str],
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> tuple[list[Chosen], dict]:
    """The films that the rules keep, and how many each step left.

    Reports are read, films only looked for. What is missing goes to `problems`, a report's line once a study.
    `progress` wraps the films whose reports are read.
    """
    steps = {"films in the tables": len(films)}
    if source.published:
        films = [film for film in films if film.split]
        steps["in a published part"] = len(films)
    views = set(rules.wanted_views())
    films = [film for film in films if film.view in views]
    steps[f"of a wanted view ({rules.views})"] = len(films)
    if rules.uncertain == "drop":
        films = [film for film in films if -1 not in (film.labels or {}).values()]
        steps["without uncertain labels"] = len(films)
    texts = _Texts(source, problems)
    reported = [(film, texts.of(film)) for film in progress(films, len(films))]
    reported = [(film, sections) for film, sections in reported if sections is not None]
    steps["with a report"] = len(reported)
    reported = [(film, sections) for film, sections in reported if set(rules.sections) <= set(sections)]
    steps[f"with {' and '.join(rules.sections)}"] = len(reported)
    chosen = []
    for film, sections in reported:
        try:
            path = source.path(film)
        except InputError as error:
            problems.append(str(error))
            continue
        text = " ".join(sections[name] for name in rules.sections)
        parts = (sections.get(name) for name in SECTIONS)
        chosen.append(Chosen(film, path, *parts, text, rules.positives(film)))
    steps["whose file is there"] = len(chosen)
    steps["of these labeled"] = sum(case.positives is not None for case in chosen)
    return chosen, steps


@dataclass
class _Texts:
    """The sections of each study's report, which is read once."""

    source: Source
    problems: list[str]
    known: dict[str, dict[str, str] | None] = field(default_factory=dict)

    def of(self, film: Film) -> dict[str, str] | None:
        """The findings and the impression that a film's report has, on one line each; None without a report."""
        if film.study_id not in self.known:
            try:
                report = self.source.report(film)
            except InputError as error:
                self.problems.append(str(error))
                report = ""
            sections = split_sections(report)
            flat = {name: " ".join(sections[name].split()) for name in SECTIONS if name in sections}
            self.known[film.study_id] = flat if report.strip() else None
        return self.known[film.study_id]


# --- what the sources share -------------------------------------------------------------------------------------------


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """(what messages call it, row) of each row of a .csv or .csv.gz that has these columns.

    Raises:
        InputError: no rows, a column is not there, or the table is broken.
    """
    number = 0
    for number, row in enumerate(csv_rows(path, columns), 1):
        yield f"{path.name}, row {number}", row
    if not number:
        raise InputError(path.name, "no rows", f"columns {', '.join(columns)}", "take the table from the release")


def the_table(folder: Path, pattern: str, remedy: str) -> Path:
    """The table in a folder whose name fits a pattern, plain before compressed; the last release where there are two.

    Raises:
        InputError: there is none; `remedy` says what to do.
    """
    for suffix in (".csv", ".csv.gz"):
        if paths := sorted(folder.glob(pattern + suffix)):
            return paths[-1]
    raise InputError(folder.absolute().name, f"no {pattern}.csv or .csv.gz", "the release's table", remedy)


def part_of(where: str, value: str) -> str | None:
    """The part of the collection that a table's word means, None of an empty cell.

    Raises:
        InputError: another word.
    """
    word = value.strip().lower()
    if word and word not in PARTS:
        raise InputError(
            where, f"split '{value.strip():.20}'", "train, validate or test", "correct it or leave it empty"
        )
    return PARTS.get(word)


def label_values(where: str, row: dict) -> dict[str, int]:
    """CheXpert observation -> 1, 0 or -1 of those that a row mentions.

    Raises:
        InputError: a value that is none of these, nor empty.
    """
    values = {}
    for name in LABELS:
        cell = row.get(name)
        if cell is None or cell == "" or cell != cell:  # None, an empty cell, or NaN
            continue
        try:
            value = float(cell)
        except (TypeError, ValueError):
            value = None
        if value not in (1, 0, -1):
            raise InputError(where, f"{name} {cell!r:.20}", "1.0, 0.0, -1.0 or nothing", "correct or empty the cell")
        values[name] = int(value)
    return values


def one_part_a_patient(films: Iterable[Film], problems: list[str]) -> list[Film]:
    """The films without those of patients that a table puts into several parts, which would leak into the test."""
    films, parts = list(films), {}
    for film in films:
        if film.split:
            parts.setdefault(film.patient_id, set()).add(film.split)
    torn = {patient: sorted(found) for patient, found in parts.items() if len(found) > 1}
    for patient, found in torn.items():
        where = f"patient {patient}"
        problems.append(
            str(InputError(where, f"films in {' and '.join(found)}", "one part a patient", "mend the split"))
        )
    return [film for film in films if film.patient_id not in torn]


def film_folders(images: Path, inner: Sequence[str], entries: Sequence[str], like: str) -> list[Path]:
    """Of `images` and its folders `inner` those that hold one of the folders `entries`, which messages call `like`.

    Raises:
        InputError: none does.
    """
    name, remedy = images.absolute().name, "name the folder above them"
    if not images.is_dir():
        found = "a file" if images.is_file() else "no such folder"
        raise InputError(name, found, f"a folder with {like}", remedy)
    folders = [images, *(images / one for one in inner)]
    folders = [folder for folder in folders if any((folder / entry).is_dir() for entry in entries)]
    if not folders:
        raise InputError(name, f"a folder without {like}", f"{like} in it, or in its {' or '.join(inner)}", remedy)
    return folders


def film_file(folders: Iterable[Path], film: Film) -> Path:
    """The file of a film, whatever its kind.

    Raises:
        InputError: there is none.
    """
    for folder in folders:
        for suffix in FILM_SUFFIXES:
            path = folder / f"{film.stem}{suffix}"
            if path.is_file():
                return path
    raise InputError(film.id, "no file", " or ".join(FILM_SUFFIXES), "download the film or drop its row")
