"""Pictures that say that they are synthetic: in their metadata, on sight, and on a contact sheet."""

import io

import numpy as np
import pytest
from PIL import Image

from hf_medreport.inference.figures.synthetic import THUMB_PX, contact_sheet, marked, save_synthetic


def film(width=96, height=80, value=128, mode="RGB"):
    return Image.new("RGB", (width, height), (value,) * 3).convert(mode)


def saved(picture, **said) -> bytes:
    file = io.BytesIO()
    save_synthetic(picture, file, said)
    return file.getvalue()


def test_metadata_say_so_and_pixels_stay():
    prompt = "kleiner Erguß, 左"
    read = Image.open(io.BytesIO(saved(film(), prompt=prompt, seed=3, modality=None)))
    assert read.text["synthetic"] == "true" and read.text["prompt"] == prompt and read.text["seed"] == "3"
    assert "modality" not in read.text and read.text["Software"].startswith("hf-medreport ")
    source = read.getxmp()["xmpmeta"]["RDF"]["Description"]["DigitalSourceType"]
    assert source == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert np.array_equal(np.asarray(read), np.asarray(film()))


def test_equal_pictures_are_equal_bytes():
    assert saved(film(), prompt="x") == saved(film(), prompt="x") != saved(film(), prompt="y")


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("side", [64, 256])
def test_the_mark_is_small_and_in_the_lower_left(mode, side):
    plain = film(side, side, mode=mode)
    shown = marked(plain)
    assert (shown.size, shown.mode) == (plain.size, mode)
    changed = np.argwhere((np.asarray(shown) != np.asarray(plain)).reshape(side, side, -1).any(-1))
    top, left = changed.min(0)
    assert left == 0 and changed.max(0)[0] == side - 1 and top > side * 0.75
    assert np.asarray(shown).min() == 0 and np.asarray(shown).max() > 200
    assert np.array_equal(np.asarray(plain), np.asarray(film(side, side, mode=mode)))  # the original stays


@pytest.mark.parametrize(("count", "width", "height"), [(1, 8, 9), (9, 64, 64), (17, 400, 250), (2, 192, 500)])
def test_a_sheet_shows_each_picture(count, width, height):
    values = [(40 + 10 * number, "a caption that is far too long for one cell of the sheet") for number in range(count)]
    sheet = contact_sheet([(film(width, height, value), caption) for value, caption in values])
    shown = set(np.unique(np.asarray(sheet)[..., 0]).tolist())
    assert {value for value, _ in values} <= shown
    assert (sheet.width // THUMB_PX, sheet.height // THUMB_PX) == (min(count, 8), -(-count // 8))
