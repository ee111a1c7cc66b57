"""The lungs' box and the crop to it: by hand, by law, and against scipy's components."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from hf_medreport.modeling.lung_crop import crop_boxes, crop_to_boxes, crop_to_mask, largest_components

WHOLE = [0.0, 0.0, 1.0, 1.0]


def mask_of(*rows: str) -> torch.Tensor:
    """(1, height, width) from drawn rows: `#` is inside."""
    return torch.tensor([[[cell == "#" for cell in row] for row in rows]])


def ellipse(center: tuple[float, float], radii: tuple[float, float], side: int = 64) -> torch.Tensor:
    """(1, side, side): pixels whose center lies in the ellipse; center and radii as (x, y) in pixels."""
    ys, xs = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
    return (((xs - center[0]) / radii[0]) ** 2 + ((ys - center[1]) / radii[1]) ** 2 <= 1)[None]


def test_the_two_largest_are_kept():
    drawn = mask_of("##...#", "##....", "...#..", "..##.#", ".....#")
    expected = mask_of("##....", "##....", "...#..", "..##..", "......")
    assert torch.equal(largest_components(drawn), expected)
    assert torch.equal(largest_components(drawn, count=4), drawn)
    assert torch.equal(largest_components(drawn, count=9), drawn)


def test_corners_join():
    drawn = mask_of("#...", ".#..", "..#.", "....", "##..")
    assert torch.equal(largest_components(drawn, count=1), mask_of("#...", ".#..", "..#.", "....", "...."))


def test_of_equal_components_the_first_is_kept():
    drawn = mask_of("..##", "....", "##..", "...."), mask_of("....", "##..", "...#", "#..#")
    assert torch.equal(largest_components(drawn[0], count=1), mask_of("..##", "....", "....", "...."))
    assert torch.equal(largest_components(drawn[1], count=1), mask_of("....", "##..", "....", "...."))


def test_a_batch_is_its_masks_one_by_one():
    masks = torch.rand(5, 20, 30, generator=torch.Generator().manual_seed(0)) > 0.6
    masks[2] = False
    each = torch.cat([largest_components(mask[None]) for mask in masks])
    assert torch.equal(largest_components(masks), each)
    assert torch.equal(crop_boxes(masks, 0.1), torch.cat([crop_boxes(mask[None], 0.1) for mask in masks]))


def by_scipy(mask: np.ndarray, count: int) -> np.ndarray:
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())[1:]
    kept = np.argsort(-sizes, kind="stable")[:count] + 1  # scipy numbers components by their first pixel
    return np.isin(labels, kept)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.floats(0, 1), st.integers(0, 10**6))
def test_components_are_scipys(height, width, count, density, seed):
    mask = torch.rand(1, height, width, generator=torch.Generator().manual_seed(seed)) < density
    assert np.array_equal(largest_components(mask, count)[0].numpy(), by_scipy(mask[0].numpy(), count))


def test_long_windings_are_one_component():
    """A snake over the whole mask: the longest way that a label can have."""
    snake = torch.zeros(41, 41, dtype=torch.bool)
    snake[::2] = True
    snake[1::4, -1] = snake[3::4, 0] = True
    snake = torch.stack([snake, snake.T, snake.flip(0)])
    assert torch.equal(largest_components(snake, count=1), snake)


def test_box_of_an_ellipse():
    """Center (24, 40), radii (10, 6): pixel centers at x.5 inside run from 14.5 to 33.5 and from 34.5 to 45.5."""
    mask = ellipse((24, 40), (10, 6))
    assert crop_boxes(mask, 0.0).tolist() == [[14 / 64, 34 / 64, 34 / 64, 46 / 64]]
    torch.testing.assert_close(crop_boxes(mask, 1 / 32), torch.tensor([[12.0, 32.0, 36.0, 48.0]]) / 64)


def test_box_of_one_pixel_of_none_and_of_all():
    one = torch.zeros(3, 8, 4, dtype=torch.bool)
    one[0, 6, 1] = True
    one[2] = True
    assert crop_boxes(one, 0.0).tolist() == [[0.25, 0.75, 0.5, 0.875], WHOLE, WHOLE]
    assert crop_boxes(one, 0.5).tolist() == [[0.0, 0.25, 1.0, 1.0], WHOLE, WHOLE]  # the film's edges end the margin


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 7), st.floats(0, 0.5), st.integers(0, 10**6))
def test_nothing_of_the_mask_is_cut(rows, columns, scale, margin, seed):
    """The mask as an image of any larger size: its sum in the crop, at the crop's own scale, is its whole sum."""
    mask = torch.rand(1, rows, columns, generator=torch.Generator().manual_seed(seed)) < 0.1
    (box,) = boxes = crop_boxes(mask, margin)
    left, top, right, bottom = box.tolist()
    assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    film = mask.float().repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    left, right = int(left * columns * scale + 1e-3), math.ceil(right * columns * scale - 1e-3)
    top, bottom = int(top * rows * scale + 1e-3), math.ceil(bottom * rows * scale - 1e-3)
    assert film[:, top:bottom, left:right].sum() == film.sum()
    tight = crop_to_boxes(film[:, None], boxes, 1)  # one pixel: the mean over the box, where antialiasing sees it all
    assert (tight > 0) == film.any()


