"""Given pictures: in an order that belongs to the position alone, read as in training."""

from collections import Counter

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hf_medreport.rlhf.given_pictures import encoded_pictures, places_at
from tests.diffusion import tiny_pipeline


@given(st.integers(0, 5), st.integers(1, 9), st.integers(0, 40), st.integers(1, 20), st.integers(0, 20))
def test_a_position_has_its_place_wherever_a_run_began(seed, count, first, number, cut):
    whole = places_at(seed, count, first, number + cut)
    assert places_at(seed, count, first, number) + places_at(seed, count, first + number, cut) == whole


def test_every_row_comes_once_an_epoch_in_another_order():
    places = places_at(0, 7, 0, 21)
    assert Counter(places) == Counter((epoch, row) for epoch in range(3) for row in range(7))
    orders = {tuple(row for epoch, row in places if epoch == each) for each in range(3)}
    assert len(orders) == 3


def test_pictures_of_any_size_are_encoded_by_the_pipeline(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    for name, size in (("small", 16), ("large", 32)):
        Image.fromarray(picture).resize((size, size), Image.Resampling.NEAREST).save(tmp_path / f"{name}.png")
    pipe = tiny_pipeline()
    paths = [tmp_path / "small.png", tmp_path / "large.png", tmp_path / "small.png"]
    latents = encoded_pictures(pipe, paths)
    assert list(latents) == paths[:2] and latents[paths[0]].shape == (4, 8, 8)
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None] / 127.5 - 1
    assert torch.allclose(latents[paths[0]], pipe.encode_images(pixels)[0], atol=1e-5)
    assert torch.allclose(latents[paths[0]], latents[paths[1]], atol=1e-2)
