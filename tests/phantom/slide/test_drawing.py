"""The drawn slide: the same pixels whoever asks, no seams, every fact in its place, what goes wrong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.phantom.slide import drawing
from hf_medreport.phantom.slide.drawing import SlideDrawing
from hf_medreport.phantom.slide.findings import SlideFacts
from hf_medreport.processing.input_error import InputError

SIZE = 1024
FACTS = SlideFacts(
    "breast",
    "invasive ductal carcinoma",
    grade=2,
    necrosis="focal",
    inflammation="marked",
    mitoses=20,
    margin="positive",
    size_cm=3.0,
    nodes_positive=2,
    nodes_examined=4,
)


@pytest.fixture(scope="module")
def slide() -> SlideDrawing:
    return SlideDrawing(FACTS, 7, SIZE, 1.0, pen=True)


@pytest.fixture(scope="module")
def whole(slide) -> np.ndarray:
    return slide.region(0, 0, SIZE, SIZE)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, SIZE - 1), st.integers(0, SIZE - 1), st.integers(1, 300), st.integers(1, 300))
def test_any_region_is_a_part_of_the_whole(slide, whole, x, y, width, height):
    width, height = min(width, SIZE - x), min(height, SIZE - y)
    region = slide.region(x, y, width, height)
    assert region.dtype == np.uint8 and region.shape == (height, width, 3)
    np.testing.assert_array_equal(region, whole[y : y + height, x : x + width])


def test_pixels_do_not_depend_on_what_was_drawn_before(whole):
    other = SlideDrawing(FACTS, 7, SIZE, 1.0, pen=True)
    np.testing.assert_array_equal(other.region(600, 600, 200, 100), whole[600:700, 600:800])


@pytest.mark.parametrize("mpp", [0.5, 1.0])
def test_blocks_join_without_seams(monkeypatch, mpp):
    """Cut elsewhere, the same slide comes out, but for the sensor's noise and a rounded corner here and there."""

    def drawn(block: int) -> np.ndarray:
        monkeypatch.setattr(drawing, "BLOCK", block)
        return SlideDrawing(FACTS, 7, SIZE, mpp).region(0, 0, SIZE, SIZE).astype(int)

    difference = abs(drawn(512) - drawn(256))
    assert (difference > 14).mean() < 1e-5


def test_truth_is_what_lies_in_the_region(slide):
    everything = slide.truth(0, 0, SIZE, SIZE)
    assert set(everything) == {"tissue", "tumor", "necrosis", "inflammation", "node", "ink", "pen"}
    assert all(0 < share < 1 for share in everything.values())
    # Quarters add up to the whole, also where they cut cells of the grid.
    cuts = [(0, 301), (301, SIZE - 301)]
    parts = [(slide.truth(x, y, w, h), w * h / SIZE**2) for x, w in cuts for y, h in cuts]
    for name, share in everything.items():
        assert sum(part[name] * weight for part, weight in parts) == pytest.approx(share)
    maps = slide.truth_map(64)
    for name, share in everything.items():
        assert maps[name].shape == (64, 64) and maps[name].mean() == pytest.approx(share, abs=0.02)


def test_tissue_is_stained_and_glass_is_white(slide, whole):
    maps = {name: np.repeat(np.repeat(part, 8, 0), 8, 1) for name, part in slide.truth_map(128).items()}
    bare = whole[~maps["tissue"] & ~maps["pen"] & ~maps["ink"]].astype(float)
    assert np.median(bare) > 232 and np.ptp(bare.mean(0)) < 4
    red, green, blue = whole[maps["tissue"] & ~maps["pen"] & ~maps["ink"]].mean(0)
    assert green < min(red, blue) - 25  # pink and violet
    assert whole[maps["node"]].mean() < whole[maps["tissue"] & ~maps["node"]].mean() - 25
    assert whole[maps["ink"]].mean() < 110
    necrosis, tumor = maps["necrosis"] & ~maps["pen"], maps["tumor"] & ~maps["necrosis"] & ~maps["pen"]
    assert whole[necrosis].mean() > whole[tumor].mean() + 12


def test_the_held_back_style_is_darker_and_noisier(whole):
    held_back = SlideDrawing(FACTS, 7, SIZE, 1.0, "held_back", pen=True).region(0, 0, SIZE, SIZE)
    assert held_back.mean() < whole.mean() - 4
    corner = (slice(0, 60), slice(0, 60))
    assert held_back[corner].std() > 2 * whole[corner].std()
    assert (held_back != whole).mean() > 0.9


@pytest.mark.parametrize("size", [256, 1000, 40_000])
def test_any_size_has_a_section_in_the_middle(size):
    region = SlideDrawing(FACTS, 3, size, 0.5).region(size // 2 - 64, size // 2 - 64, 128, 128)
    assert region.mean() < 225 and region.std() > 15


def test_patients_differ_and_the_last_pixel_is_there(whole):
    other = SlideDrawing(FACTS, (1 << 64) - 1, SIZE, 1.0)
    assert (other.region(300, 300, 200, 200) != whole[300:500, 300:500]).mean() > 0.9
    assert other.region(SIZE - 1, SIZE - 1, 1, 1).shape == (1, 1, 3)


SLIDE = (FACTS, 1, 512, 1.0)
MESSAGES = [
    (
        lambda: SlideDrawing(FACTS, 1, 100, 1.0),
        "size: found 100; expected 256 to 131072 whole px; choose another size",
    ),
    (
        lambda: SlideDrawing(FACTS, 1, 1024.5, 1.0),
        "size: found 1024.5; expected 256 to 131072 whole px; choose another size",
    ),
    (
        lambda: SlideDrawing(FACTS, 1, 200_000, 1.0),
        "size: found 200000; expected 256 to 131072 whole px; choose another size",
    ),
    (lambda: SlideDrawing(FACTS, 1, 512, 0.0), "mpp: found 0.0; expected 0.2 to 4.0 um a pixel; choose another mpp"),
    (lambda: SlideDrawing(FACTS, 1, 512, "1"), "mpp: found '1'; expected 0.2 to 4.0 um a pixel; choose another mpp"),
    (
        lambda: SlideDrawing(FACTS, 1, 512, float("nan")),
        "mpp: found nan; expected 0.2 to 4.0 um a pixel; choose another mpp",
    ),
    (
        lambda: SlideDrawing(*SLIDE, "fluorescent"),
        "style: found 'fluorescent'; expected one of standard, held_back; name a known style",
    ),
    (
        lambda: SlideDrawing(*SLIDE).region(500, 0, 13, 1),
        "region: found 13 x 1 px at (500, 0); expected at least one pixel, within 512 x 512"
        "; ask for a part of the slide",
    ),
    (
        lambda: SlideDrawing(*SLIDE).region(-1, 0, 5, 5),
        "region: found 5 x 5 px at (-1, 0); expected at least one pixel, within 512 x 512; ask for a part of the slide",
    ),
    (
        lambda: SlideDrawing(*SLIDE).truth(0, 0, 0, 5),
        "region: found 0 x 5 px at (0, 0); expected at least one pixel, within 512 x 512; ask for a part of the slide",
    ),
]


@pytest.mark.parametrize(("make", "message"), MESSAGES, ids=range(len(MESSAGES)))
def test_what_cannot_be_drawn_is_told(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message
