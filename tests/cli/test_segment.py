"""`hf-medreport segment`: what it writes, prints and refuses."""

import json

import numpy as np
import pytest
from PIL import Image

from hf_medreport.evaluation.segmentation import dice
from hf_medreport.registry import shipped, system
from tests.cli.test_cli import run
from tests.tiny import film_array, save_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny(system("anatomy_segmenter"), tmp_path_factory.mktemp("segmenter") / "tiny-segmenter")


@pytest.fixture
def films(tmp_path):
    """Two films and a folder of their true masks."""
    (tmp_path / "masks").mkdir()
    paths = []
    for number, side in enumerate((64, 48)):
        paths.append(tmp_path / f"film{number}.png")
        Image.fromarray(film_array()[:side]).save(paths[-1])
        truth = np.zeros((side, 64), np.uint8)
        truth[10:30, 10:50], truth[20:24, 20:30] = 255, 127
        Image.fromarray(truth).save(tmp_path / "masks" / paths[-1].name)
    return paths


def segment(capsys, *arguments) -> tuple[int, str, str]:
    return run(capsys, "segment", *arguments)


def mask(path) -> np.ndarray:
    return np.asarray(Image.open(path)) > 0


def test_masks_overlay_and_json(capsys, model, films, tmp_path):
    out = tmp_path / "out"
    code, text, err = segment(capsys, *films, "--model", model, "--out", out)
    assert (
        code == 0
        and err == "2 done, 0 failed, 0 left\n"
        and "film0.png" in text
        and f"written: {out}" in text
        and "Dice" not in text
    )
    expected = [f"film{n}_{what}.png" for n in (0, 1) for what in ("heart", "lungs", "overlay")]
    expected += ["manifest.json", "records.jsonl", "segment.json"]
    assert sorted(path.name for path in out.iterdir()) == expected
    record = json.loads((out / "segment.json").read_text())
    assert record["model"] == "tiny-segmenter" and len(record["revision"]) == 16 and record["failures"] == []
    assert record["mean_dice"] is None and str(tmp_path) not in json.dumps(record)
    for film, height in zip(record["films"], (64, 48), strict=True):
        lungs = mask(out / film["film"].replace(".png", "_lungs.png"))
        assert (film["height"], film["width"]) == lungs.shape == (height, 64)
        assert film["lungs_fraction"] == pytest.approx(lungs.mean(), abs=1e-4)
        left, top, right, bottom = film["crop_box"]
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1


def test_dice_against_true_masks(capsys, model, films, tmp_path):
    flags = ["--model", model, "--masks", tmp_path / "masks", "--out", tmp_path / "out"]
    code, text, err = segment(capsys, *films, *flags, "--device", "cpu", "--batch-size", 1, "--json")
    record = json.loads(text)
    assert code == 0 and record == json.loads((tmp_path / "out" / "segment.json").read_text())
    scores = []
    for film in films:
        found = mask(tmp_path / "out" / f"{film.stem}_lungs.png") | mask(tmp_path / "out" / f"{film.stem}_heart.png")
        truth = np.asarray(Image.open(tmp_path / "masks" / film.name))
        scores.append(dice(found, truth == 255, truth == 127))
    assert [film["dice"] for film in record["films"]] == pytest.approx(scores, abs=1e-4)
    assert record["mean_dice"] == pytest.approx(np.mean(scores), abs=1e-4)
    code, text, err = segment(capsys, *films, *flags, "--overwrite")
    assert f"Dice {scores[0]:.4f}" in text and f"mean Dice of lungs or heart: {record['mean_dice']:.4f}" in text


def test_a_bad_film_is_told_and_the_other_done(capsys, model, films, tmp_path):
    (tmp_path / "note.png").write_text("heart normal")
    sources = [tmp_path / "note.png", films[1]]
    code, text, err = segment(capsys, *sources, "--model", model, "--out", tmp_path / "out", "--json")
    record = json.loads(text)
    message, progress = err.splitlines()
    assert code == 1 and progress == "1 done, 1 failed, 0 left"
    assert [film["film"] for film in record["films"]] == ["film1.png"]
    assert record["failures"] == [{"id": "note.png", "film": "note.png", "message": message}]


def save(path, values):
    Image.fromarray(values).save(path)


