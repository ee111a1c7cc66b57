"""Slides' features and their reports, read lazily and checked at once."""

import json

import numpy as np
import pytest
import torch

from hf_medreport.data.collator import SlideReportCollator
from hf_medreport.data.slide_reports import SlideReports, ThinnedBags
from hf_medreport.processing.feature_files import PatchFeatures, write_features
from hf_medreport.processing.input_error import InputError


def bag(patches: int, width: int = 4) -> PatchFeatures:
    features = np.random.default_rng(patches).normal(size=(patches, width)).astype(np.float32)
    return PatchFeatures(features, np.zeros((patches, 2), np.int64), {"slide": "x"})


@pytest.fixture
def folder(tmp_path):
    """Features of three slides in two kinds of files, and an annotation of two cases."""
    features = tmp_path / "features"
    features.mkdir()
    write_features(features / "a.safetensors", bag(5))
    torch.save(torch.from_numpy(bag(3).features), features / "b1.pt")
    write_features(features / "b2.safetensors", bag(2))
    train = [
        {"id": "a", "report": "Grade 1.", "image_path": ["elsewhere/a.pt"], "split": "train"},
        {"id": "b", "report": "Grade 2.", "image_path": ["b1.pt", "b2.pt"], "split": "train"},
    ]
    (tmp_path / "annotation.json").write_text(json.dumps({"train": train, "val": train[:1], "test": []}))
    return tmp_path


def test_an_annotation(folder):
    reports = SlideReports.from_annotation(folder / "annotation.json", "train", folder / "features")
    assert len(reports) == 2 and list(reports.texts()) == ["Grade 1.", "Grade 2."] and reports.width == 4
    assert reports.lengths == [5, 5]  # 3 + 2: two slides are one case
    first, second = reports[0], reports[1]
    assert np.array_equal(first["slides"][0].features, bag(5).features) and first["text"] == "Grade 1."
    assert [len(one.features) for one in second["slides"]] == [3, 2]


def test_a_table(folder):
    rows = [{"features": "features/a.safetensors", "text": "One."}]
    rows += [{"features": ["features/b1.pt", str(folder / "features/b2.safetensors")], "text": "Two."}]
    (folder / "table.jsonl").write_text("\n".join(map(json.dumps, rows)))
    reports = SlideReports.from_table(folder / "table.jsonl")
    assert [len(record["slides"]) for record in (reports[0], reports[1])] == [1, 2]


UUID = "3F2504E0-4F89-11D3-9A0C-0305E82C3301"
DX = [f"TCGA-AA-0001-01Z-00-DX{number}.{UUID}" for number in (1, 2)]


