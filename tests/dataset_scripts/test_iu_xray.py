"""From films and reports to tables of pairs: the rules, the funnel, the bytes. No report here is real."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_medreport.data.tables import ReportDataset
from hf_medreport.dataset_scripts.iu_xray import CleaningRules, clean, prepare, without_token
from hf_medreport.dataset_scripts.parts.iu_xray_sources import Sources, Study
from hf_medreport.dataset_scripts.parts.patient_split import split_of
from hf_medreport.processing.input_error import InputError
from tests.dataset_scripts.iu_xray_trees import (
    film,
    ids_of,
    names_of,
    write_csv,
    write_kaggle,
    write_tgz,
    xml,
)

PAIR = (("f.png", "frontal"), ("l.png", "lateral"))
LUNG, SPINE = "Opacity/lung/base", "Scoliosis"


def study(uid=1, mesh=("normal",), images=PAIR, findings="Clear.", impression="Normal.") -> Study:
    return Study(str(uid), images, tuple(mesh), (), "", "", findings, impression)


STUDIES = [
    study(1),
    study(2, [LUNG]),
    study(3, [LUNG, SPINE]),
    study(4, [SPINE]),
    study(5, ["No Indexing"]),
    study(6, []),
    study(7, images=PAIR[:1]),
    study(8, images=(("a", "frontal"), ("b", "frontal"))),
    study(9, images=(("a", "frontal"), ("b", None))),
    study(10, impression=""),
    study(11, findings="Old XXXX."),
    study(12, impression="XXXX."),
    study(13, images=(*PAIR, ("c.png", "lateral"))),
]


@pytest.mark.parametrize(
    ("rules", "normal", "abnormal"),
    [
        ({}, [1, 11, 12], [2, 3]),
        ({"lung_rule": "every"}, [1, 11, 12], [2]),
        ({"lung_rule": "off"}, [1, 11, 12], [2, 3, 4]),
        ({"lung_terms": [" Scol"]}, [1, 11, 12], [3, 4]),
        ({"normal_rule": "no_lung"}, [1, 4, 11, 12], [2, 3]),
        ({"unindexed": "normal"}, [1, 5, 6, 11, 12], [2, 3]),
        ({"unindexed": "abnormal"}, [1, 11, 12], [2, 3, 5, 6]),
        ({"xxxx_policy": "drop_token"}, [1, 11], [2, 3]),
        ({"xxxx_policy": "drop_report"}, [1], [2, 3]),
    ],
    ids=str,
)
def test_rules_by_hand(rules, normal, abnormal):
    cases, _ = clean(STUDIES, CleaningRules(**rules))
    found = [[int(case.study.uid) for case in cases if case.label == label] for label in (0, 1)]
    assert found == [normal, abnormal]


def test_the_funnel_counts_and_names_who_left():
    _, funnel = clean(STUDIES, CleaningRules(xxxx_policy="drop_report"))
    assert funnel["steps"] == {
        "read": 13,
        "exactly two images": 11,
        "one frontal and one lateral": 9,
        "with impression": 8,
        "indexed": 6,
        "normal, or any code of the lungs": 5,
        "without XXXX": 3,
        "normal": 1,
        "abnormal": 2,
    }
    assert list(funnel["left_out"].values()) == [["7", "13"], ["8", "9"], ["10"], ["5", "6"], ["4"], ["11", "12"]]


def test_without_any_view_the_pairs_are_not_counted():
    unseen = [study(uid, images=(("a", None), ("b", None))) for uid in (1, 2)]
    _, funnel = clean(unseen, CleaningRules())
    assert funnel["steps"]["one frontal and one lateral"] is None and funnel["steps"]["normal"] == 2


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Normal chest x-XXXX.", "Normal chest x."),
        ("XXXX XXXX opacities, XXXX.", "opacities,."),
        ("XXXX.", ""),
        ("No change.", "No change."),
    ],
)
def test_the_mark_of_de_identification_is_taken_out(text, left):
    assert without_token(text) == left


# --- what is written ---

CODES = {uid: ("normal", LUNG, f"{LUNG};{SPINE}")[uid % 3] for uid in range(1, 21)}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kaggle")
    return Sources(**write_kaggle(folder, CODES)), folder / "images"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rows_of(path: Path) -> list[dict]:
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pylist()


def test_the_tables(tree, tmp_path):
    sources, images = tree
    funnel = prepare(sources, images, tmp_path / "out")
    written = {part: rows_of(tmp_path / "out" / f"{part}.parquet") for part in ("train", "validation", "test")}
    assert funnel["parts"] == {part: len(rows) for part, rows in written.items()} and funnel["problems"] == []
    assert sum(funnel["parts"].values()) == funnel["steps"]["readable films"] == 20
    for part, rows in written.items():
        assert [row["uid"] for row in rows] == sorted((row["uid"] for row in rows), key=int)
        for row in rows:
            uid = int(row["uid"])
            assert split_of(row["uid"], (7, 1, 2), 0) == part.replace("validation", "val")
            frontal, lateral = names_of(uid)
            assert row["frontal"] == {"bytes": (images / frontal).read_bytes(), "path": frontal}
            assert row["lateral"] == {"bytes": (images / lateral).read_bytes(), "path": lateral}
            assert (row["findings"], row["impression"]) == ("Clear lungs.", "No acute disease.")
            assert row["mesh"] == CODES[uid].split(";") and row["label"] == int(CODES[uid] != "normal")
    assert json.loads((tmp_path / "out" / "funnel.json").read_text()) == funnel
    card, manifest = (
        (tmp_path / "out" / "README.md").read_text(),
        json.loads(contents(tmp_path / "out")["manifest.json"]),
    )
    assert "license: cc-by-nc-nd-4.0" in card and "Demner-Fushman" in card and "| indexed | 20 |" in card
    assert set(manifest["files"]) == {*contents(tmp_path / "out")} - {"manifest.json"}
    assert set(manifest["arguments"]["sources"]) == {"reports_csv", "projections_csv"}


@pytest.mark.parametrize("embed", [True, False])
def test_tables_are_read_by_us_and_by_datasets(tree, tmp_path, embed):
    from datasets import load_dataset

    sources, images = tree
    prepare(sources, images, tmp_path / "out", embed=embed)
    table = ReportDataset(tmp_path / "out" / "train.parquet", image_column="frontal", text_column="impression")
    assert table[0]["image"].shape == (20, 24) and table[0]["text"] == "No acute disease."
    read = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {part: len(rows) for part, rows in read.items()} == {"train": 15, "validation": 2, "test": 3}
    uid = int(read["train"][0]["uid"])
    assert list(read["train"][0]["lateral"].getdata()) == list(film(2 * uid + 1).getdata())
    assert read["train"].features["label"].names == ["normal", "abnormal"]


def test_workers_and_a_killed_run_change_no_byte(tree, tmp_path):
    sources, images = tree
    prepare(sources, images, tmp_path / "one")

    def killed(studies, total):
        yield from list(studies)[:5]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(sources, images, tmp_path / "two", workers=3, progress=killed)
    assert set(contents(tmp_path / "two")) == {".unfinished.jsonl"}
    (tmp_path / "two" / ".train.parquet.part").write_bytes(b"of a run that was killed")
    prepare(sources, images, tmp_path / "two", workers=3, resume=True)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_open_is_form_writes_the_same_tables(tree, tmp_path):
    sources, images = tree
    reports = {f"ecgen-radiology/{uid}.xml": xml(uid, codes.split(";")) for uid, codes in CODES.items()}
    openi = Sources(xml=write_tgz(tmp_path / "r.tgz", reports), views=sources.projections_csv)
    prepare(sources, images, tmp_path / "kaggle")
    prepare(openi, images, tmp_path / "openi")
    for part in ("train.parquet", "validation.parquet", "test.parquet"):
        assert contents(tmp_path / "kaggle")[part] == contents(tmp_path / "openi")[part]


def test_dicom_films_are_embedded_as_png(tmp_path):
    pytest.importorskip("pydicom")
    from hf_medreport.data.drawn.dicom import film_bytes

    (tmp_path / "films").mkdir()
    for number, (view, name) in enumerate(zip(("frontal", "lateral"), ids_of(1), strict=True)):
        content = film_bytes(np.asarray(film(number, (32, 32))), "p", view, False, False, "x")
        (tmp_path / "films" / f"{name}.dcm").write_bytes(content)
    views = write_csv(tmp_path / "v.csv", [("imageid", "projection"), *zip(ids_of(1), ("PA", "LL"), strict=True)])
    sources = Sources(xml=write_tgz(tmp_path / "r.tgz", {"1.xml": xml(1)}), views=views)
    prepare(sources, tmp_path / "films", tmp_path / "out", split="1:0:0")
    (row,) = rows_of(tmp_path / "out" / "train.parquet")
    assert row["frontal"]["path"] == "CXR1_IM-0001-1001.png"
    assert list(Image.open(io.BytesIO(row["frontal"]["bytes"])).getdata()) == list(film(0, (32, 32)).getdata())


# --- what is wrong ---


def damage(images: Path) -> str:
    (images / names_of(2)[1]).write_bytes((images / names_of(2)[1]).read_bytes()[:60])
    return "2_IM-0002-2001.dcm.png: found a truncated PNG; expected a complete image; copy or export the file again"


def remove(images: Path) -> str:
    (images / names_of(2)[0]).unlink()
    return "2_IM-0002-1001.dcm.png: found no such file; expected an image file; check the path"


def repeat(images: Path) -> str:
    (images / names_of(2)[1]).write_bytes((images / names_of(2)[0]).read_bytes())
    return (
        "uid 2: found 2_IM-0002-1001.dcm.png and 2_IM-0002-2001.dcm.png with the same bytes; expected two views"
        "; copy the films again"
    )


def shrink(images: Path) -> str:
    film(0, (4, 4)).save(images / names_of(2)[0])
    return (
        "2_IM-0002-1001.dcm.png: found an image of 4 x 4 px; expected at least 8 px a side"
        "; give the image itself, not an icon or a placeholder"
    )


@pytest.mark.parametrize("spoil", [damage, remove, repeat, shrink])
def test_a_bad_film_is_told_and_the_others_are_written(tmp_path, spoil):
    tables = write_kaggle(tmp_path, {1: "normal", 2: "normal", 3: LUNG})
    message = spoil(tmp_path / "images")
    funnel = prepare(Sources(**tables), tmp_path / "images", tmp_path / "out", split="1:0:0")
    assert funnel["problems"] == [message] and funnel["steps"]["readable films"] == 2
    assert [row["uid"] for row in rows_of(tmp_path / "out" / "train.parquet")] == ["1", "3"]


def given_tree(folder: Path) -> tuple[Sources, Path]:
    return Sources(**write_kaggle(folder, {1: "normal"})), folder / "images"


def blind(folder: Path) -> dict:
    archive = write_tgz(folder / "r.tgz", {"1.xml": xml(1)})
    return prepare(Sources(xml=archive), given_tree(folder)[1], folder / "out")


def file_in_the_way(folder: Path) -> dict:
    (folder / "out").touch()
    return prepare(*given_tree(folder), folder / "out")


def other_run(folder: Path) -> dict:
    prepare(*given_tree(folder), folder / "out")
    return prepare(*given_tree(folder), folder / "out", seed=1, resume=True)


WRONG = {
    "normal_rule": (
        lambda f: CleaningRules(normal_rule="report"),
        "normal_rule: found 'report'; expected mesh, no_lung; choose one of them",
    ),
    "unindexed": (
        lambda f: CleaningRules(unindexed="keep"),
        "unindexed: found 'keep'; expected drop, normal, abnormal; choose one of them",
    ),
    "lung_rule": (
        lambda f: CleaningRules(lung_rule="some"),
        "lung_rule: found 'some'; expected any, every, off; choose one of them",
    ),
    "xxxx_policy": (
        lambda f: CleaningRules(xxxx_policy="mask"),
        "xxxx_policy: found 'mask'; expected keep, drop_token, drop_report; choose one of them",
    ),
    "no lung terms": (
        lambda f: CleaningRules(lung_terms=()),
        "lung_terms: found none; expected words like lung; name at least one, or set lung_rule to off",
    ),
    "an empty lung term": (
        lambda f: CleaningRules(lung_terms=("lung", " ")),
        "lung_terms: found an empty term; expected words like lung; name at least one, or set lung_rule to off",
    ),
    "a split of two": (
        lambda f: prepare(*given_tree(f), f / "out", split="8:2"),
        "split: found '8:2'; expected three whole numbers like 7:1:2; check `split`",
    ),
    "a split of nothing": (
        lambda f: prepare(*given_tree(f), f / "out", split="0:0:0"),
        "split: found '0:0:0'; expected three whole numbers like 7:1:2; check `split`",
    ),
    "no images": (
        lambda f: prepare(given_tree(f)[0], None, f / "out"),
        "images: found none; expected the folder of the films; give `images`, or only count with `out=None`",
    ),
    "no folder of images": (
        lambda f: prepare(given_tree(f)[0], f / "films", f / "out"),
        "films: found no such folder; expected the folder of the films; check `images`",
    ),
    "images in a file": (
        lambda f: prepare(given_tree(f)[0], write_csv(f / "films", []), f / "out"),
        "films: found a file; expected the folder of the films; check `images`",
    ),
    "views that nobody knows": (
        blind,
        "views: found no film whose view is known; expected a table of views, or DICOM films; give `views`",
    ),
    "nobody left": (
        lambda f: prepare(Sources(**write_kaggle(f, {1: "No Indexing"})), f / "images", f / "out"),
        "rules: found no study left; expected at least one; see the funnel with `out=None`",
    ),
    "a file as out": (
        file_in_the_way,
        "out: found a file; expected a folder to write to; choose another `out`",
    ),
    "another run's folder": (
        other_run,
        "out: found a run with seed 0; expected seed 1 as now"
        "; give the same, begin anew with `overwrite`, or choose another `out`",
    ),
    "a margin beyond the film": (
        lambda f: prepare(*given_tree(f), f / "out", margin=0.6),
        "margin: found 0.6; expected 0 to 0.5, a fraction of the film; 0.05 is usual",
    ),
    "paths with a crop": (
        lambda f: prepare(*given_tree(f), f / "out", embed=False, segmenter=object()),
        "embed: found paths with a crop; expected films inside the tables; leave out `embed` or `segmenter`",
    ),
    "no workers": (
        lambda f: prepare(*given_tree(f), f / "out", workers=0),
        "workers: found 0; expected at least 1; leave it out for 1",
    ),
}


@pytest.mark.parametrize(("act", "message"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_begun_is_refused(tmp_path, act, message):
    with pytest.raises(InputError) as caught:
        act(tmp_path)
    assert str(caught.value) == message