BAD_FILMS = {
    "damaged": (
        lambda film: film.write_bytes(film.read_bytes()[:500]),
        "film0.png: found a truncated PNG; expected a complete image; copy or export the file again",
    ),
    "blank": (
        lambda film: save(film, np.zeros((64, 64), np.uint8)),
        "film0.png: found every pixel equal (a blank image); expected an image with contrast; check that the export or "
        "the exposure worked",
    ),
    "tiny": (
        lambda film: save(film, np.eye(4, dtype=np.uint8)),
        "film0.png: found an image of 4 x 4 px; expected at least 8 px a side; give the image itself, not an icon or a "
        "placeholder",
    ),
    "absent": (
        lambda film: film.unlink(),
        "film0.png: found no such file; expected an image file; check the path",
    ),
}
BAD_MASKS = {
    "absent": (
        lambda mask: mask.unlink(),
        "film0.png: found no such mask; expected a mask for each film, by its name; add it, or leave out `masks`",
    ),
    "of another size": (
        lambda mask: save(mask, np.zeros((32, 32), np.uint8)),
        "film0.png: found a mask of 32 x 32 px; expected the film's 64 x 64 px; resize it without smoothing",
    ),
    "of other values": (
        lambda mask: save(mask, np.eye(64, dtype=np.uint8) * 200),
        "film0.png: found a mask with 1 other values, such as 200; expected 0, 127 (ignored) and 255; save it as PNG, "
        "without smoothing",
    ),
    "empty": (
        lambda mask: mask.write_bytes(b""),
        "film0.png: found an empty file (0 bytes); expected an image file; copy or export the file again",
    ),
}
BAD_ITEMS = [("films", *pair) for pair in BAD_FILMS.values()] + [("masks", *pair) for pair in BAD_MASKS.values()]
NAMES = [f"a film {name}" for name in BAD_FILMS] + [f"a mask {name}" for name in BAD_MASKS]


@pytest.mark.parametrize(("what", "spoil", "message"), BAD_ITEMS, ids=NAMES)
def test_bad_items_are_listed(capsys, model, films, tmp_path, what, spoil, message):
    """The other film is done and scored; a film whose mask is bad has its masks, but no score."""
    spoil(films[0] if what == "films" else tmp_path / "masks" / films[0].name)
    flags = ["--model", model, "--masks", tmp_path / "masks", "--out", tmp_path / "out", "--json"]
    code, text, err = segment(capsys, *films, *flags)
    record = json.loads(text)
    assert code == 1 and err == message.replace("`masks`", "--masks") + "\n1 done, 1 failed, 0 left\n"
    assert record["failures"] == [{"id": "film0.png", "film": "film0.png", "message": message}]
    scored = {film["film"]: "dice" in film for film in record["films"]}
    assert scored == {"film1.png": True} | ({"film0.png": False} if what == "masks" else {})
    assert (tmp_path / "out" / "film0_lungs.png").exists() == (what == "masks")


BAD_ARGUMENTS = {
    "a model of slides": (
        ("--model", "histgen-tiny"),
        "histgen-tiny: found no segmenter (histgen); expected an anatomy_segmenter, or a report model with one inside "
        "such as anatomical-tiny; give another --model",
    ),
    "a misspelt name": (
        ("--model", "anatomical-tyni"),
        f"anatomical-tyni: found no such model; expected a folder, ORG/NAME or one of {', '.join(shipped('report'))}; "
        "did you mean 'anatomical-tiny'?",
    ),
    "no such masks": (
        ("--masks", "no-masks"),
        "no-masks: found no such folder; expected a folder of masks; correct --masks",
    ),
    "a device": (
        ("--device", "abacus"),
        "--device: found 'abacus'; expected a device of this machine; try cpu",
    ),
    "a revision": (
        ("--revision", "main"),
        "--revision: found 'main' for a folder; expected one for a repository only; leave it out",
    ),
}


@pytest.mark.parametrize(("flags", "message"), BAD_ARGUMENTS.values(), ids=BAD_ARGUMENTS)
def test_wrong_arguments(capsys, films, tmp_path, flags, message):
    code, text, err = segment(capsys, *films, *flags, "--out", tmp_path / "out")
    assert (code, text, err) == (2, "", message + "\n")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_what_cannot_be_read_is_told_by_its_reader(capsys, films, tmp_path, monkeypatch):
    """The parser would end the run for one such film."""
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    code, _, err = segment(capsys, *films, "--masks", "no-masks", "--out", tmp_path / "out")
    assert (code, err.partition(";")[0]) == (2, "no-masks: found no such folder")


def test_out_is_a_file(capsys, films, tmp_path):
    code, text, err = segment(capsys, *films, "--out", films[0])
    assert (code, err) == (2, "film0.png: found a file; expected a folder to write to; choose another --out\n")