@pytest.mark.parametrize(
    ("id", "paths"),
    [
        ("TCGA-AA-0001", DX),
        ("TCGA-AA-0001", [f"{name}.svs" for name in DX]),
        ("TCGA-AA-0001", [f"D:\\slides\\{name}.SAFETENSORS" for name in DX]),
        ("TCGA-AA-0001", [f"/slides/{name}.czi" for name in DX]),
        (DX[0], []),
        (f"{DX[0]}.svs", []),
        ("TCGA-AA-0001", f"slides/{DX[0]}.pt"),
    ],
)
def test_names_hold_dots_of_their_own(tmp_path, id, paths):
    for name in (*DX, "TCGA-AA-0001-01Z-00-DX1"):
        write_features(tmp_path / f"{name}.safetensors", bag(2))
    content = {"train": [{"id": id, "report": "Grade 1.", "image_path": paths}]}
    (tmp_path / "annotation.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())  # as Windows saves it
    reports = SlideReports.from_annotation(tmp_path / "annotation.json", "train", tmp_path)
    wanted = DX if isinstance(paths, list) and paths else DX[:1]
    assert [file.name for file in reports.records[0][1]] == [f"{name}.safetensors" for name in wanted]


def test_a_missing_slide_is_named_whole(tmp_path):
    write_features(tmp_path / f"{DX[0].partition('.')[0]}.safetensors", bag(2))
    content = {"train": [{"id": "a", "report": "Grade 1.", "image_path": [DX[0]]}]}
    (tmp_path / "annotation.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"found no features of {DX[0]} in"):
        SlideReports.from_annotation(tmp_path / "annotation.json", "train", tmp_path)


def test_files_of_several_kinds(folder):
    def write(name, **info):
        write_features(folder / "features" / name, PatchFeatures(bag(2).features, bag(2).coordinates, info))

    write("a.safetensors", encoder_revision="aa", mpp="0.5", patch_px="64")
    write("b2.safetensors", encoder_revision="bb", mpp="0.5", patch_px="64")
    path = folder / "annotation.json"
    with pytest.raises(InputError) as error:
        SlideReports.from_annotation(path, "train", folder / "features", on_bad="skip")
    assert str(error.value) == (
        "b2.safetensors: found features of encoder_revision bb; expected encoder_revision aa, as the others before it; "
        "encode all slides alike, or insist with `allow_foreign_features`"
    )
    reports = SlideReports.from_annotation(path, "train", folder / "features", allow_foreign_features=True)
    assert reports.learned_from == {"encoder_revision": ["aa", "bb"], "mpp": [0.5, 0.5], "patch_px": [64]}
    assert reports.silent == ["b1.pt"]
    alone = SlideReports.from_annotation(path, "val", folder / "features")
    assert alone.learned_from["encoder_revision"] == ["aa"] and alone.silent == []


def test_features_are_read_when_asked_for(folder):
    reports = SlideReports.from_annotation(folder / "annotation.json", "train", folder / "features", width=4)
    write_features(folder / "features" / "a.safetensors", bag(5, width=7))
    with pytest.raises(InputError) as error:
        reports[0]
    expected = "annotation.json, train, record 1: found a.safetensors of width 7; expected width 4; encode all slides "
    assert str(error.value) == expected + "with one patch encoder"


def test_a_file_that_broke_is_named_when_lengths_are_asked_for(folder):
    reports = SlideReports.from_annotation(folder / "annotation.json", "train", folder / "features", width=4)
    content = (folder / "features" / "b2.safetensors").read_bytes()
    (folder / "features" / "b2.safetensors").write_bytes(content[:20])
    with pytest.raises(InputError, match="^b2.safetensors: found broken or truncated safetensors;"):
        _ = reports.lengths


def test_bad_records_are_left_out_and_counted(folder, caplog):
    content = json.loads((folder / "annotation.json").read_text())
    content["train"].append({"id": "c", "report": "Grade 3."})
    (folder / "annotation.json").write_text(json.dumps(content))
    reports = SlideReports.from_annotation(folder / "annotation.json", "train", folder / "features", on_bad="skip")
    assert len(reports) == 2
    assert caplog.messages == [
        "annotation.json, train: 1 bad records left out, first: annotation.json, train, record 3: found no features of "
        "c in features/; expected a .safetensors, .pt or .h5 of this name; tile the slide"
    ]


FORM = '{"train": [{"id", "report", "image_path"}], "val": [...], "test": [...]}'
MORE = "(bad records in all: 1; skip_bad_rows leaves them out)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", f"annotation.json: found no valid JSON; expected {FORM}; write the file again"),
        ("[]", f"annotation.json: found a list; expected {FORM}; mend the file"),
        ('{"val": []}', f"annotation.json: found no list 'train'; expected {FORM}; mend the file"),
        (
            '{"train": []}',
            "annotation.json, train: found no usable record; expected features with reports; check the file",
        ),
        (
            '{"train": [{"report": "x"}]}',
            f"annotation.json, train, record 1: found no id; expected a record with id and report; mend the record "
            f"{MORE}",
        ),
        (
            '{"train": ["a"]}',
            f"annotation.json, train, record 1: found no id; expected a record with id and report; mend the record "
            f"{MORE}",
        ),
        (
            '{"train": [{"id": "a", "report": " "}]}',
            "annotation.json, train, record 1: found no text in 'report'; expected a report; fill it in or drop the "
            f"record {MORE}",
        ),
        (
            '{"train": [{"id": "z", "report": "x"}]}',
            "annotation.json, train, record 1: found no features of z in features/; expected a .safetensors, .pt or "
            f".h5 of this name; tile the slide {MORE}",
        ),
        (
            '{"train": [{"id": "a", "report": "x"}, {"id": "a", "report": "y"}]}',
            "annotation.json, train, record 2: found the id a again; expected each id once; drop one of the two "
            f"{MORE}",
        ),
    ],
)
def test_bad_annotations(folder, content, message):
    (folder / "annotation.json").write_text(content)
    with pytest.raises(InputError) as error:
        SlideReports.from_annotation(folder / "annotation.json", "train", folder / "features")
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("gone.json", "train", "features"),
            "gone.json: found no such file; expected an annotation.json; check the path",
        ),
        (
            ("annotation.json", "dev", "features"),
            "split: found 'dev'; expected one of train, val, test; name a split of the annotation",
        ),
        (
            ("annotation.json", "train", "gone"),
            "gone: found no such folder; expected a folder of feature files; check `features`",
        ),
    ],
)
def test_bad_arguments(folder, arguments, message):
    annotation, split, features = arguments
    with pytest.raises(InputError) as error:
        SlideReports.from_annotation(folder / annotation, split, folder / features)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("features,report\na,b\n", "t.csv: found columns features, report; expected a column 'text'; name the column"),
        (
            "features,text\ngone.pt,b\n",
            f"t.csv, record 1: found no file gone.pt; expected an existing feature file; tile the slide {MORE}",
        ),
        (
            "features,text\n,b\n",
            f"t.csv, record 1: found no feature file; expected a path or a list in 'features'; fill it in {MORE}",
        ),
    ],
)
def test_bad_tables(tmp_path, table, message):
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(InputError) as error:
        SlideReports.from_table(tmp_path / "t.csv")
    assert str(error.value) == message


