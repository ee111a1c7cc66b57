"""Films to masks: of the film's own size, the same alone as in a batch, and with a box around the lungs."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.modeling_outputs import SemanticSegmenterOutput

from hf_medreport.files.run_folder import RunFolder
from hf_medreport.hub.folder import save_folder
from hf_medreport.inference.loading import Segmenter, load, load_segmenter, model_revision
from hf_medreport.inference.report import Failure
from hf_medreport.inference.segment import CROP_MARGIN, SegmentFolder, segment_films
from hf_medreport.modeling.lung_crop import crop_boxes, largest_components
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from tests.tiny import save_tiny, tiny_model, tiny_processor

SEGMENTER, REPORT = system("anatomy_segmenter"), system("anatomical_report")


class Threshold(torch.nn.Module):
    """A segmenter whose truth is known: bright is lung, dark is heart; it works at 16 px."""

    device = torch.device("cpu")

    def forward(self, pixels):
        small = torch.nn.functional.adaptive_avg_pool2d(pixels[:, :1], 16)
        return SemanticSegmenterOutput(logits=torch.cat([small - 0.75, 0.25 - small], dim=1))


def threshold() -> Segmenter:
    return Segmenter(Threshold(), FilmImageProcessor(size=32, image_mean=[0, 0, 0], image_std=[1, 1, 1]), "threshold")


def film(folder, name="film.png", side=64):
    """Gray, two bright lungs over 12 of 16 rows, a dark heart between them, and a bright speck at the lower right."""
    values = np.full((side, side), 128, np.uint8)
    cell = side // 16
    values[2 * cell : 14 * cell, 2 * cell : 6 * cell] = 255
    values[2 * cell : 14 * cell, 9 * cell : 13 * cell] = 255
    values[8 * cell : 12 * cell, 6 * cell : 9 * cell] = 0
    values[15 * cell :, 15 * cell :] = 255
    Image.fromarray(values).save(folder / name)
    return folder / name


def test_masks_and_box_of_a_known_film(tmp_path):
    (result,) = segment_films([film(tmp_path)], threshold())
    assert result.lungs.shape == result.heart.shape == (64, 64) and result.lungs.dtype == bool
    assert result.lungs[12:52, 10:22].all() and result.lungs[12:52, 38:50].all()
    assert result.heart[34:46, 26:34].all() and not result.heart[:28].any()
    assert result.lungs[-1, -1] and not (result.lungs & result.heart).any()
    # The lungs are cells 2 to 13 of 16 across and down; the speck is no lung. A margin of 0.05 on every side.
    assert result.crop_box == pytest.approx((2 / 16 - 0.05, 2 / 16 - 0.05, 13 / 16 + 0.05, 14 / 16 + 0.05))


def test_masks_have_the_films_size(tmp_path):
    Image.open(film(tmp_path)).resize((90, 40)).convert("RGB").save(tmp_path / "wide.png")
    (result,) = segment_films([tmp_path / "wide.png"], threshold())
    assert result.lungs.shape == (40, 90) and result.overlay().size == (90, 40)
    record = result.to_json()
    assert (record["height"], record["width"]) == (40, 90) and "dice" not in record
    assert record["lungs_fraction"] == round(float(result.lungs.mean()), 4)


def test_the_box_is_the_one_that_a_report_model_takes(tmp_path):
    segmenter = load_segmenter(device="cpu")
    (result,) = segment_films([film(tmp_path)], segmenter)
    pixels = segmenter.image_processor(read_image(tmp_path / "film.png"), return_tensors="pt")["pixel_values"]
    masks = segmenter.model(pixels).logits[:, 0] > 0
    assert result.crop_box == tuple(crop_boxes(largest_components(masks), 0.05)[0].tolist())


def test_no_lung_is_no_crop(tmp_path):
    values = np.full((32, 32), 128, np.uint8)
    values[0, 0] = 0
    Image.fromarray(values).save(tmp_path / "gray.png")
    (result,) = segment_films([tmp_path / "gray.png"], threshold())
    assert result.crop_box == (0, 0, 1, 1) and not result.lungs.any()
    assert np.asarray(result.overlay()).shape == (32, 32, 3)


def test_one_bad_film_among_batches(tmp_path):
    films = [film(tmp_path, f"{number}.png", side) for number, side in enumerate((64, 32, 48))]
    films.insert(1, tmp_path / "gone.png")
    alone = [next(segment_films([path], threshold())) for path in films]
    for batch_size in (1, 2, 5):
        results = list(segment_films(films, threshold(), batch_size=batch_size))
        assert [result.film for result in results] == ["0.png", "gone.png", "1.png", "2.png"]
        assert isinstance(results[1], Failure)
        for result, single in zip(results, alone, strict=True):
            if not isinstance(result, Failure):
                assert np.array_equal(result.lungs, single.lungs) and result.to_json() == single.to_json()


def test_overlay_shows_lungs_heart_and_box(tmp_path):
    (result,) = segment_films([film(tmp_path, side=320)], threshold())
    pixels = np.asarray(result.overlay()).astype(int)
    red, green, blue = np.moveaxis(pixels, -1, 0)
    lung, heart = np.s_[100:200, 70:90], np.s_[180:210, 140:160]
    assert (blue[lung] > red[lung]).all() and (red[heart] > blue[heart]).all()
    left, top, right, bottom = (round(320 * edge) for edge in result.crop_box)
    assert (pixels[top, left:right] == (255, 214, 10)).all() and (pixels[top:bottom, right - 1] == (255, 214, 10)).all()
    assert (red[5, 5], green[5, 5], blue[5, 5]) == (128, 128, 128)


def test_files(tmp_path):
    (result,) = segment_films([film(tmp_path)], threshold())
    ids = ["p1/film.png", "p2/film.png"]  # of the same name, from two folders
    result.dice = 0.5
    with RunFolder(tmp_path / "out", "segment", {}, records="records.jsonl") as run:
        folder = SegmentFolder(run, [*ids, "p3/note.png"], threshold())
        for id in ids:
            folder.add(id, result, "digest")
        folder.add("p3/note.png", Failure("note.png", "note.png: found text"), "")
        content = folder.finish()
    names = [f"p{number}_film_{what}.png" for number in (1, 2) for what in ("heart", "lungs", "overlay")]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == names
    for what in ("lungs", "heart"):
        with Image.open(tmp_path / "out" / f"p1_film_{what}.png") as picture:
            assert picture.mode == "L" and np.array_equal(np.asarray(picture), 255 * getattr(result, what))
    assert json.loads((tmp_path / "out" / "segment.json").read_text()) == content
    assert [(film["id"], film["film"]) for film in content["films"]] == [(id, "film.png") for id in ids]
    assert content["mean_dice"] == 0.5 and content["crop_margin"] == CROP_MARGIN
    assert content["failures"] == [{"id": "p3/note.png", "film": "note.png", "message": "note.png: found text"}]


def test_a_film_of_an_earlier_run_is_kept_unless_it_has_changed(tmp_path):
    (result,) = segment_films([film(tmp_path)], threshold())
    options = {"records": "records.jsonl"}
    with pytest.raises(RuntimeError, match="cut short"), RunFolder(tmp_path / "out", "segment", {}, **options) as run:
        SegmentFolder(run, ["film.png", "other.png"], threshold()).add("film.png", result, "digest")
        raise RuntimeError("cut short")
    with RunFolder(tmp_path / "out", "segment", {}, resume=True, **options) as run:
        folder = SegmentFolder(run, ["film.png", "other.png"], threshold())
        assert not folder.kept("film.png", "another digest") and not folder.kept("other.png", "digest")
        assert folder.kept("film.png", "digest")
        assert [row["film"] for row in folder.finish()["films"]] == ["film.png"]


# --- loading ---


def test_a_segmenter_of_its_own_folder(tmp_path):
    segmenter = load_segmenter(save_tiny(SEGMENTER, tmp_path / "mine"))
    assert segmenter.name == "mine" and not segmenter.model.training
    assert model_revision(segmenter) == model_revision(Segmenter(tiny_model(SEGMENTER), None, ""))
    assert segmenter.image_processor.to_dict() == tiny_processor(SEGMENTER).to_dict() | {
        "auto_map": segmenter.image_processor.auto_map
    }


def test_the_segmenter_inside_a_report_model(tiny_pipe_folder):
    segmenter = load_segmenter(tiny_pipe_folder)
    assert segmenter.name == tiny_pipe_folder.name
    expected = load(tiny_pipe_folder).model.segmenter
    assert model_revision(segmenter) == model_revision(Segmenter(expected, None, ""))
    assert load_segmenter().name == "anatomical-tiny"


def test_a_model_without_a_segmenter(tmp_path):
    """One that has none by its kind, and one that could carry one."""
    folder = save_folder(
        tiny_model(REPORT, segmenter=None, mask_mode="none"), tiny_processor(REPORT), tmp_path / "bare"
    )
    for model, kind in (("histgen-tiny", "histgen"), (folder, "anatomical_report")):
        with pytest.raises(InputError) as caught:
            load_segmenter(model)
        assert str(caught.value) == (
            f"{model}: found no segmenter ({kind}); expected an anatomy_segmenter, or a report model with one inside "
            "such as anatomical-tiny; give another `model`"
        )


def test_a_segmenter_folder_without_weights(tmp_path):
    folder = save_tiny(SEGMENTER, tmp_path / "mine")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError) as caught:
        load_segmenter(folder)
    assert str(caught.value) == "mine: found no weights; expected model.safetensors; copy the folder again"
