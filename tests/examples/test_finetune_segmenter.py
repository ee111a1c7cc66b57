"""The example that fine-tunes the segmenter: who is on which side, what the loss counts, and a run of two steps."""

import csv
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hf_medreport.inference.loading import load_segmenter

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        yield importlib.import_module("finetune_segmenter")


@given(counts=st.lists(st.integers(1, 4), min_size=12, max_size=40), seed=st.integers(0, 1000))
def test_no_patient_is_on_both_sides(example, counts, seed):
    patients = {f"p{number}": [(number, film) for film in range(count)] for number, count in enumerate(counts)}
    train, test = example.split(patients, seed)
    assert not set(train) & set(test) and train | test == patients
    assert len(example.films_of(test)) <= example.TEST_FILMS
    room = example.TEST_FILMS - len(example.films_of(test))
    assert all(len(films) > room for films in train.values())  # as many as fit
    assert example.split(patients, seed) == (train, test)


def test_what_is_ignored_has_no_gradient(example):
    logits = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    truth = torch.ones(2, 2, 8, 8)
    truth[:, 1, :, :4] = 0  # the left half does not count
    example.union_loss(logits, truth).backward()
    larger = logits.grad.abs().amax(dim=1)
    assert (larger[:, :, :4] == 0).all() and (larger[:, :, 4:] > 0).all()
    assert (logits.grad != 0).sum() == 2 * 8 * 4  # only the larger of lung and heart learns
    perfect = torch.full((2, 2, 8, 8), 30.0)
    assert example.union_loss(perfect, truth) < 1e-3 < example.union_loss(-perfect, truth)


def test_augmentation_never_flips(example):
    """A film that is bright on the left and above stays so in every draw, and its truth moves with it."""
    ys, xs = torch.meshgrid(torch.linspace(1, -1, 32), torch.linspace(1, -1, 32), indexing="ij")
    pixels = torch.stack([xs, ys, (xs > 0).float()]).repeat(50, 1, 1, 1)
    truth = torch.stack([(xs > 0).float(), torch.ones(32, 32)]).repeat(50, 1, 1, 1)
    varied, moved = example.augmented(pixels, truth, torch.Generator().manual_seed(0))
    assert (varied[:, 0, :, :8].mean((1, 2)) > varied[:, 0, :, -8:].mean((1, 2))).all()
    assert (varied[:, 1, :8].mean((1, 2)) > varied[:, 1, -8:].mean((1, 2))).all()
    low, high = varied[:, 2].amin((1, 2), True), varied[:, 2].amax((1, 2), True)
    counted = moved[:, 1] > 0.99
    assert torch.allclose(((varied[:, 2] - low) / (high - low))[counted], moved[:, 0][counted], atol=0.02)


@pytest.fixture
def films(tmp_path):
    """Twelve films of twelve patients, with masks and the table."""
    rng = np.random.default_rng(0)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "patient", "mask"])
        for number in range(12):
            truth = np.zeros((40, 48), np.uint8)
            truth[10:30, 8:20], truth[10:12, 30:40] = 255, 127
            film = np.clip(truth // 2 + rng.integers(0, 100, truth.shape), 0, 255).astype(np.uint8)
            for folder, values in (("images", film), ("masks", truth)):
                (tmp_path / folder).mkdir(exist_ok=True)
                Image.fromarray(values).save(tmp_path / folder / f"{number}.png")
            table.writerow([f"images/{number}.png", f"p{number}", f"masks/{number}.png"])
        table.writerow(["images/other.png", "p1", ""])
    return tmp_path


def test_two_steps(example, films, monkeypatch, capsys):
    flags = ["--images", films / "images", "--masks", films / "masks", "--labels", films / "labels.csv"]
    flags += ["--out", films / "out", "--json", films / "figures.json", "--steps", 2]
    monkeypatch.setattr(sys, "argv", ["finetune_segmenter.py", *map(str, flags)])
    example.main(example.arguments())
    figures = json.loads((films / "figures.json").read_text())
    assert figures == json.loads(capsys.readouterr().out)
    assert figures["films"] == figures["patients"] == {"train": 2, "test": 10} and figures["steps"] == 2
    assert figures["dice_before"]["films"] != figures["dice_after"]["films"]
    tuned, shipped = load_segmenter(films / "out"), load_segmenter()
    assert tuned.image_processor.size == shipped.image_processor.size
    weights = zip(tuned.model.state_dict().values(), shipped.model.state_dict().values(), strict=True)
    assert any(not torch.equal(mine, theirs) for mine, theirs in weights)


def test_a_table_without_patients(example, films):
    (films / "labels.csv").write_text("path,mask\n")
    with pytest.raises(example.InputError) as caught:
        example.films_by_patient(films / "labels.csv", films, films)
    assert str(caught.value) == (
        "labels.csv: found columns path, mask; expected columns path, mask, patient; name the column 'patient'"
    )
