"""Warming up: what the segmenter and the encoder are taught, and that a part is taught once."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.training.warm_up import minimize, traits, warm_up_encoder, warm_up_segmenter, warmed

SIDE = 8
OPTIONS = {"steps": 3, "batch_size": 4, "rate": 0.1, "seed": 0}


def record(number: int) -> dict:
    """A film whose gray, whose row of lung and whose column of heart tell its number."""
    lungs, heart = np.zeros((2, SIDE, SIDE), bool)
    lungs[number], heart[:, number] = True, True
    return {"image": np.full((SIDE, SIDE), number, np.float32), "lungs": lungs, "heart": heart}


RECORDS = [record(number) for number in range(5)]


class Segmenter(nn.Module):
    """Remembers what it was taught."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.eval()
        self.lessons = []

    def forward(self, pixel_values, labels):
        self.lessons.append((pixel_values, labels, self.training, self.weight.requires_grad))
        return SimpleNamespace(loss=(self.weight - 1) ** 2)


def see(images, return_tensors):
    assert return_tensors == "pt"
    return {"pixel_values": torch.from_numpy(np.stack(images))}


PROCESSOR = SimpleNamespace(image_processor=see)


def test_the_segmenter_is_taught_lungs_first_then_heart():
    segmenter = Segmenter()
    warm_up_segmenter(segmenter, RECORDS, PROCESSOR, **OPTIONS)
    assert len(segmenter.lessons) == 3
    for pixels, labels, training, learns in segmenter.lessons:
        assert training and learns
        assert labels.dtype == torch.float32 and labels.shape == (4, 2, SIDE, SIDE)
        for film, (lungs, heart) in zip(pixels, labels.numpy(), strict=True):
            number = int(film[0, 0])
            assert np.array_equal(lungs, RECORDS[number]["lungs"])
            assert np.array_equal(heart, RECORDS[number]["heart"])


def test_the_segmenter_is_frozen_afterward_and_has_learned():
    segmenter = Segmenter()
    loss = warm_up_segmenter(segmenter, RECORDS, PROCESSOR, **OPTIONS)
    assert not segmenter.training and not segmenter.weight.requires_grad
    assert segmenter.weight > 0 and 0 < loss < 1


@pytest.mark.parametrize(
    ("fact", "asked"),
    [
        (Fact("pacemaker", "left"), [("pacemaker", "left", None, None)]),
        (
            Fact("nodule", "left", "upper", size_mm=26, certain=False),
            [("nodule", "left", "upper", None), ("nodule", "left", 2), ("nodule", "left", "possible")],
        ),
        (Fact("nodule", "left", "upper", size_mm=27), [("nodule", "left", "upper", None), ("nodule", "left", 3)]),
        (
            Fact("rib_fracture", "right", number="multiple"),
            [("rib_fracture", "right", None, None), ("rib_fracture", "right", "multiple")],
        ),
    ],
    ids=str,
)
def test_what_is_asked_of_a_fact(fact, asked):
    assert traits(fact) == asked


FACTS = [{"facts": (Fact("pacemaker", side),)} for side in ("left", "right")] * 4  # two traits


def test_the_encoder_learns_to_tell_facts_and_is_left_as_frozen_as_it_was():
    encoder = nn.Linear(2, 2)
    encoder.bias.requires_grad_(False)

    def see_side(indices):
        return encoder(torch.eye(2)[[index % 2 for index in indices]])

    before = encoder.weight.clone()
    loss = warm_up_encoder(encoder, see_side, FACTS, steps=200, batch_size=8, rate=0.1, seed=0, bf16=False)
    assert loss < 0.5 and not torch.equal(encoder.weight, before)  # untaught: 3.05 of the fact, 0.05 of the other
    assert encoder.weight.requires_grad and not encoder.bias.requires_grad


def test_of_a_films_places_the_surest_one_is_taught():
    encoder, gradients = nn.Linear(2, 2), []

    def see_places(indices):
        places = encoder(torch.rand(len(indices), 5, 2))
        if places.requires_grad:
            places.register_hook(gradients.append)
        return places

    warm_up_encoder(encoder, see_places, FACTS, steps=3, batch_size=8, rate=0.1, seed=0, bf16=False)
    taught = (gradients[-1] != 0).any(dim=2).sum(dim=1)
    assert ((taught >= 1) & (taught <= 2)).all()  # one a trait


def test_batches_and_the_result_depend_on_the_seed_alone():
    def trained(seed):
        weight, drawn = nn.Parameter(torch.zeros(6)), []

        def loss(indices):
            drawn.append(indices)
            return (weight[indices] - 1).square().sum()

        minimize(loss, [weight], 6, 5, 2, 0.1, seed, "weight")
        return drawn, weight.tolist()

    torch.manual_seed(1)
    first = trained(0)
    torch.manual_seed(2)
    assert trained(0) == first and trained(1)[0] != first[0]
    assert [len(batch) for batch in first[0]] == [2] * 5


def test_a_part_is_taught_once(tmp_path, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    part, done, calls = nn.Linear(2, 2), tmp_path / "new" / "part.safetensors", []

    def train():
        calls.append(torch.rand(1).item())
        nn.init.constant_(part.weight, 7.0)

    warmed(part, done, train, seed=3)
    assert [path.name for path in done.parent.iterdir()] == ["part.safetensors"]
    nn.init.zeros_(part.weight)
    warmed(part, done, train, seed=3)
    torch.manual_seed(3)
    assert calls == [torch.rand(1).item()] and bool((part.weight == 7).all())


def test_only_the_first_process_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    warmed(nn.Linear(2, 2), tmp_path / "part.safetensors", lambda: 0.0, seed=0)
    assert list(tmp_path.iterdir()) == []