def test_a_crop_of_its_own_size_is_a_slice():
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[0, 4:8, 2:6] = True  # of 16 cells: pixels 16 to 32 and 8 to 24
    torch.testing.assert_close(crop_to_mask(images, mask, 0.0, 16), images[:, :, 16:32, 8:24])
    torch.testing.assert_close(crop_to_mask(images, mask, 1 / 8, 32), images[:, :, 8:40, 0:32])


@pytest.mark.parametrize("size", [11, 50, 120], ids=["smaller", "equal", "larger"])
def test_a_ramp_stays_the_ramp_over_the_box(size):
    """Value = position in x, so the crop's pixel i shows left + (i + 0.5) * width / size; edges see one side only.

    The antialiasing kernel is sampled, which is worth 1/50 of a pixel of the ramp.
    """
    ramp = ((torch.arange(100) + 0.5) / 100).expand(1, 1, 80, 100).contiguous()
    mask = torch.zeros(1, 10, 10, dtype=torch.bool)
    mask[0, 3:5, 2:7] = True
    crop = crop_to_mask(ramp, mask, 0.0, size)
    expected = (0.2 + (torch.arange(size) + 0.5) / size * 0.5).expand(1, 1, size, size)
    inner = slice(2, -2)
    torch.testing.assert_close(crop[..., inner], expected[..., inner], atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((2, 1, 5, 4), (1, 4), (2, 5)),
        # Off a pixel's edge by rounding: the pixel beyond it stays out.
        ((2 - 5e-4, 1 - 5e-4, 5 + 5e-4, 4 + 5e-4), (1, 4), (2, 5)),
        ((2 + 5e-4, 1 + 5e-4, 5 - 5e-4, 4 - 5e-4), (1, 4), (2, 5)),
        # Further off: a pixel that the box cuts is taken whole, however little of it is inside.
        ((3 - 2e-3, 2 - 2e-3, 4 + 2e-3, 3 + 2e-3), (1, 4), (2, 5)),
        ((3 - 0.9, 2 - 0.9, 4 + 0.9, 3 + 0.9), (1, 4), (2, 5)),
        ((7, 5, 10, 8), (5, 8), (7, 10)),  # to the film's right edge
        ((4, 5, 7, 8), (5, 8), (4, 7)),  # to its lower one
    ],
)
def test_which_pixels_a_box_takes(box, rows, columns):
    images = torch.arange(80.0).view(1, 1, 8, 10)
    boxes = torch.tensor([box]) / torch.tensor([10, 8, 10, 8])
    torch.testing.assert_close(crop_to_boxes(images, boxes, 3), images[:, :, slice(*rows), slice(*columns)])


