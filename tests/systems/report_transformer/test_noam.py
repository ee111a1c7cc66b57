"""The warm-up schedule: its values, its peak, and what an optimizer makes of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.report_transformer.noam import noam_factor, noam_schedule


def rates(steps: int, d_model: int = 512, warmup: int = 4000, lr: float = 1.0) -> list[float]:
    """The rate of each of the first steps, as a training loop meets them."""
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=lr, betas=(0.9, 0.98), eps=1e-9)
    schedule = noam_schedule(optimizer, d_model, warmup)
    met = []
    for _ in range(steps):
        met.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return met


def test_first_rates_by_hand():
    # d = 4, warm-up 4: 4^-0.5 = 1/2; rising by 4^-1.5 = 1/8 a step to 4^-0.5 = 1/2; then 5^-0.5, ..., 16^-0.5 = 1/4.
    met = rates(16, d_model=4, warmup=4)
    assert met[:4] == pytest.approx([1 / 16, 2 / 16, 3 / 16, 4 / 16])
    assert met[4] == pytest.approx(0.5 * 5**-0.5) and met[15] == pytest.approx(1 / 8)


def test_the_papers_peak():
    # 512^-0.5 * 4000^-0.5 = 1 / sqrt(2,048,000)
    assert noam_factor(4000, 512) == pytest.approx(6.987712e-4)


@given(st.integers(1, 2000), st.integers(1, 4096))
def test_the_peak_is_at_the_warm_up(warmup, d_model):
    peak = noam_factor(warmup, d_model, warmup)
    rising = [noam_factor(step, d_model, warmup) for step in range(1, warmup + 1)]
    falling = [noam_factor(step, d_model, warmup) for step in range(warmup, 2 * warmup + 2)]
    assert rising == sorted(rising) and falling == sorted(falling, reverse=True)
    assert max(rising + falling) == pytest.approx(peak)


def test_the_optimizers_rate_is_a_factor():
    assert rates(5, lr=2.0) == pytest.approx([2 * rate for rate in rates(5)])


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 4000), "d_model: found 0; expected 1 or more; 4,000 steps and a width of 512 are the paper's"),
        ((512, 0), "warmup: found 0; expected 1 or more; 4,000 steps and a width of 512 are the paper's"),
    ],
)
def test_bad_sizes(sizes, message):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    with pytest.raises(InputError) as error:
        noam_schedule(optimizer, *sizes)
    assert str(error.value) == message
