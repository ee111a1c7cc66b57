"""Settings of tiling and the transform of a tile."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError

TILES = np.random.default_rng(0).integers(0, 256, (3, 512, 512, 3), dtype=np.uint8)


def test_the_transform_is_the_originals():
    pixel_values = TileImageProcessor()(TILES, return_tensors="pt").pixel_values
    assert pixel_values.shape == (3, 3, 224, 224) and pixel_values.dtype == torch.float32
    # Resize((224, 224), bicubic) on a PIL image, ToTensor, Normalize, written out.
    resized = np.asarray(Image.fromarray(TILES[1]).resize((224, 224), Image.BICUBIC), np.float64) / 255
    expected = (resized - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(pixel_values[1], expected.transpose(2, 0, 1), atol=1e-6)


def test_arrays_and_pil_images_are_the_same():
    processor = TileImageProcessor(size=32)
    expected = processor(TILES, return_tensors="np").pixel_values
    for images in ([*TILES], [Image.fromarray(tile) for tile in TILES]):
        np.testing.assert_array_equal(processor(images, return_tensors="np").pixel_values, expected)
    np.testing.assert_array_equal(processor(TILES[0], return_tensors="np").pixel_values, expected[:1])


def test_settings_are_saved_with_a_model(tmp_path):
    processor = TileImageProcessor(patch_px=256, overlap_px=16, mpp=0.5, tissue="otsu", size=112)
    processor.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "preprocessor_config.json").read_text())
    assert saved["image_processor_type"] == "TileImageProcessor"
    loaded = TileImageProcessor.from_pretrained(tmp_path)
    assert loaded.to_dict() == processor.to_dict()
    assert (loaded.patch_px, loaded.overlap_px, loaded.level, loaded.mpp) == (256, 16, None, 0.5)
    assert (loaded.tissue, loaded.size) == ("otsu", 112)


def test_the_original_cuts_at_level_0():
    processor = TileImageProcessor()
    assert (processor.level, processor.mpp, processor.patch_px, processor.tissue) == (0, None, 512, "tcga")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"level": 0, "mpp": 0.5},
            "tiling: found level 0 and mpp 0.5; expected one of them; leave out the level or the mpp",
        ),
        ({"level": -1}, "level: found -1; expected a whole number from 0; 0 is the largest level"),
        (
            {"mpp": 0.0},
            "mpp: found 0; expected microns per px above 0; 0.25 is usual for 40x, 0.5 for 20x",
        ),
        (
            {"patch_px": 10**9},
            "patch_px: found 1000000000; expected a whole number from 16 to 16384; 512 is the original's",
        ),
        (
            {"size": 0},
            "size: found 0; expected a whole number from 1 to 16384; give the side in px that the encoder takes",
        ),
        ({"patch_px": 15}, "patch_px: found 15; expected a whole number from 16 to 16384; 512 is the original's"),
        (
            {"patch_px": 64, "overlap_px": 64},
            "overlap_px: found 64; expected a whole number from 0 to 63; let tiles overlap by less than their side",
        ),
        ({"tissue": "hsv"}, "tissue: found 'hsv'; expected tcga, otsu, otsu-keep-ink; choose one of them"),
    ],
)
def test_settings_that_cannot_be(options, message):
    with pytest.raises(InputError) as error:
        TileImageProcessor(**options)
    assert str(error.value) == message


def test_a_tile_of_another_form():
    with pytest.raises(InputError) as error:
        TileImageProcessor()([TILES[0], TILES[1].astype(np.float32)])
    assert str(error.value) == (
        "tile 1: found shape (512, 512, 3), float32; expected (height, width, 3), uint8; convert it"
    )
