"""What a model wrote beside what it should have written: read from files, checked, paired.

A score of half a file looks like a score. So nothing is left out in silence: rows that cannot be used are an error that
counts them by kind, and what can be used but tells something (empty predictions, reports without the wanted section)
is counted in `notes`.

Reports are taken to be English. Headings of Spanish, German, French and Portuguese are known to the sections, and texts
that have them are counted: no label and no fact is read of them.

    pairs = read_predictions("predictions.jsonl")  # rows {"id", "prediction", "reference"}
    pairs = read_predictions("res.csv", references="gts.csv")
    pairs.predictions, pairs.references
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from hf_medreport.evaluation.reports.prediction_files import (
    NAMES,
    Problems,
    counted,
    kind_of,
    read_rows,
    spelling,
)
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.report_sections import heading_language, select_section, split_sections

__all__ = ["ReportPairs", "read_predictions"]

# What other programs call the field of ids.
LIKE_AN_ID = re.compile(r"(?i:(?:^|[\W_])(?:u?id|image|path|study|file|file ?_?name|key))$|(?<=[a-z])(?:Id|ID|UID)$")
LABEL_SOURCES = ("oracle", "predicted", "none")
MISSING = {"prediction": "write a missing report as an empty string", "reference": "write the report, or drop the row"}


@dataclass(frozen=True)
class ReportPairs:
    """Predictions and references, row for row the same samples.

    Args:
        name: of the file of predictions.
        ids: one a sample, as strings, without spaces around them and in NFC; "1", "2", ... where the files have none.
        predictions: what the model wrote; may be empty.
        references: of each sample one or more; not empty.
        notes: what was found in how many samples, worth saying beside a score.
        left_out: (id, why) of samples that a section's choice took away.
        oracle: ids of predictions whose writer was given labels that were taken from the reference.
    """

    name: str
    ids: list[str]
    predictions: list[str]
    references: list[list[str]]
    notes: dict[str, int] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    oracle: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def oracle_words(self) -> str | None:
        """What has to stand beside every figure, where labels leaked; None where none did."""
        count = sum(id_ in self.oracle for id_ in self.ids)
        told = f"oracle labels: {count} of {len(self)} reports were written with labels taken from the reference"
        return told if count else None

    def section(self, wanted: str) -> "ReportPairs":
        """The pairs of one section ("findings", "findings+impression").

        A text without any heading is taken whole, as a model that writes findings only writes no heading. A prediction
        that has headings but not this one said nothing there: it is empty. A reference that has headings but not this
        one cannot be compared: its sample goes to `left_out`. All three are counted.

        Raises:
            InputError: an unknown section; no reference has it.
        """
        chosen, counts = [], Counter()
        for id_, prediction, group in zip(self.ids, self.predictions, self.references, strict=True):
            said, given = _part(prediction, wanted), [_part(text, wanted) for text in group]
            if None in given:
                chosen.append((id_, None, None))
                continue
            counts["predictions without headings"] += bool(prediction) and _has_no_heading(prediction)
            counts["references without headings"] += any(map(_has_no_heading, group))
            counts[f"predictions with headings but no {wanted}"] += said is None
            chosen.append((id_, said or "", given))
        kept = [row for row in chosen if row[2] is not None]
        if not kept:
            found = f"no reference with the section {wanted}"
            raise InputError(self.name, found, "at least one", "choose another `section`, or none")
        ids, predictions, references = map(list, zip(*kept, strict=True))
        notes = {name: count for name, count in counts.items() if count}
        return replace(
            self,
            ids=ids,
            predictions=predictions,
            references=references,
            notes=_text_notes(predictions, references) | notes,
            left_out=[(id_, f"the reference has no {wanted}") for id_, _, given in chosen if given is None],
        )

    def same_samples(self, other: "ReportPairs") -> "ReportPairs":
        """`other` in this order of ids.

        Raises:
            InputError: other ids, or another reference of an id.
        """
        _check_same_ids(self.ids, other.ids, self.name, other.name, "a prediction")
        place = {id_: index for index, id_ in enumerate(other.ids)}
        order = [place[id_] for id_ in self.ids]
        references = [other.references[index] for index in order]
        for id_, mine, theirs in zip(self.ids, self.references, references, strict=True):
            if mine != theirs:
                where, expected = f"{other.name}, id '{id_}'", f"the reference that {self.name} has"
                raise InputError(where, "another reference", expected, "use the same `references`")
        return replace(other, ids=self.ids, predictions=[other.predictions[i] for i in order], references=references)


@dataclass
class _Column:
    """One column of texts of a file; `ids` is None where the file has none, `like_ids` a field that may hold them."""

    name: str
    ids: list[str] | None
    texts: list
    like_ids: str | None


def read_predictions(path: str | os.PathLike, references: str | os.PathLike | None = None) -> ReportPairs:
    """Predictions with their references; the kinds of file are in `prediction_files`.

    Args:
        path: the predictions, and the references too unless given apart.
        references: a file of references, which then counts alone. Paired by id where both files have ids, by row
            where neither has.

    Raises:
        InputError: one line for the file or row that cannot be used, with how many there are of each kind.
    """
    path = Path(path)
    problems = Problems()
    rows = read_rows(path, "prediction", problems)
    said = _column(path.name, rows, "prediction", problems)
    sources = [_label_source(where, row, problems) for where, row in rows]
    if references is None:
        given = _column(path.name, rows, "reference", problems, ids=False)
        problems.raise_if_any()
        groups = given.texts
    else:
        problems.raise_if_any()
        file = Path(references)
        rows = read_rows(file, "reference", problems)
        given = _column(file.name, rows, "reference", problems)
        problems.raise_if_any()
        groups = _paired(said, given)
    ids = said.ids or [str(number) for number in range(1, len(said.texts) + 1)]
    oracle = frozenset(id_ for id_, source in zip(ids, sources, strict=True) if source == "oracle")
    return ReportPairs(path.name, ids, said.texts, groups, _text_notes(said.texts, groups), oracle=oracle)


def _column(name: str, rows: list, role: str, problems: Problems, ids: bool = True) -> _Column:
    """The texts of a role and, unless not asked for, the ids; what is wrong goes to `problems`."""
    fields = dict.fromkeys(key for _, row in rows for key in row)
    column = _known(name, fields, role)
    if column is None and rows:
        remedy = "name the field so" if role == "prediction" else "add it, or give `references`"
        found = f"the fields {', '.join(fields)}" if fields else "no fields"
        raise InputError(name, found, f"a field '{role}'", remedy)
    id_column = _known(name, fields, "id") if ids else None
    seen, texts = {}, []
    for where, row in rows:
        if id_column is not None:
            _check_id(where, row, id_column, seen, problems)
        texts.append(_checked_text(where, row, column, role, problems))
    like_ids = next(filter(LIKE_AN_ID.search, fields), None)
    return _Column(name, list(seen) if id_column is not None else None, texts, like_ids)


def _known(name: str, fields: Iterable[str], role: str) -> str | None:
    """The field that holds a role: the first of its names that there is."""
    for known in NAMES[role]:
        found = [field for field in fields if spelling(field) == spelling(known)]
        if len(found) > 1:
            raise InputError(name, f"the fields {', '.join(found)}", f"one field '{known}'", "leave out the others")
        if found:
            return found[0]
    return None


def _check_id(where: str, row: dict, column: str, seen: dict[str, str], problems: Problems) -> None:
    """Add the row's id to `seen` (id -> where), as a string without spaces around it, in NFC.

    7 and "7" are the same, "s1 " and "s1", and the two ways to write an accent: they look the same to whoever reads.
    """
    value = row.get(column)
    if value is None or (isinstance(value, str) and not value.strip()):
        problems.add("without id", where, "no id", "an id that no other row has", "add it, or leave out all ids")
    elif not isinstance(value, str | int) or isinstance(value, bool):
        found = f"{'a fraction' if isinstance(value, float) else kind_of(value)} as '{column}'"
        problems.add("with a bad id", where, found, "a string or a whole number", "write the id as a string")
    elif (id_ := unicodedata.normalize("NFC", str(value).strip())) in seen:
        first = seen[id_].rsplit(", ", 1)[-1]
        problems.add("of an id twice", where, f"id '{id_}' again", "each id once", f"it is also that of {first}")
    else:
        seen[id_] = where


def _label_source(where: str, row: dict, problems: Problems) -> str | None:
    """Where the labels came from that the writer was given; None where the row does not say."""
    source = row.get("label_source")
    if source in (None, ""):  # a CSV has no null
        return None
    if source not in LABEL_SOURCES:
        found = f"'{source}'" if isinstance(source, str) else kind_of(source)
        expected = ", ".join(LABEL_SOURCES)
        problems.add("of an unknown label_source", where, f"{found} as 'label_source'", expected, "correct it")
    return source


def _checked_text(where: str, row: dict, column: str, role: str, problems: Problems):
    """A prediction's string, or a reference's list of strings; None where it is neither."""
    if column not in row:
        problems.add(f"without {role}", where, f"no field '{column}'", "one in every row", MISSING[role])
        return None
    value = row[column]
    group = value if role == "reference" and isinstance(value, list) else [value]
    if not group:
        problems.add("without reference", where, "an empty list of references", "at least one", MISSING[role])
    for text in group:
        if not isinstance(text, str):
            problems.add("of no string", where, f"{kind_of(text)} as '{column}'", "a string", MISSING[role])
        elif not _can_be_written(text):
            found = f"half a character in '{column}'"
            problems.add("of broken characters", where, found, "whole characters", "write the text again")
        elif role == "reference" and not text.strip():
            problems.add("with an empty reference", where, f"an empty '{column}'", "a report", MISSING[role])
    return group if role == "reference" else value


def _can_be_written(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # "\ud83d" in JSON: one half of a pair
        return False
    return True


def _paired(said: _Column, given: _Column) -> list[list[str]]:
    """The references in the order of the predictions."""
    if (said.ids is None) != (given.ids is None):
        with_ids, without = (said, given) if given.ids is None else (given, said)
        remedy = f"add them, or leave them out of {with_ids.name}"
        raise InputError(without.name, "no ids", f"ids, as {with_ids.name} has them", remedy)
    if said.ids is None:
        for column in (said, given):  # by row would be wrong where another program's ids say otherwise
            if column.like_ids:
                found, expected = f"no ids, but a field '{column.like_ids}'", "ids as 'id', by which to pair the files"
                raise InputError(column.name, found, expected, "name the field 'id' in both files, or leave it out")
        if len(said.texts) != len(given.texts):
            expected = f"{len(said.texts)}, one for each row of {said.name}"
            raise InputError(given.name, f"{len(given.texts)} rows", expected, "give both files ids, or the same rows")
        return given.texts
    _check_same_ids(said.ids, given.ids, said.name, given.name, "a reference")
    by_id = dict(zip(given.ids, given.texts, strict=True))
    return [by_id[id_] for id_ in said.ids]


def _check_same_ids(ids: list[str], others: list[str], name: str, other: str, what: str) -> None:
    known, wanted = set(others), set(ids)
    lacking = [id_ for id_ in ids if id_ not in known]
    unused = [id_ for id_ in others if id_ not in wanted]
    if lacking and len(unused) == len(others):
        found = f"ids such as '{others[0]}'"
        raise InputError(other, found, f"those of {name}, such as '{ids[0]}'", "check that the files belong together")
    if lacking:
        found = f"no row for {counted(len(lacking), 'id')}, the first '{lacking[0]}'"
        raise InputError(other, found, f"{what} for every id of {name}", "add the rows")
    if unused:
        found = f"no row for {counted(len(unused), 'id')}, the first '{unused[0]}'"
        expected = f"a prediction for every id of {other}"
        raise InputError(name, found, expected, "add the rows, if need be as empty strings")


def _text_notes(predictions: list[str], references: list[list[str]]) -> dict[str, int]:
    """Counts of what can be scored but should be known."""
    languages = Counter(map(heading_language, [*predictions, *(text for group in references for text in group)]))
    languages.pop(None, None)
    counts = {
        "empty predictions": sum(not text.strip() for text in predictions),
        "predictions with replaced characters (U+FFFD)": sum("\ufffd" in text for text in predictions),
        "references with replaced characters (U+FFFD)": sum("\ufffd" in "".join(group) for group in references),
        "samples of several references": sum(len(group) > 1 for group in references),
        **{f"texts with {name} headings: labels and facts are read in English": n for name, n in languages.items()},
    }
    return {name: count for name, count in counts.items() if count}


def _has_no_heading(text: str) -> bool:
    return set(split_sections(text)) <= {"report"}


def _part(text: str, wanted: str) -> str | None:
    """The wanted section; the whole text where it has no heading; None where it has others only."""
    selected = select_section(text, wanted)
    return text if selected is None and _has_no_heading(text) else selected
