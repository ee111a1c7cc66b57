"""Dice by hand and by law, and what is said of a true mask that cannot be used."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hf_medreport.evaluation.segmentation import dice, read_reference
from hf_medreport.processing.input_error import InputError


def mask_of(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


def test_dice_by_hand():
    """4 and 3 pixels, 2 in common: 2 * 2 / 7."""
    predicted, reference = mask_of("##..", "##..", "...."), mask_of(".#..", ".#..", ".#..")
    assert dice(predicted, reference) == pytest.approx(4 / 7)
    # Without the last row: 4 and 2 pixels, 2 in common; without the second column nothing is common.
    assert dice(predicted, reference, mask_of("....", "....", "####")) == pytest.approx(4 / 6)
    assert dice(predicted, reference, mask_of(".#..", ".#..", ".#..")) == 0.0


def test_dice_at_its_ends():
    empty, full, left = np.zeros((3, 4), bool), np.ones((3, 4), bool), mask_of("##..", "##..", "##..")
    assert dice(full, full) == 1.0 and dice(left, ~left) == 0.0 and dice(empty, full) == 0.0
    assert dice(empty, empty) == 1.0 and dice(full, left, full) == 1.0  # nothing to find and nothing found


@given(st.integers(0, 10**6), st.floats(0, 1), st.floats(0, 1))
def test_dice_is_symmetric_bounded_and_follows_from_the_overlap(seed, first, second):
    """Dice = 2 J / (1 + J), with J the intersection over the union."""
    rng = np.random.default_rng(seed)
    a, b, ignored = rng.random((6, 7)) < first, rng.random((6, 7)) < second, rng.random((6, 7)) < 0.3
    value = dice(a, b, ignored)
    assert 0 <= value <= 1 and value == dice(b, a, ignored) and dice(a, a, ignored) == 1
    union = ((a | b) & ~ignored).sum()
    if union:
        overlap = (a & b & ~ignored).sum() / union
        assert value == pytest.approx(2 * overlap / (1 + overlap))
    a[ignored] = ~a[ignored]  # what is ignored does not matter
    assert dice(a, b, ignored) == value


def test_dice_of_other_shapes():
    with pytest.raises(ValueError) as caught:
        dice(np.ones((2, 2), bool), np.ones((2, 3), bool))
    assert str(caught.value) == ("dice: found masks of shapes [(2, 2), (2, 3)]; expected one shape; resize one of them")


def saved(path, values):
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path


def test_reading_a_reference(tmp_path):
    values = np.zeros((8, 10), np.uint8)
    values[2:4], values[6, 3] = 255, 127
    for name, array in {"gray.png": values, "rgb.png": np.stack([values] * 3, axis=-1)}.items():
        inside, ignored = read_reference(saved(tmp_path / name, array), (8, 10))
        assert np.array_equal(inside, values == 255) and np.array_equal(ignored, values == 127)
    inside, ignored = read_reference(
        saved(tmp_path / "no_lung.png", values // 255 * 0 + 127 * (values == 127)), (8, 10)
    )
    assert not inside.any() and ignored.sum() == 1
    assert not read_reference(saved(tmp_path / "empty.png", values * 0), (8, 10))[0].any()


GOOD = np.zeros((8, 10), np.uint8)
COLORS = np.zeros((8, 10, 3), np.uint8)
COLORS[..., 0] = 255
BAD = {
    "missing": (
        lambda path: path,
        "film.png: found no such mask; expected a mask for each film, by its name; add it, or leave out `masks`",
    ),
    "another size": (
        lambda path: saved(path, GOOD.T),
        "film.png: found a mask of 8 x 10 px; expected the film's 10 x 8 px; resize it without smoothing",
    ),
    "other values": (
        lambda path: saved(path, GOOD + np.arange(10, dtype=np.uint8)),
        "film.png: found a mask with 9 other values, such as 1; expected 0, 127 (ignored) and 255; save it as PNG, "
        "without smoothing",
    ),
    "0 and 1": (
        lambda path: saved(path, np.eye(8, 10)),
        "film.png: found a mask with 1 other values, such as 1; expected 0, 127 (ignored) and 255; save it as PNG, "
        "without smoothing",
    ),
    "colors": (
        lambda path: saved(path, COLORS),
        "film.png: found colors; expected a gray mask, 0 outside the organ; save the mask as a gray PNG",
    ),
    "text": (
        lambda path: path.write_text("lungs"),
        "film.png: found text; expected PNG, JPEG, TIFF or DICOM; give the image itself or convert it to PNG",
    ),
    "empty": (
        lambda path: path.touch(),
        "film.png: found an empty file (0 bytes); expected an image file; copy or export the file again",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD)
def test_a_bad_reference(tmp_path, make, message):
    make(tmp_path / "film.png")
    with pytest.raises(InputError) as caught:
        read_reference(tmp_path / "film.png", (8, 10))
    assert str(caught.value) == message
