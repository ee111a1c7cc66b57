"""What is drawn belongs to (seed, epoch, row), whoever draws it and beside whichever rows."""

import pytest
import torch

from hf_medreport.systems.diffusion.training.draws import draws_of, generator_of

SHAPE = (2, 4, 6)
TENSORS = ("timesteps", "noise", "offset", "perturbation")


def test_a_row_draws_the_same_in_any_batch():
    together = draws_of(3, [(0, 5), (0, 6), (1, 5)], SHAPE, 1000)
    for index, place in enumerate([(0, 5), (0, 6), (1, 5)]):
        alone = draws_of(3, [place], SHAPE, 1000)
        assert all(torch.equal(getattr(together, name)[index], getattr(alone, name)[0]) for name in TENSORS)


def test_seeds_epochs_and_rows_draw_otherwise():
    places = [(0, 1), (1, 0), (1, 1), (0, 0)]
    noise = [*draws_of(0, places, SHAPE, 1000).noise, *draws_of(1, places, SHAPE, 1000).noise]
    assert len({each.numpy().tobytes() for each in noise}) == 8


def test_switches_change_no_noise():
    plain, dropped = draws_of(0, [(0, 0)], SHAPE, 10), draws_of(0, [(0, 0)], SHAPE, 10, 1.0, 1.0)
    assert all(torch.equal(getattr(plain, name), getattr(dropped, name)) for name in TENSORS)
    assert plain.without_prompt == plain.without_modality == [False]
    assert dropped.without_prompt == dropped.without_modality == [True]


def test_the_law_of_what_is_drawn():
    """2000 rows; four standard deviations of each figure."""
    draws = draws_of(0, [(0, row) for row in range(2000)], (1, 2, 2), 10, 0.1, 0.3)
    assert draws.timesteps.bincount(minlength=10).tolist() == pytest.approx([200] * 10, abs=4 * (2000 * 0.09) ** 0.5)
    assert sum(draws.without_prompt) == pytest.approx(200, abs=4 * (2000 * 0.09) ** 0.5)
    assert sum(draws.without_modality) == pytest.approx(600, abs=4 * (2000 * 0.21) ** 0.5)
    assert draws.noise.mean().item() == pytest.approx(0, abs=4 / 8000**0.5)
    assert draws.noise.var().item() == pytest.approx(1, abs=4 * (2 / 8000) ** 0.5)
    assert draws.offset.shape == (2000, 1, 1, 1)


def test_a_generator_belongs_to_its_numbers():
    first, again, other = (torch.rand(1, generator=generator_of(*numbers)) for numbers in [(1, 2), (1, 2), (2, 1)])
    assert first == again != other