def test_a_box_of_thirds_and_tenths_is_not_widened_by_rounding():
    """0.3 in float32 lies above 3 of 10 pixels, 0.7 below 7."""
    images = torch.arange(100.0).view(1, 1, 10, 10)
    crop = crop_to_boxes(images, torch.tensor([[0.0, 0.0, 0.3, 0.3]]), 3)
    torch.testing.assert_close(crop, images[:, :, :3, :3])
    crop = crop_to_boxes(images, torch.tensor([[0.7, 0.7, 1.0, 1.0]]), 3)
    torch.testing.assert_close(crop, images[:, :, 7:, 7:])


def test_an_empty_mask_keeps_the_whole_image():
    images = torch.rand(2, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(crop_to_mask(images, torch.zeros(2, 6, 6, dtype=torch.bool), 0.1, 24), images)


def test_half_precision_is_resized_in_single():
    images = torch.rand(1, 3, 40, 40, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[0.1, 0.2, 0.6, 0.9]])
    single, half = crop_to_boxes(images.bfloat16().float(), boxes, 10), crop_to_boxes(images.bfloat16(), boxes, 10)
    assert half.dtype == torch.bfloat16 and torch.equal(half, single.bfloat16())


def test_gradients_flow_to_the_image_inside_the_box():
    images = torch.rand(1, 1, 16, 16, requires_grad=True)
    crop_to_boxes(images, torch.tensor([[0.25, 0.5, 0.75, 1.0]]), 4).sum().backward()
    outside = images.grad.clone()
    outside[:, :, 8:, 4:12] = 0
    assert outside.abs().max() == 0 and images.grad[:, :, 8:, 4:12].min() > 0


IMAGES, MASKS = torch.rand(2, 1, 8, 8), torch.ones(2, 4, 4, dtype=torch.bool)
BAD = {
    "float masks": (
        lambda: largest_components(MASKS.float()),
        "masks: found torch.float32 of shape (2, 4, 4); expected bool (batch, height, width); compare them with a "
        "threshold, drop the channel axis",
    ),
    "masks with channels": (
        lambda: crop_boxes(MASKS[:, None], 0.1),
        "masks: found torch.bool of shape (2, 1, 4, 4); expected bool (batch, height, width); compare them with a "
        "threshold, drop the channel axis",
    ),
    "no component": (
        lambda: largest_components(MASKS, 0),
        "count: found 0; expected at least 1; 2 keeps both lungs",
    ),
    "fewer masks": (
        lambda: crop_to_mask(IMAGES, MASKS[:1], 0.1, 8),
        "masks: found 1 for 2 images; expected one an image; pass as many",
    ),
    "more boxes": (
        lambda: crop_to_boxes(IMAGES[:1], torch.zeros(2, 4), 8),
        "boxes: found 2 for 1 images; expected one an image; pass as many",
    ),
    "NaN margin": (
        lambda: crop_boxes(MASKS, float("nan")),
        "crop_margin: found nan; expected 0 to 0.5, a fraction of the film; 0.05 is usual",
    ),
    "margin in pixels": (
        lambda: crop_to_mask(IMAGES, MASKS, 16, 8),
        "crop_margin: found 16; expected 0 to 0.5, a fraction of the film; 0.05 is usual",
    ),
    "bytes": (
        lambda: crop_to_mask((IMAGES * 255).byte(), MASKS, 0.1, 8),
        "images: found torch.uint8 of shape (2, 1, 8, 8); expected floats (batch, channels, height, width); add the "
        "axes, scale to [0, 1]",
    ),
    "one image": (
        lambda: crop_to_mask(IMAGES[:, 0], MASKS, 0.1, 8),
        "images: found torch.float32 of shape (2, 8, 8); expected floats (batch, channels, height, width); add the "
        "axes, scale to [0, 1]",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD)
def test_bad_input(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message