def test_bags_are_thinned_by_seed_epoch_and_record(folder):
    write_features(folder / "features" / "a.safetensors", bag(1000))
    reports = SlideReports.from_annotation(folder / "annotation.json", "train", folder / "features")
    epoch = 0
    thinned = ThinnedBags(reports, 0.5, seed=1, epoch=lambda: epoch)
    assert len(thinned) == 2 and thinned.lengths == [1000, 5] and list(thinned.texts()) == list(reports.texts())
    first = thinned[0]["slides"][0]
    assert 450 < len(first.features) < 1000 and len(first.coordinates) == len(first.features)
    assert np.array_equal(thinned[0]["slides"][0].features, first.features)
    epoch = 1
    assert len(thinned[0]["slides"][0].features) != len(first.features)
    assert ThinnedBags(reports, 1.0, 1, lambda: 0)[0]["slides"][0].features.shape == (1000, 4)  # all are kept
    tiny = ThinnedBags(reports, 0.001, 1, lambda: 0)
    assert all(len(one.features) >= 1 for one in tiny[1]["slides"])


def test_the_collator_hands_cases_over():
    def processor(cases, text_target, max_length):
        return {"patches": [[len(one.features) for one in case["slides"]] for case in cases], "labels": text_target}

    records = [{"slides": [bag(3), bag(2)], "text": "x"}, {"slides": [bag(4)], "text": "y"}]
    with pytest.raises(TypeError):
        SlideReportCollator(processor, 9, allow_foreign_features=True)(records)  # which it then hands over too
    assert SlideReportCollator(processor, 9)(records) == {"patches": [[3, 2], [4]], "labels": ["x", "y"]}
