"""Two views in, classification, report and reconstructions out; what is refused, and exactly what is said of it."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hf_medreport.inference import report_pairs as module
from hf_medreport.inference.loading import load
from hf_medreport.inference.read_pairs import Pair, read_pairs
from hf_medreport.inference.report import Failure
from hf_medreport.inference.report_any import report_any
from hf_medreport.inference.report_pairs import PairReport, report_pairs
from hf_medreport.registry import shipped, system
from tests.bad_input import cut, png_claiming
from tests.cli.test_cli import run
from tests.processing.dicom_files import write_dicom
from tests.tiny import film_array, save_tiny

MISSING = "{} view missing: its learned substitute was used"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(system("cxr_multitask"), tmp_path_factory.mktemp("pairs") / "tiny-pairs")


@pytest.fixture(scope="module")
def pipe(model):
    return load(model)


@pytest.fixture
def films(tmp_path):
    """f0, l0, f1, l1, f2, l2: three pairs, all different."""
    paths = {}
    for number in range(3):
        for view, turned in (("f", film_array()), ("l", film_array().T)):
            paths[f"{view}{number}"] = tmp_path / f"{view}{number}.png"
            Image.fromarray(np.roll(turned, 5 * number, axis=0)).save(paths[f"{view}{number}"])
    return paths


@pytest.fixture
def pairs(films):
    """A complete pair, a frontal film alone, a pair with an empty lateral file, a lateral film alone."""
    films["l1"].write_bytes(b"")
    return [(films["f0"], films["l0"]), (films["f1"], None), (films["f1"], films["l1"]), (None, films["l2"])]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_order_views_and_notes_whatever_the_batch(pipe, pairs, batch_size):
    results = list(report_pairs(pairs, pipe, batch_size=batch_size))
    assert [type(result) for result in results] == [PairReport, PairReport, Failure, PairReport]
    both, frontal, failure, lateral = results
    assert both.views == ("frontal", "lateral") and both.note == ""
    assert frontal.views == ("frontal",) and frontal.note == MISSING.format("lateral")
    assert lateral.views == ("lateral",) and lateral.note == MISSING.format("frontal")
    assert (lateral.film, lateral.film_sha256, lateral.image, lateral.box) == (None, None, None, None)
    assert failure.film == "f1.png + l1.png"
    alone = next(report_pairs(pairs[3:], pipe))
    assert (lateral.text, lateral.sentences[0].text) == (alone.text, alone.sentences[0].text)
    assert lateral.abnormal_probability == pytest.approx(alone.abnormal_probability, abs=1e-5)


def test_a_model_that_learned_no_classification_gives_none(pipe, films, monkeypatch):
    monkeypatch.setattr(pipe.model.config, "abnormal_weight", 0.0)
    (report,) = report_pairs([(films["f0"], films["l0"])], pipe)
    assert (report.classification, report.abnormal_probability) == (None, None)
    assert report.to_text().splitlines()[1] == "no classification: the model was not trained to give one"
    assert report.to_json()["classification"] is None and report.figure().texts


def test_only_one_batch_is_in_memory(pipe, films, monkeypatch):
    read, real = [], module.read_pair
    monkeypatch.setattr(module, "read_pair", lambda pair, **options: read.append(pair) or real(pair))
    results = report_pairs([(films[f"f{n}"], films[f"l{n}"]) for n in range(3)], pipe, batch_size=2)
    next(results)
    assert len(read) == 2


def test_what_a_report_says_is_what_the_model_says(pipe, films):
    report = next(report_pairs([(films["f0"], films["l0"])], pipe))
    inputs = pipe.processor({"frontal": str(films["f0"]), "lateral": str(films["l0"])})
    del inputs["input_ids"], inputs["attention_mask"]
    with torch.no_grad():
        output = pipe.model(**inputs)
    logit = output.abnormal_logits.item()
    assert report.abnormal_probability == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)
    assert report.classification == ("abnormal" if logit >= 0 else "normal")
    assert report.box == pytest.approx(output.boxes[0].tolist())
    for view in ("frontal", "lateral"):
        reconstructions = report.reconstructions[view]
        seen, drawn = (getattr(output, f"{view}_{what}")[0].mean(0) for what in ("target", "reconstruction"))
        np.testing.assert_allclose(reconstructions.seen, seen, atol=1e-5)
        np.testing.assert_allclose(reconstructions.drawn, drawn, atol=1e-5)
        assert -1 <= report.ssim[view] < 1
    assert report.text == pipe({"frontal": str(films["f0"]), "lateral": str(films["l0"])})[0]["generated_text"]
    digests = (hashlib.sha256(films[name].read_bytes()).hexdigest() for name in ("f0", "l0"))
    assert [report.film_sha256, report.lateral_sha256] == list(digests)


def test_a_perfect_reconstruction_has_ssim_1(pipe, films, monkeypatch):
    real = pipe.model.details

    def perfect(seen, full):
        details = real(seen, full)
        return details | {"frontal_reconstruction": details["frontal_target"]}

    monkeypatch.setattr(pipe.model, "details", perfect)
    report = next(report_pairs([(films["f0"], films["l0"])], pipe))
    assert report.ssim["frontal"] == pytest.approx(1, abs=1e-5) and report.ssim["lateral"] < 0.9


def test_a_mask_stands_in_for_the_segmenter(pipe, films, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 8:40] = 255  # columns 8 to 40 of 64, rows 16 to 48, and a margin of 0.05
    Image.fromarray(mask).save(tmp_path / "mask.png")
    report = next(report_pairs([(films["f0"], films["l0"])], pipe, masks=[tmp_path / "mask.png"]))
    assert report.box == pytest.approx((8 / 64 - 0.05, 16 / 64 - 0.05, 40 / 64 + 0.05, 48 / 64 + 0.05))


def test_json_holds_no_pixels_and_no_folders(pipe, films, tmp_path):
    record = next(report_pairs([(films["f0"], films["l0"])], pipe)).to_json()
    assert str(tmp_path) not in json.dumps(record)
    added = {"lateral", "lateral_sha256", "views", "note", "abnormal_probability", "classification", "box", "ssim"}
    assert added <= set(record) and not {"reconstructions", "image", "lateral_image", "prior"} & set(record)
    assert set(record["ssim"]) == {"frontal", "lateral"} and len(record["box"]) == 4


def test_films_by_place_are_frontal_films_alone(pipe, films):
    by_place, alone = (
        next(report_any([films["f0"]], pipe)).to_json(),
        next(report_pairs([(films["f0"], None)], pipe)).to_json(),
    )
    assert by_place == alone and by_place["note"] == MISSING.format("lateral")


def test_a_dicom_pair_of_one_patient(pipe, tmp_path):
    pixels = film_array().astype(np.uint16)
    frontal = write_dicom(tmp_path / "f.dcm", pixels, PatientID="P1 ", ViewPosition="PA")
    lateral = write_dicom(tmp_path / "l.dcm", pixels.T.copy(), PatientID="p1", ViewPosition="LL")
    assert next(report_pairs([(frontal, lateral)], pipe)).views == ("frontal", "lateral")


def test_iu_films_of_one_patient(pipe, films, tmp_path):
    frontal = films["f0"].rename(tmp_path / "CXR12_1_IM-0001-4001.png")
    lateral = films["l0"].rename(tmp_path / "12_IM-0001-3001.dcm.png")
    assert next(report_pairs([(frontal, lateral)], pipe)).classification in ("normal", "abnormal")


def test_released_pixels_are_gone(pipe, films):
    report = next(report_pairs([(films["f0"], films["l0"])], pipe))
    report.release()
    assert report.image is None and report.lateral_image is None and report.reconstructions == {}


class TestCommand:
    def report(self, capsys, *arguments):
        code, out, err = run(capsys, "report", *arguments)
        return code, out, err

    def test_a_pair(self, capsys, model, films, tmp_path):
        flags = ["--frontal", films["f0"], "--lateral", films["l0"], "--model", model, "--out", tmp_path / "out"]
        code, out, err = self.report(capsys, *flags)
        assert code == 0 and out.startswith("f0.png + l0.png\n") and "probability of abnormal: 0." in out
        assert err == "1 done, 0 failed, 0 left\n" and (tmp_path / "out" / "f0_l0_report.png").is_file()
        (record,) = json.loads((tmp_path / "out" / "report.json").read_text())["reports"]
        code, out, err = self.report(capsys, *flags[:-2], "--json")
        assert record.pop("picture") == "f0_l0_report.png" and record["id"] == "f0.png + l0.png"
        assert json.loads(out)["reports"] == [record]

    def test_one_view(self, capsys, model, films, tmp_path):
        flags = ["--lateral", films["l0"], "--model", model]
        code, out, err = self.report(capsys, *flags, "--out", tmp_path / "out")
        assert code == 0 and out.startswith("l0.png\n") and MISSING.format("frontal") in out
        assert (tmp_path / "out" / "l0_report.png").is_file()
        code, out, err = self.report(capsys, films["f0"], "--model", model)
        assert code == 0 and out.startswith("f0.png\n") and MISSING.format("lateral") in out

    def test_a_table_with_bad_rows(self, capsys, model, films, tmp_path):
        (tmp_path / "t").mkdir()
        table = tmp_path / "t" / "pairs.csv"
        rows = [
            "../f0.png,../l0.png",
            "../gone.png,../l1.png",
            f"{films['f1']},",
            ",",
            "../f2.png,../f2.png",
            ",../l2.png",
        ]
        table.write_text("\n".join(["frontal,lateral", *rows]) + "\n")
        code, out, err = self.report(capsys, "--pairs", table, "--model", model, "--batch-size", 2, "--json")
        record = json.loads(out)
        assert code == 1
        assert [(r["film"], r["lateral"]) for r in record["reports"]] == [
            ("f0.png", "l0.png"),
            ("f1.png", None),
            (None, "l2.png"),
        ]
        messages = {
            "gone.png + l1.png": "gone.png: found no such file; expected an image file; check the path",
            "pair 4": (
                "pair 4: found neither a frontal nor a lateral film; expected one or both; name a film or drop the pair"
            ),
            "f2.png + f2.png": (
                "f2.png: found the same picture as f2.png; expected the other view of the same patient; give one view "
                "alone"
            ),
        }
        assert {failure["film"]: failure["message"] for failure in record["failures"]} == messages
        assert err.splitlines() == list(messages.values())


def test_paths_are_relative_to_the_table(tmp_path):
    table = tmp_path / "p.csv"
    table.write_text("uid,lateral,frontal\n1, b.png ,a.png\n2,,/x/c.png\n")
    assert read_pairs(table) == [Pair(tmp_path / "a.png", tmp_path / "b.png"), Pair(Path("/x/c.png"), None)]


# --- bad films: the pair is listed, exit code 1 -----------------------------------------------------------------------


def dicom(path, turned=False, **elements):
    pixels = film_array().astype(np.uint16)
    return write_dicom(path.with_suffix(".dcm"), pixels.T.copy() if turned else pixels, **elements)


def saved(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


SAME_PATIENT, CORRECT = "expected two films of one patient", "correct the pair"
# what is wrong -> (function of both films that spoils them and returns the pair and more flags, message)
BAD_PAIRS = {
    "the same file twice": (
        lambda front, side: (front, front),
        "f0.png: found the same picture as f0.png; expected the other view of the same patient; give one view alone",
    ),
    "a copy in another format": (
        lambda front, side: (front, saved(side.with_suffix(".tif"), film_array())),
        "l0.tif: found the same picture as f0.png; expected the other view of the same patient; give one view alone",
    ),
    "DICOM of two patients": (
        lambda front, side: (dicom(front, PatientID="Secret1"), dicom(side, True, PatientID="Secret2")),
        f"l0.dcm: found another PatientID than in f0.dcm; {SAME_PATIENT}; {CORRECT}",
    ),
    "a lateral DICOM as frontal": (
        lambda front, side: (dicom(front, ViewPosition="LL"), side),
        "f0.dcm: found ViewPosition LL, a lateral film, as the frontal one; expected PA or AP; "
        "give it as the lateral film",
    ),
    "a lateral DICOM by a vendor's word": (
        lambda front, side: (dicom(front, ViewPosition="LATERAL"), None),
        "f0.dcm: found ViewPosition LATERAL, a lateral film, as the frontal one; expected PA or AP; "
        "give it as the lateral film",
    ),
    "two frontals": (
        lambda front, side: (dicom(front, ViewPosition="PA"), dicom(side, True, ViewPosition="AP")),
        "l0.dcm: found ViewPosition AP, a frontal film, as the lateral one; expected LL or RL; "
        "give it as the frontal film",
    ),
    "Open-i films of two patients": (
        lambda front, side: (
            front.rename(front.with_name("CXR12_IM-1.png")),
            side.rename(side.with_name("CXR13_IM-2.png")),
        ),
        f"CXR13_IM-2.png: found a film of patient 13 beside one of patient 12 (CXR12_IM-1.png); {SAME_PATIENT}; "
        f"{CORRECT}",
    ),
    "Kaggle films of two patients": (
        lambda front, side: (
            front.rename(front.with_name("12_IM-1.dcm.png")),
            side.rename(side.with_name("120_IM-2.dcm.png")),
        ),
        f"120_IM-2.dcm.png: found a film of patient 120 beside one of patient 12 (12_IM-1.dcm.png); {SAME_PATIENT}; "
        f"{CORRECT}",
    ),
    "no such file": (
        lambda front, side: (front, side.with_name("gone.png")),
        "gone.png: found no such file; expected an image file; check the path",
    ),
    "a damaged lateral": (
        lambda front, side: (front, cut(side, 0.6)),
        "l0.png: found a truncated PNG; expected a complete image; copy or export the file again",
    ),
    "a film of 1 x 1 px": (
        lambda front, side: (saved(front, np.zeros((1, 1), np.uint8)), side),
        "f0.png: found an image of 1 x 1 px; expected at least 8 px a side; give the image itself, not an icon or a "
        "placeholder",
    ),
    "a film that claims 60,000 px a side": (
        lambda front, side: (front, png_claiming(side, 60_000, 60_000)),
        "l0.png: found an image that claims 60000 x 60000 px; expected at most 100000000 pixels; crop or reduce it, or "
        "raise `max_pixels`",
    ),
    "a blank lateral": (
        lambda front, side: (front, saved(side, np.zeros((64, 64), np.uint8))),
        "l0.png: found every pixel equal (a blank image); expected an image with contrast; check that the export or "
        "the exposure worked",
    ),
    "a folder": (
        lambda front, side: (front.parent, side),
        "films: found a folder; expected an image file; give the image files in it one by one",
    ),
    "a mask of colors": (
        lambda front, side: (
            front,
            side,
            saved(front.with_name("m.png"), np.eye(64, dtype=np.uint8)[..., None] * np.uint8([1, 2, 3])),
        ),
        "m.png: found colors; expected a gray mask, 0 outside the organ; save the mask as a gray PNG",
    ),
    "a mask of other proportions": (
        lambda front, side: (front, side, saved(front.with_name("m.png"), np.eye(32, 64, dtype=np.uint8))),
        "m.png: found a mask of 64 x 32 px; expected the proportions of f0.png, 64 x 64 px; give this film's mask",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_PAIRS.values(), ids=BAD_PAIRS)
def test_bad_pairs_are_listed(pipe, tmp_path, spoil, message):
    folder = tmp_path / "films"
    folder.mkdir()
    frontal, lateral = saved(folder / "f0.png", film_array()), saved(folder / "l0.png", film_array().T)
    good, good_mask = saved(tmp_path / "good.png", film_array()), saved(tmp_path / "good_mask.png", film_array())
    frontal, lateral, *mask = spoil(frontal, lateral)
    masks = [*mask, good_mask] if mask else None
    failure, report = report_pairs([(frontal, lateral), (good, None)], pipe, masks=masks)
    assert failure == Failure(Pair(frontal, lateral).name, message)
    assert report.film == "good.png"


# --- wrong arguments: nothing is done, exit code 2 --------------------------------------------------------------------

WAYS = "expected films, --frontal and --lateral, or --pairs; give one of the three"
NO_LATERAL = (
    "expected one that reads a lateral film too, such as cxr-multitask-tiny; choose another --model, or give the film "
    "without --frontal, --lateral and --pairs"
)
BAD_ARGUMENTS = {
    "nothing": ([], f"report: found no film; {WAYS}"),
    "by place and --frontal": (
        ["f0.png", "--frontal", "f1.png"],
        f"report: found films and --frontal or --lateral; {WAYS}",
    ),
    "--pairs and --lateral": (
        ["--pairs", "p.csv", "--lateral", "l0.png"],
        f"report: found --frontal or --lateral and --pairs; {WAYS}",
    ),
    "by place and --pairs": (["f0.png", "--pairs", "p.csv"], f"report: found films and --pairs; {WAYS}"),
    "--lateral with a model of frontal films": (
        ["--frontal", "f0.png", "--lateral", "l0.png", "--model", "anatomical-tiny"],
        f"--model: found anatomical-tiny, which reads frontal films only; {NO_LATERAL}",
    ),
    "--lateral with a model of slides": (
        ["--lateral", "l0.png", "--model", "histgen-tiny"],
        f"--model: found histgen-tiny, which reads slides only; {NO_LATERAL}",
    ),
    "a model that is not there": (
        ["--lateral", "l0.png", "--model", "cxr-multitask-tyni"],
        "cxr-multitask-tyni: found no such model; expected a folder, ORG/NAME or one of "
        f"{', '.join(shipped('report'))}; HINT",
    ),
    "a mask without a frontal film": (
        ["--lateral", "l0.png", "--mask", "f1.png", "--model", "MODEL"],
        "--mask: found one for l0.png, without a frontal film; expected lungs of frontal films; give --frontal, or "
        "leave out --mask",
    ),
    "two masks": (
        ["--frontal", "f0.png", "--mask", "f1.png", "--mask", "f2.png", "--model", "MODEL"],
        "--mask: found 2 for 1 pair; expected one a pair; give them in the pairs' order",
    ),
    "--slide-mpp": (
        ["--frontal", "f0.png", "--slide-mpp", "0.5", "--model", "MODEL"],
        "--slide-mpp: found 0.5, and tiny-pairs reads films; expected none; leave out --slide-mpp",
    ),
    "a table without a column": (
        ["--pairs", "p.csv"],
        "p.csv: found columns frontal, side; expected columns frontal and lateral; name a column 'lateral'",
    ),
    "an empty table": (
        ["--pairs", "empty.csv"],
        "empty.csv: found an empty file; expected a .csv, .jsonl or .parquet file, or a folder of datasets or Parquet; "
        "write the table again",
    ),
    "a table without rows": (
        ["--pairs", "header.csv"],
        "header.csv: found no rows; expected a pair of films a row; fill in the table",
    ),
    "a line with a field too many": (
        ["--pairs", "long.csv"],
        "long.csv, line 2: found 3 fields; expected 2 as in the header; mend the line",
    ),
    "a table of another kind": (
        ["--pairs", "p.parquet"],
        "p.parquet: found a '.parquet' file; expected a CSV table of pairs; convert it",
    ),
    "a table that is not there": (
        ["--pairs", "gone.csv"],
        "gone.csv: found no such file; expected a .csv, .jsonl or .parquet file, or a folder of datasets or Parquet; "
        "check the path",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_wrong_arguments(capsys, model, films, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    tables = {"p.csv": "frontal,side\na,b\n", "empty.csv": "", "header.csv": "frontal,lateral\n"}
    tables["long.csv"] = "frontal,lateral\na,b,c\n"
    for name, content in tables.items():
        (tmp_path / name).write_text(content)
    arguments = [model if argument == "MODEL" else argument for argument in arguments]
    code, out, err = run(capsys, "report", *arguments, "--out", "out")
    hint = "did you mean 'cxr-multitask-tiny'?" if "cxr-multitask-tiny" in shipped() else "check the path"
    assert (code, out, err) == (2, "", message.replace("HINT", hint) + "\n")
