"""The lung crop as a step of a table, on a segmenter whose masks are known."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet
import pytest
import torch
from PIL import Image

from hf_medreport.dataset_scripts.iu_xray import Sources, prepare, table_features
from hf_medreport.dataset_scripts.parts.lung_crop import crop_lungs
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from tests.cli.test_cli import run
from tests.dataset_scripts.iu_xray_trees import film, write_kaggle


class Segmenter:
    """Sees two lungs and a speck on a grid of 8 x 8, whatever the film shows; or nothing."""

    name = "made-up"
    image_processor = FilmImageProcessor(size=8)

    def __init__(self, sees=True):
        logits = torch.full((1, 2, 8, 8), -4.0)
        if sees:
            logits[0, 0, 2:6, 1:3] = 4  # rows 2 to 5, columns 1 and 2
            logits[0, 0, 2:7, 5:7] = 4  # rows 2 to 6, columns 5 and 6
            logits[0, 0, 0, 7] = 4
        logits[0, 1] = 4  # the heart does not count
        self.logits = logits
        self.model = self

    device = torch.device("cpu")

    def __call__(self, pixel_values):
        assert pixel_values.shape == (1, 3, 8, 8)
        return SimpleNamespace(logits=self.logits)


def picture(stored: dict) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(stored["bytes"])))


@pytest.mark.parametrize("stored", [True, False])
def test_box_and_mask_by_hand(stored):
    shown = film(1, (80, 40))  # a cell of the grid is 10 px wide and 5 high
    buffer = io.BytesIO()
    shown.save(buffer, "PNG")
    frontal = {"bytes": buffer.getvalue(), "path": "1_IM-0001-1001.dcm.png"} if stored else shown
    example = crop_lungs({"frontal": frontal, "uid": "1"}, Segmenter(), margin=0.05)
    # columns 1 to 6 of 8 and rows 2 to 6, a twentieth added: 1/8 - 0.05, 2/8 - 0.05, 7/8 + 0.05, 7/8 + 0.05
    assert example["box"] == pytest.approx([0.075, 0.2, 0.925, 0.925])
    assert (picture(example["frontal"]) == np.asarray(shown)[8:37, 6:74]).all() and example["uid"] == "1"
    mask = picture(example["mask"])
    assert mask.shape == (40, 80) and set(np.unique(mask)) == {0, 255}
    assert mask[20, 20] == mask[20, 60] == 255 and mask[20, 40] == 0
    assert mask[0, 79] == 0, "the speck is no lung"
    assert (mask[10:30, 10:30] == 255).mean() > 0.9 and (mask == 255).sum() == pytest.approx(18 * 50, rel=0.1)
    if stored:
        assert example["frontal"]["path"] == "1_IM-0001-1001.dcm.png"
        assert example["mask"]["path"] == "1_IM-0001-1001.dcm_lungs.png"


def test_a_film_without_lungs_stays_whole():
    shown = film(2, (24, 20))
    example = crop_lungs({"frontal": shown}, Segmenter(sees=False))
    assert example["box"] == [0, 0, 1, 1] and (picture(example["frontal"]) == np.asarray(shown)).all()
    assert not picture(example["mask"]).any()


def test_a_lung_smaller_than_a_pixel_leaves_one():
    """A cell of a grid of 64 is 1/8 px of a film of 8: rounded, its box is empty."""
    segmenter = Segmenter(sees=False)
    segmenter.logits = torch.full((1, 2, 64, 64), -4.0)
    segmenter.logits[0, 0, 63, 33] = 4
    shown = film(3, (8, 8))
    example = crop_lungs({"frontal": shown}, segmenter, margin=0)
    assert example["box"] == [33 / 64, 63 / 64, 34 / 64, 1]
    assert (picture(example["frontal"]) == np.asarray(shown)[7:, 4:5]).all()


def test_a_margin_beyond_the_film():
    with pytest.raises(ValueError, match="crop_margin: found 0.7; expected 0 to 0.5"):
        crop_lungs({"frontal": film(2)}, Segmenter(), margin=0.7)


def test_a_step_of_a_table_is_what_prepare_writes(tmp_path):
    from datasets import load_dataset

    sources = Sources(**write_kaggle(tmp_path, {1: "normal", 2: "Opacity/lung"}))
    for name, segmenter in (("whole", None), ("cropped", Segmenter())):
        prepare(sources, tmp_path / "images", tmp_path / name, split="1:0:0", segmenter=segmenter, margin=0.1)
    whole, cropped = (
        load_dataset(str(tmp_path / name), cache_dir=str(tmp_path / f"{name}_cache"), split="train")
        for name in ("whole", "cropped")
    )
    step = whole.map(lambda row: crop_lungs(row, Segmenter(), margin=0.1), features=table_features(cropped=True))
    assert step.features == cropped.features and len(step) == 2
    for one, two in zip(step, cropped, strict=True):
        assert one == two and one["frontal"].size < one["mask"].size == (24, 20)


def test_the_command_crops_with_a_shipped_segmenter(capsys, tmp_path):
    tables = write_kaggle(tmp_path, {1: "normal"})
    paths = [part for name, path in tables.items() for part in (f"--{name.replace('_', '-')}", path)]
    flags = ["--images", tmp_path / "images", "--out", tmp_path / "out", "--split", "1:0:0", "--json"]
    flags += ["--segmenter", "anatomical-tiny", "--margin", 0.1, "--device", "cpu"]
    code, out, err = run(capsys, "prepare", "iu-xray", *paths, *flags)
    arguments = json.loads(out)["arguments"]
    assert (
        code == 0
        and err == "1 done, 0 failed, 0 left\n"
        and (arguments["segmenter"], arguments["margin"]) == ("anatomical-tiny", 0.1)
    )
    (row,) = pyarrow.parquet.read_table(tmp_path / "out" / "train.parquet").to_pylist()
    assert picture(row["mask"]).shape == (20, 24) and len(row["box"]) == 4
