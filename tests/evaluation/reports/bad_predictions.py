"""Bad files of predictions, one kind each: their bytes by name. The messages are in `test_bad_predictions.py`.

`predictions.*` is given as the predictions, `references.*` (where there is one) as the references, `other.*` as another
system to be compared with.
"""

import json


def lines(*rows) -> bytes:
    return "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows).encode()


def row(id_="a", prediction="Clear.", reference="Clear lungs.") -> dict:
    return {"id": id_, "prediction": prediction, "reference": reference}


GOOD, SECOND = row(), row("b")
SAID = [{"id": name, "prediction": "Clear."} for name in "abc"]
GIVEN = [{"id": name, "reference": "Clear lungs."} for name in "abc"]
ACCENT = json.dumps(row("c", "Épanchement."), ensure_ascii=False)

FILES = {
    # ids
    "no id in one row": {"predictions.jsonl": lines(GOOD, {"prediction": "x", "reference": "y"})},
    "an empty id": {"predictions.jsonl": lines(GOOD, row(" "))},
    "a null id": {"predictions.jsonl": lines(GOOD, row(None))},
    "an id of a float": {"predictions.jsonl": lines(GOOD, row(1.5))},
    "an id of true": {"predictions.jsonl": lines(row(True))},
    "an id of a list": {"predictions.jsonl": lines(row(["a"]))},
    "the same id twice": {"predictions.jsonl": lines(GOOD, SECOND, GOOD)},
    "the same id as number and as string": {"predictions.jsonl": lines(row(7), row("7"))},
    "the same id twice in a CSV": {"predictions.csv": b"id,prediction,reference\na,x,y\na,z,y\n"},
    "a reference's id twice": {"predictions.jsonl": lines(*SAID), "references.jsonl": lines(*GIVEN, GIVEN[0])},
    # pairing
    "a reference missing": {"predictions.jsonl": lines(*SAID), "references.jsonl": lines(*GIVEN[:2])},
    "a prediction missing": {"predictions.jsonl": lines(*SAID[:1]), "references.jsonl": lines(*GIVEN)},
    "other ids altogether": {"predictions.jsonl": lines(*SAID), "references.json": b'{"x": "y"}'},
    "ids on one side only": {"predictions.jsonl": lines(*SAID), "references.csv": b"Clear lungs.\nEffusion.\nMass.\n"},
    "unequal counts": {"predictions.csv": b"Clear.\nEffusion.\n", "references.csv": b"Clear.\nEffusion.\nMass.\n"},
    "no references at all": {"predictions.jsonl": lines(*SAID)},
    "no predictions at all": {"predictions.jsonl": lines(*GIVEN)},
    # texts
    "a null prediction": {"predictions.jsonl": lines(GOOD, row("b", None))},
    "a prediction of a number": {"predictions.jsonl": lines(GOOD, row("b", 3))},
    "a prediction of NaN": {"predictions.jsonl": lines(row("b", float("nan")))},
    "a prediction of a list": {"predictions.jsonl": lines(row("b", ["Clear."]))},
    "a row without prediction": {"predictions.jsonl": lines(GOOD, {"id": "b", "reference": "y"})},
    "a row without reference": {"predictions.jsonl": lines(GOOD, {"id": "b", "prediction": "x"})},
    "an empty reference": {"predictions.jsonl": lines(GOOD, row("b", "x", " "))},
    "an empty list of references": {"predictions.jsonl": lines(row("b", "x", []))},
    "a number among references": {"predictions.jsonl": lines(row("b", "x", ["y", 3]))},
    "half a character": {"predictions.jsonl": lines(r'{"id": "a", "prediction": "\ud83d", "reference": "y"}')},
    "several kinds at once": {
        "predictions.jsonl": lines(GOOD, row("b", None), "{", row("c", 3), GOOD, row("d", "x", "")),
    },
    # where labels came from
    "a misspelt label_source": {"predictions.jsonl": lines(GOOD | {"label_source": "orakle"})},
    "a label_source of true": {"predictions.jsonl": lines(GOOD, SECOND | {"label_source": True})},
    "a label_source of a list": {"predictions.jsonl": lines(GOOD | {"label_source": ["oracle"]})},
    "a misspelt label_source in a CSV": {
        "predictions.csv": b"id,prediction,reference,label_source\na,x,y,\nb,x,y,Oracle\n"
    },
    # JSON lines
    "broken JSON": {"predictions.jsonl": lines(GOOD, '{"id": "b", "prediction": ')},
    "a list as a line": {"predictions.jsonl": lines(GOOD, '["b", "x", "y"]')},
    "null as a line": {"predictions.jsonl": lines(GOOD, "null")},
    "a field twice": {
        "predictions.jsonl": lines('{"id": "a", "prediction": "x", "prediction": "y", "reference": "z"}')
    },
    "nested without end": {"predictions.jsonl": lines("[" * 200_000)},
    "a JSON list named JSONL": {"predictions.jsonl": b'[\n{"id": "a", "prediction": "x", "reference": "y"}\n]\n'},
    # JSON
    "broken JSON in a JSON file": {"predictions.json": b'[{"id": "a"},\n {"id": "b" "prediction": "x"}]'},
    "JSON lines named JSON": {"predictions.json": lines(GOOD, SECOND)},
    "a string as a JSON file": {"predictions.json": b'"Clear."'},
    "an id twice in a JSON mapping": {"predictions.json": b'{"a": "x", "a": "y"}'},
    "an item that is no object": {"predictions.json": b'[{"id": "a", "prediction": "x", "reference": "y"}, "z"]'},
    "a list without items": {"predictions.json": b"[]"},
    "an annotation without test split": {
        "predictions.jsonl": lines(*SAID),
        "references.json": b'{"train": [{"id": "a", "report": "y"}], "val": []}',
    },
    # CSV
    "a field too many": {"predictions.csv": b"id,prediction,reference\na,x,y\nb,Small, left,y\n"},
    "an open quote": {"predictions.csv": b'id,prediction,reference\na,"x,y\n'},
    "a column twice": {"predictions.csv": b"id,prediction,prediction\na,x,y\n"},
    "columns of another program": {"predictions.csv": b"name,hypothesis\na,x\n"},
    "one column of another name": {
        "predictions.csv": b"Model output\nSmall effusion.\n",
        "references.csv": b"reference\nClear.\n",
    },
    "fields of another sign without header": {
        "predictions.csv": b"1;Small effusion.\n2;Clear lungs.\n",
        "references.csv": b"1;Effusion.\n2;Clear.\n",
    },
    "two spellings of a column": {"predictions.csv": b"id,prediction,Prediction,reference\na,x,y,z\n"},
    "ids of another name in two files": {
        "predictions.csv": b"study_id,prediction\na,x\nb,y\n",
        "references.csv": b"study_id,reference\nb,x\na,y\n",
    },
    "a header alone": {"predictions.csv": b"id,prediction,reference\n"},
    # files and encodings
    "nothing": {"predictions.jsonl": b""},
    "blank lines alone": {"predictions.jsonl": b"\n \n"},
    "another kind of file": {"predictions.xlsx": b"PK"},
    "UTF-16": {"predictions.jsonl": json.dumps(GOOD).encode("utf-16")},
    "UTF-32": {"predictions.jsonl": json.dumps(GOOD).encode("utf-32")},
    "UTF-16 without mark": {"predictions.jsonl": json.dumps(GOOD).encode("utf-16-le")},
    "Latin-1": {"predictions.jsonl": lines(GOOD) + ACCENT.encode("latin-1")},
    "mixed encodings": {"predictions.jsonl": lines(GOOD) + f"{ACCENT}\n".encode() + ACCENT.encode("latin-1") + b"\n"},
    "a byte order mark inside": {"predictions.jsonl": lines(GOOD) + b"\xef\xbb\xbf" + lines(SECOND)},
    # another system
    "another system of other samples": {"predictions.jsonl": lines(GOOD, SECOND), "other.jsonl": lines(GOOD)},
    "another system of other references": {
        "predictions.jsonl": lines(GOOD),
        "other.jsonl": lines(row("a", "Clear.", "Effusion.")),
    },
}
