"""Every kind of bad file of predictions and exactly what is said of it. The files: `bad_predictions.py`."""

import pytest

from hf_medreport.evaluation.reports.predictions import read_predictions
from hf_medreport.processing.input_error import InputError
from tests.evaluation.reports.bad_predictions import FILES

MESSAGES = {
    "a misspelt label_source": (
        "predictions.jsonl, line 1: found 'orakle' as 'label_source'; expected oracle, predicted, none; correct it"
    ),
    "a label_source of true": (
        "predictions.jsonl, line 2: found a truth value as 'label_source'; expected oracle, predicted, none; correct it"
    ),
    "a label_source of a list": (
        "predictions.jsonl, line 1: found a list as 'label_source'; expected oracle, predicted, none; correct it"
    ),
    "a misspelt label_source in a CSV": (
        "predictions.csv, line 3: found 'Oracle' as 'label_source'; expected oracle, predicted, none; correct it"
    ),
    "no id in one row": (
        "predictions.jsonl, line 2: found no id; expected an id that no other row has; add it, or leave out all ids"
    ),
    "an empty id": (
        "predictions.jsonl, line 2: found no id; expected an id that no other row has; add it, or leave out all ids"
    ),
    "a null id": (
        "predictions.jsonl, line 2: found no id; expected an id that no other row has; add it, or leave out all ids"
    ),
    "an id of a float": (
        "predictions.jsonl, line 2: found a fraction as 'id'"
        "; expected a string or a whole number; write the id as a string"
    ),
    "an id of true": (
        "predictions.jsonl, line 1: found a truth value as 'id'"
        "; expected a string or a whole number; write the id as a string"
    ),
    "an id of a list": (
        "predictions.jsonl, line 1: found a list as 'id'; expected a string or a whole number; write the id as a string"
    ),
    "the same id twice": (
        "predictions.jsonl, line 3: found id 'a' again; expected each id once; it is also that of line 1"
    ),
    "the same id as number and as string": (
        "predictions.jsonl, line 2: found id '7' again; expected each id once; it is also that of line 1"
    ),
    "the same id twice in a CSV": (
        "predictions.csv, line 3: found id 'a' again; expected each id once; it is also that of line 2"
    ),
    "a reference's id twice": (
        "references.jsonl, line 4: found id 'a' again; expected each id once; it is also that of line 1"
    ),
    "a reference missing": (
        "references.jsonl: found no row for 1 id, the first 'c'"
        "; expected a reference for every id of predictions.jsonl; add the rows"
    ),
    "a prediction missing": (
        "predictions.jsonl: found no row for 2 ids, the first 'b'"
        "; expected a prediction for every id of references.jsonl; add the rows, if need be as empty strings"
    ),
    "other ids altogether": (
        "references.json: found ids such as 'x'"
        "; expected those of predictions.jsonl, such as 'a'; check that the files belong together"
    ),
    "ids on one side only": (
        "references.csv: found no ids"
        "; expected ids, as predictions.jsonl has them; add them, or leave them out of predictions.jsonl"
    ),
    "unequal counts": (
        "references.csv: found 3 rows"
        "; expected 2, one for each row of predictions.csv; give both files ids, or the same rows"
    ),
    "no references at all": (
        "predictions.jsonl: found the fields id, prediction; expected a field 'reference'; add it, or give `references`"
    ),
    "no predictions at all": (
        "predictions.jsonl: found the fields id, reference; expected a field 'prediction'; name the field so"
    ),
    "a null prediction": (
        "predictions.jsonl, line 2: found null as 'prediction'"
        "; expected a string; write a missing report as an empty string"
    ),
    "a prediction of a number": (
        "predictions.jsonl, line 2: found a number as 'prediction'"
        "; expected a string; write a missing report as an empty string"
    ),
    "a prediction of NaN": (
        "predictions.jsonl, line 1: found a number as 'prediction'"
        "; expected a string; write a missing report as an empty string"
    ),
    "a prediction of a list": (
        "predictions.jsonl, line 1: found a list as 'prediction'"
        "; expected a string; write a missing report as an empty string"
    ),
    "a row without prediction": (
        "predictions.jsonl, line 2: found no field 'prediction'"
        "; expected one in every row; write a missing report as an empty string"
    ),
    "a row without reference": (
        "predictions.jsonl, line 2: found no field 'reference'"
        "; expected one in every row; write the report, or drop the row"
    ),
    "an empty reference": (
        "predictions.jsonl, line 2: found an empty 'reference'; expected a report; write the report, or drop the row"
    ),
    "an empty list of references": (
        "predictions.jsonl, line 1: found an empty list of references"
        "; expected at least one; write the report, or drop the row"
    ),
    "a number among references": (
        "predictions.jsonl, line 1: found a number as 'reference'; expected a string; write the report, or drop the row"
    ),
    "half a character": (
        "predictions.jsonl, line 1: found half a character in 'prediction'"
        "; expected whole characters; write the text again"
    ),
    "several kinds at once": (
        "predictions.jsonl, line 3: found broken JSON (Expecting property name enclosed in double quotes)"
        "; expected one object a line"
        "; name a file of one JSON value .json "
        "(faults in all: 5: 1 of broken JSON, 2 of no string, 1 of an id twice, 1 with an empty reference)"
    ),
    "broken JSON": (
        "predictions.jsonl, line 2: found broken JSON (Expecting value); expected one object a line; mend the line"
    ),
    "a list as a line": "predictions.jsonl, line 2: found a list; expected one object a line; mend the line",
    "null as a line": "predictions.jsonl, line 2: found null; expected one object a line; mend the line",
    "a field twice": (
        "predictions.jsonl, line 1: found the field 'prediction' twice; expected each field once; mend the line"
    ),
    "nested without end": (
        "predictions.jsonl, line 1: found broken JSON (too large or too deep)"
        "; expected one object a line; mend the line"
    ),
    "a JSON list named JSONL": (
        "predictions.jsonl, line 1: found broken JSON (Expecting value)"
        "; expected one object a line; name a file of one JSON value .json (faults in all: 2: 2 of broken JSON)"
    ),
    "broken JSON in a JSON file": (
        "predictions.json, line 2: found broken JSON (Expecting ',' delimiter); expected one JSON value; mend the line"
    ),
    "JSON lines named JSON": (
        "predictions.json, line 2: found broken JSON (Extra data)"
        "; expected one JSON value; mend the line, or name the file .jsonl"
    ),
    "a string as a JSON file": (
        "predictions.json: found a string; expected a list of objects; write one object a report"
    ),
    "an id twice in a JSON mapping": (
        "predictions.json: found the field 'a' twice; expected each field once; mend the file"
    ),
    "an item that is no object": (
        "predictions.json, item 2: found a string; expected an object with the report's fields; mend it"
    ),
    "a list without items": "predictions.json: found no rows; expected at least one report; check what wrote the file",
    "an annotation without test split": (
        "references.json: found the splits train, val; expected a split 'test'; save the split as a list"
    ),
    "a field too many": "predictions.csv, line 3: found 4 fields; expected 3 as in the header; mend the line",
    "an open quote": (
        "predictions.csv, line 2: found broken CSV (unexpected end of data)"
        "; expected quoted fields that end; mend the line"
    ),
    "a column twice": (
        "predictions.csv: found the column 'prediction' twice; expected each column once; mend the header"
    ),
    "columns of another program": (
        "predictions.csv: found the fields name, hypothesis; expected a field 'prediction'; name the field so"
    ),
    "one column of another name": (
        "predictions.csv: found one column, which begins with 'Model output'"
        "; expected a header 'prediction', or reports; write the header 'prediction' above the reports"
    ),
    "fields of another sign without header": (
        "predictions.csv: found fields parted by ';' and no header"
        "; expected a header such as id;prediction; write the header above the reports"
    ),
    "two spellings of a column": (
        "predictions.csv: found the fields prediction, Prediction"
        "; expected one field 'prediction'; leave out the others"
    ),
    "ids of another name in two files": (
        "predictions.csv: found no ids, but a field 'study_id'"
        "; expected ids as 'id', by which to pair the files; name the field 'id' in both files, or leave it out"
    ),
    "a header alone": "predictions.csv: found no rows; expected at least one report; check what wrote the file",
    "nothing": (
        "predictions.jsonl: found an empty file (0 bytes); expected a .jsonl, .json or .csv file; write it again"
    ),
    "blank lines alone": "predictions.jsonl: found no rows; expected at least one report; check what wrote the file",
    "another kind of file": "predictions.xlsx: found a '.xlsx' file; expected a .jsonl, .json or .csv file; convert it",
    "UTF-16": "predictions.jsonl: found UTF-16 text; expected UTF-8; save the file as UTF-8",
    "UTF-32": "predictions.jsonl: found UTF-32 text; expected UTF-8; save the file as UTF-8",
    "UTF-16 without mark": "predictions.jsonl, line 1: found a zero byte; expected UTF-8 text; save the file as UTF-8",
    "Latin-1": (
        "predictions.jsonl, line 2: found text that is not UTF-8 on 1 line; expected UTF-8; save the file as UTF-8"
    ),
    "mixed encodings": (
        "predictions.jsonl, line 3: found mixed encodings: UTF-8 on 1 line, not so on 1 line"
        "; expected UTF-8 throughout; mend the lines; the file was put together from several"
    ),
    "a byte order mark inside": (
        "predictions.jsonl, line 2: found a byte order mark inside the file"
        "; expected one file; remove it: files were joined"
    ),
    "another system of other samples": (
        "other.jsonl: found no row for 1 id, the first 'b'"
        "; expected a prediction for every id of predictions.jsonl; add the rows"
    ),
    "another system of other references": (
        "other.jsonl, id 'a': found another reference"
        "; expected the reference that predictions.jsonl has; use the same `references`"
    ),
}


def test_there_are_enough_and_each_has_its_message():
    assert set(MESSAGES) == set(FILES) and len(MESSAGES) >= 40


@pytest.mark.parametrize("fault", FILES, ids=lambda name: name.replace(" ", "-"))
def test_bad_predictions(fault, tmp_path):
    paths = {}
    for name, content in FILES[fault].items():
        paths[name.split(".")[0]] = tmp_path / name
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        pairs = read_predictions(paths["predictions"], paths.get("references"))
        pairs.same_samples(read_predictions(paths["other"]))
    assert str(caught.value) == MESSAGES[fault]


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(InputError) as caught:
        read_predictions(tmp_path / "gone.jsonl")
    assert str(caught.value) == (
        "gone.jsonl: found no such file; expected a .jsonl, .json or .csv file; check the path"
    )
    with pytest.raises(InputError) as caught:
        read_predictions(tmp_path)
    assert str(caught.value).endswith(": found a folder; expected a .jsonl, .json or .csv file; name the file in it")
