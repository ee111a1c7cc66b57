"""Cases of two views and reports -> model inputs: shapes, missing views, classes, tokens, and what is refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_cxr_multitask import CxrMultitaskProcessor
from hf_medreport.processing.report_tokens import add_report_tokens
from tests.tiny import film_array, tiny_tokenizer


@pytest.fixture
def processor():
    tokenizer = tiny_tokenizer()
    add_report_tokens(tokenizer)
    films = FilmImageProcessor(size=16, mask_size=8, image_mean=(0, 0, 0), image_std=(1, 1, 1))
    return CxrMultitaskProcessor(films, tokenizer)


def film(turns=0):
    return np.rot90(film_array(), turns)


def pair(**more):
    return {"frontal": film(), "lateral": film(1), **more}


def test_a_case_of_two_views(processor):
    inputs = processor(pair())
    assert set(inputs) == {"pixel_values", "lateral_pixel_values", "views", "input_ids", "attention_mask"}
    assert inputs["pixel_values"].shape == inputs["lateral_pixel_values"].shape == (1, 3, 16, 16)
    assert inputs["views"].tolist() == [[1, 1]] and inputs["input_ids"].shape == (1, 0)
    assert not torch.equal(inputs["pixel_values"], inputs["lateral_pixel_values"])


def test_values_are_only_divided_to_0_to_1(processor):
    steps = np.zeros((32, 64), np.uint8)
    steps[:, 32:] = 255
    for name, case in (("pixel_values", {"frontal": steps}), ("lateral_pixel_values", {"lateral": steps})):
        pixels = processor(case)[name]
        assert pixels.dtype == torch.float32 and pixels.min() == 0 and pixels.max() == 1
        for channel in range(3):
            assert pixels[0, channel, 5, 0] == 0 and pixels[0, channel, 5, -1] == 1


def test_a_missing_view_is_zeros_and_said(processor):
    inputs = processor([pair(), {"frontal": film()}, {"lateral": film(), "frontal": None}])
    assert inputs["views"].tolist() == [[1, 1], [1, 0], [0, 1]]
    assert not inputs["lateral_pixel_values"][1].any() and not inputs["pixel_values"][2].any()
    alone = processor({"lateral": film()})["lateral_pixel_values"]
    assert torch.equal(inputs["lateral_pixel_values"][2:], alone) and alone.any()


def test_a_film_alone_is_a_frontal_one(processor, film_png):
    expected = processor({"frontal": film_png})
    for same in (str(film_png), film_png, Image.open(film_png), [film_png], {"images": [film_png]}):
        inputs = processor(same)
        assert torch.equal(inputs["pixel_values"], expected["pixel_values"]) and inputs["views"].tolist() == [[1, 0]]


def test_images_are_frontal_then_lateral(processor):
    listed, named = processor({"images": [film(), film(1)]}), processor(pair())
    assert all(torch.equal(listed[name], named[name]) for name in named)


def test_a_mask_is_averaged_down_and_a_film_without_one_has_an_empty_one(processor):
    mask = np.zeros((16, 16), np.uint8)
    mask[:, :3] = 255
    inputs = processor([pair(mask=mask), {"frontal": film()}, {"lateral": film()}])
    assert inputs["anatomical_masks"].shape == (3, 1, 8, 8)
    assert inputs["anatomical_masks"][0, 0, 4].tolist() == [1.0, 0.5, 0, 0, 0, 0, 0, 0]
    assert not inputs["anatomical_masks"][1:].any()


def test_classifications(processor):
    inputs = processor([pair(abnormal=1), pair(abnormal=0), pair(), pair(abnormal=True)])
    assert inputs["abnormal_labels"].tolist() == [1, 0, -100, 1]
    assert "abnormal_labels" not in processor([pair(), pair(abnormal=None)])


def test_start_end_and_padding_have_ids_of_their_own_after_the_words(processor):
    tokenizer = processor.tokenizer
    assert [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id] == [257, 258, 259]
    assert tokenizer.convert_ids_to_tokens([257, 258, 259]) == ["<start>", "<end>", "<pad>"]
    assert len(tokenizer) == 260


def test_adding_them_again_changes_nothing(processor):
    add_report_tokens(processor.tokenizer)
    assert len(processor.tokenizer) == 260


def test_a_report_comes_back_from_its_labels(processor):
    reports = ["No acute XXXX.", "Grossly clear lungs; ±2 cm, as before."]
    labels = processor([pair()] * 2, text_target=reports)["labels"]
    ends = [row.tolist().index(258) for row in labels]
    assert all((row[end + 1 :] == -100).all() for row, end in zip(labels, ends, strict=True))
    padded = labels.masked_fill(labels == -100, processor.tokenizer.pad_token_id)
    assert processor.batch_decode(padded, skip_special_tokens=True) == reports
    assert processor.decode(padded[0]).startswith("No acute XXXX.<end><pad>")


def test_a_report_that_is_too_long_is_cut_and_does_not_end(processor):
    labels = processor([pair()], text_target=["abc"], max_length=2)["labels"]
    assert labels.tolist() == [processor.tokenizer("ab")["input_ids"]]


def test_prompts_are_padded_on_the_left_with_the_padding_token(processor):
    inputs = processor([pair()] * 2, text=["No", "N"])
    n, o = processor.tokenizer("No")["input_ids"]
    assert inputs["input_ids"].tolist() == [[n, o], [259, n]] and inputs["attention_mask"].tolist() == [[1, 1], [0, 1]]


PAIR = "expected {'frontal': film, 'lateral': film} or one of them; name the films"
NAMED = "expected a frontal and a lateral film; name them frontal and lateral"
REFUSALS = {
    "no case": ([], {}, "images: found no film; expected one or more; pass at least one case"),
    "three images": ({"images": [film()] * 3}, {}, f"case: found 3 images; {NAMED}"),
    "images beside a named film": (
        {"images": [film()], "lateral": film()},
        {},
        f"case: found 1 images beside frontal or lateral; {NAMED}",
    ),
    "no image in images": ({"images": []}, {}, f"case: found keys [] without a film; {PAIR}"),
    "unknown keys": (
        pair(side=film(), frontl=film()),
        {},
        f"case: found unknown keys ['frontl', 'side']; {PAIR}",
    ),
    "a mask of no film": (
        {"lateral": film_array(), "mask": film_array()},
        {},
        "mask: found one without a frontal film; expected the lungs of the frontal film; leave it out",
    ),
    "no film": ({"abnormal": 1}, {}, f"case: found keys ['abnormal'] without a film; {PAIR}"),
    "both films None": (
        {"frontal": None, "lateral": None},
        {},
        f"case: found keys ['frontal', 'lateral'] without a film; {PAIR}",
    ),
    "a classification of 2": (
        pair(abnormal=2),
        {},
        "abnormal: found 2; expected 0 (normal), 1 (abnormal) or nothing; correct it",
    ),
    "a classification in words": (
        pair(abnormal="2"),
        {},
        "abnormal: found '2'; expected 0 (normal), 1 (abnormal) or nothing; correct it",
    ),
    "a classification of NaN": (
        pair(abnormal=float("nan")),
        {},
        "abnormal: found nan; expected 0 (normal), 1 (abnormal) or nothing; correct it",
    ),
    "one prompt for two cases": (
        [pair(), pair()],
        {"text": "No"},
        "text: found 1 for 2 cases; expected one a case; give as many as cases",
    ),
    "three reports for two cases": (
        [pair(), pair()],
        {"text_target": ["a"] * 3},
        "text_target: found 3 for 2 cases; expected one a case; give as many as cases",
    ),
    "a lateral film that is not there": (
        {"frontal": film(), "lateral": "nowhere/l.png"},
        {},
        "l.png: found no such file; expected an image file; check the path",
    ),
    "a lateral film of one gray value": (
        {"frontal": film(), "lateral": np.zeros((64, 64), np.uint8)},
        {},
        "array: found every pixel equal (a blank image); expected an image with contrast; check that the export or "
        "the exposure worked",
    ),
    "a tiny frontal film": (
        {"frontal": film()[:4, :4], "lateral": film()},
        {},
        "array: found an image of 4 x 4 px; expected at least 8 px a side; give the image itself, not an icon or a "
        "placeholder",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_cases_that_are_refused(processor, case):
    images, more, message = REFUSALS[case]
    with pytest.raises(InputError) as raised:
        processor(images, **more)
    assert str(raised.value) == message
