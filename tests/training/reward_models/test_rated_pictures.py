"""Rated pictures: read once, split by prompt for good, moved, batched."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from hf_medreport.data.ratings.pairs import pairs_of
from hf_medreport.data.ratings.table import read_ratings
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.training.reward_models.rated_pictures import (
    PairBatches,
    RatingBatches,
    RatingRecords,
    moved,
    read_pictures,
    split,
)
from tests.rated import rated_pictures
from tests.tiny import tiny_processor


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    """Of 20 prompts, by an expert and a novice."""
    return read_ratings(rated_pictures(tmp_path_factory.mktemp("ratings"))).ratings


@pytest.fixture(scope="module")
def pictures(ratings):
    return read_pictures([rating.image for rating in ratings], 32)


def test_pictures_are_read_once_and_resized_and_bad_ones_left_out(ratings, tmp_path, caplog):
    large, broken = tmp_path / "large.png", tmp_path / "broken.png"
    Image.fromarray(np.full((50, 40, 3), 90, np.uint8)).save(large)
    broken.write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        found = read_pictures([ratings[0].image, large, ratings[0].image, broken], 32)
    assert list(found) == [ratings[0].image, large] and found[large].shape == (32, 32, 3)
    assert (found[large] == 90).all() and found[ratings[0].image].dtype == np.uint8
    told = [record.getMessage() for record in caplog.records]
    assert told[0].startswith("1 pictures left out that cannot be read (the first: broken.png, UnidentifiedImageError")
    assert told[1] == "1 of 2 pictures are resized to 32 x 32 px"
    with pytest.raises(InputError, match="ratings: found 1 pictures, none of which can be read; expected pictures"):
        read_pictures([broken], 32)


def test_a_prompt_lies_in_one_part_and_stays_there(ratings):
    parts = split(ratings, 0.3, 0.2, [], 0)
    prompts = [{rating.prompt for rating in part} for part in (parts.train, parts.calibration, parts.held_out)]
    assert sum(map(len, prompts)) == len(set.union(*prompts)) == 20
    fewer = split(ratings[: len(ratings) // 2], 0.3, 0.2, [], 0)
    assert {rating.prompt for rating in fewer.held_out} <= prompts[2]
    assert split(ratings, 0.3, 0.2, [], 1).held_out != parts.held_out
    assert not split(ratings, 0, 0, [], 0).held_out


def test_held_out_raters_are_only_scored(ratings):
    parts = split(ratings, 0.3, 0.2, ["novice"], 0)
    assert {rating.rater for rating in parts.train + parts.calibration} == {"expert"}
    assert {rating.rater for rating in parts.held_out} == {"expert", "novice"}


def test_too_few_prompts_for_a_part(ratings):
    with pytest.raises(InputError, match="ratings: found no ratings for the part 'train'; expected prompts enough"):
        split(ratings[:4], 0.9, 0.09, [], 0)


def test_a_moved_picture_is_the_picture_moved():
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    places = set()
    for seed in range(40):
        new = moved(image, 1, np.random.default_rng(seed))
        inner = [
            (down, right)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
            if (new[2:6, 2:6] == image[2 + down : 6 + down, 2 + right : 6 + right]).all()
        ]
        places |= set(inner)
        assert len(inner) == 1 and new.shape == image.shape
    assert len(places) == 9 and np.array_equal(moved(image, 0, np.random.default_rng(0)), image)


def test_a_record_depends_on_seed_and_number_alone(ratings, pictures):
    records, again = (RatingRecords(ratings, pictures, 3, 2, seed=1) for _ in range(2))
    count = len(ratings)
    assert len(records) == 3 * count
    for index in (5, 5 + count):
        assert np.array_equal(records[index]["image"], again[index]["image"])
        assert records[index]["label"] == ratings[5].normalized and records[index]["weight"] == ratings[5].weight
    assert any(not np.array_equal(records[k]["image"], records[k + count]["image"]) for k in range(8))
    texts = {records[k]["text"] for k in range(5, 3 * count, count)} | {records[k]["text"] for k in range(0, 60, 8)}
    assert any(text.startswith("ct: ") for text in texts) and any(not text.startswith("ct: ") for text in texts)


def test_batches_of_ratings(ratings, pictures):
    records, tokenizer = RatingRecords(ratings, pictures, 1, 2, seed=0), tiny_processor(system("policy")).tokenizer
    batch = RatingBatches(tokenizer, 12)([records[k] for k in range(3)])
    assert batch["pixel_values"].shape == (3, 3, 32, 32) and 0 <= batch["pixel_values"].min() <= 1
    assert batch["input_ids"].shape == (3, 12)
    assert batch["labels"].tolist() == [one.normalized for one in ratings[:3]]
    assert set(RatingBatches(None)([records[0]])) == {"pixel_values", "labels", "weights"}


def test_batches_of_pairs_hold_the_chosen_then_the_rejected(ratings, pictures):
    pairs = pairs_of(ratings)
    rows = [{"number": k} for k in (0, 1, len(pairs))]
    batch = PairBatches(pairs, pictures, 0, 0, None)(rows)
    assert batch["pixel_values"].shape == (6, 3, 32, 32) and set(batch) == {"pixel_values", "margin", "attention_mask"}
    for k, pair in enumerate((pairs[0], pairs[1], pairs[0])):
        for place, path in ((k, pair.chosen), (k + 3, pair.rejected)):
            expected = torch.from_numpy(pictures[path]).permute(2, 0, 1) / 255
            torch.testing.assert_close(batch["pixel_values"][place], expected)
    torch.testing.assert_close(batch["margin"], torch.tensor([pairs[0].margin, pairs[1].margin, pairs[0].margin]))
    with_text = PairBatches(pairs, pictures, 0, 0, tiny_processor(system("policy")).tokenizer, 40)(rows)
    assert torch.equal(with_text["input_ids"][:3], with_text["input_ids"][3:])
