"""Films and reports -> model inputs: shapes, ends, padding, cases; worked by hand."""

import numpy as np
import pytest
import torch
from PIL import Image

from hf_medreport.processing.image_processing_film import IMAGENET_MEAN, IMAGENET_STD, FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_anatomical_report import AnatomicalReportProcessor
from tests.tiny import film_array, tiny_tokenizer


@pytest.fixture
def processor():
    return AnatomicalReportProcessor(FilmImageProcessor(size=16, mask_size=8), tiny_tokenizer())


def test_a_film_is_resized_to_a_square_and_normalized(processor):
    film = np.zeros((32, 64), np.uint8)
    film[:, 32:] = 255
    pixels = processor([film])["pixel_values"]
    assert pixels.shape == (1, 3, 16, 16)
    for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)):
        assert pixels[0, channel, 5, 0] == pytest.approx((0 - mean) / std, abs=1e-5)
        assert pixels[0, channel, 5, -1] == pytest.approx((1 - mean) / std, abs=1e-5)


def test_left_and_right_stay_where_they_are(processor):
    film = np.zeros((16, 16), np.uint8)
    film[2, 13] = 255
    assert divmod(int(processor([film])["pixel_values"][0, 0].argmax()), 16) == (2, 13)


def test_a_mask_is_averaged_down(processor):
    mask = np.zeros((16, 16), np.uint8)
    mask[:, :3] = 255
    (row,) = processor([film_array()], masks=[mask])["anatomical_masks"][0, :, 0].tolist()
    assert row == [1.0, 0.5, 0, 0, 0, 0, 0, 0]


def test_every_target_ends_and_is_padded_on_the_right(processor):
    labels = processor([film_array()] * 2, text_target=["ab", "a"])["labels"]
    a, b = processor.tokenizer("ab")["input_ids"]
    assert labels.tolist() == [[a, b, 0], [a, 0, -100]]


def test_a_target_that_is_too_long_is_cut_and_does_not_end(processor):
    labels = processor([film_array()], text_target=["abc"], max_length=2)["labels"]
    assert labels.tolist() == [processor.tokenizer("ab")["input_ids"]]


def test_prompts_are_padded_on_the_left(processor):
    inputs = processor([film_array()] * 2, text=["ab", "b"])
    a, b = processor.tokenizer("ab")["input_ids"]
    assert inputs["input_ids"].tolist() == [[a, b], [0, b]] and inputs["attention_mask"].tolist() == [[1, 1], [0, 1]]
    assert processor(film_array())["input_ids"].shape == (1, 0)


def test_a_path_an_image_and_a_case_are_the_same(processor, film_png):
    expected = processor(str(film_png))["pixel_values"]
    cases = {"frontal": film_png}, {"images": [film_png], "lateral": film_png}, {"images": film_array()}
    for same in (film_png, Image.open(film_png), *cases):
        assert torch.equal(processor(same)["pixel_values"], expected)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({"frontl": "a.png"}, r"case: found unknown keys \['frontl'\]"),
        ({"lateral": "a.png"}, r"case: found keys \['lateral'\] without one frontal film"),
        ({"images": ["a.png", "b.png"]}, r"case: found keys \['images'\] without one frontal film"),
        ({"images": None}, r"case: found keys \['images'\] without one frontal film"),
    ],
)
def test_cases_that_it_does_not_take(processor, case, message):
    with pytest.raises(InputError, match=message):
        processor(case)


def test_no_film_at_all(processor):
    with pytest.raises(InputError, match="images: found no film; expected one or more"):
        processor([])


def test_masks_are_for_all_or_none(processor):
    with pytest.raises(InputError, match="found a film without a mask beside films with one"):
        processor([{"frontal": film_array(), "mask": film_array()}, film_array()])


@pytest.mark.parametrize(
    "extra",
    [{"text": "a"}, {"text_target": ["a"] * 3}, {"masks": [film_array()]}],
    ids=["text", "text_target", "masks"],
)
def test_one_of_each_a_film(processor, extra):
    (name,) = extra
    with pytest.raises(InputError, match=f"^{name}: found . for 2 films; expected one a film"):
        processor([film_array()] * 2, **extra)
