"""The curves of guidance, and what tames a strong one."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.modeling.guidance import SCHEDULES, check_guidance, guidance_at, progress_of, rescaled, thresholded

SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("constant", [7, 7, 7, 7]), ("linear", [1, 2.5, 4, 7]), ("cosine", [1, 1 + 6 * (1 - math.sqrt(0.5)) / 2, 4, 7])],
)
def test_curves_by_hand(schedule, expected):
    """From 1 to 7 at 0, 1/4, 1/2 and 1 of the way."""
    assert [guidance_at(progress, 7.0, schedule) for progress in (0, 0.25, 0.5, 1)] == pytest.approx(expected)


def test_outside_its_window_there_is_no_guidance():
    scales = [guidance_at(progress / 10, 5.0, "constant", (0.2, 0.6)) for progress in range(11)]
    assert scales == [1, 1, 5, 5, 5, 5, 5, 1, 1, 1, 1]


@given(SHARES, st.floats(0, 20), st.sampled_from(sorted(SCHEDULES)))
def test_a_scale_lies_between_one_and_the_whole(progress, scale, schedule):
    assert min(1, scale) - 1e-9 <= guidance_at(progress, scale, schedule) <= max(1, scale) + 1e-9


def test_progress_runs_from_noise_to_picture():
    assert [progress_of(timestep, 1001) for timestep in (1000, 750.0, torch.tensor(500), 0, -1)] == [0, 0.25, 0.5, 1, 1]


@pytest.fixture(scope="module")
def predictions():
    torch.manual_seed(0)
    conditional = torch.randn(2, 3, 8, 8)
    return 4 * conditional + 1, conditional


def test_rescaling_keeps_the_conditional_spread(predictions):
    guided, conditional = predictions
    whole = rescaled(guided, conditional, 1.0)
    assert torch.allclose(whole.std((1, 2, 3)), conditional.std((1, 2, 3)), rtol=1e-4)
    half = rescaled(guided, conditional, 0.5)
    assert torch.allclose(half, (whole + guided) / 2, atol=1e-5)
    assert torch.equal(rescaled(guided, conditional, 0.0), guided)


def test_thresholding_by_hand():
    # The largest of the guided is 8, of the conditional 2: all is divided by 4. At the median (4 and 1), 8 is cut to 4
    # first.
    guided = torch.tensor([-2.0, 4.0, 8.0]).reshape(1, 1, 1, 3)
    conditional = torch.tensor([0.5, 1.0, -2.0]).reshape(1, 1, 1, 3)
    assert thresholded(guided, conditional, 1.0).flatten().tolist() == [-0.5, 1.0, 2.0]
    assert thresholded(guided, conditional, 0.5).flatten().tolist() == [-0.5, 1.0, 1.0]


def test_thresholding_leaves_alone_what_is_no_wider(predictions):
    _, conditional = predictions
    assert torch.equal(thresholded(conditional / 2, conditional, 0.995), conditional / 2)


def test_thresholding_looks_at_each_picture_alone(predictions):
    guided, conditional = predictions
    alone = [thresholded(guided[[row]], conditional[[row]], 0.9) for row in range(2)]
    assert torch.equal(thresholded(guided, conditional, 0.9), torch.cat(alone))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": -1.0}, "guidance_scale: found -1.0; expected 0 or more; choose another, such as 7.5"),
        ({"scale": math.nan}, "guidance_scale: found nan; expected 0 or more; choose another, such as 7.5"),
        (
            {"schedule": "cosin"},
            "guidance_schedule: found 'cosin'; expected one of constant, linear, cosine; choose another",
        ),
        (
            {"window": (0.6, 0.2)},
            "guidance_window: found (0.6, 0.2); expected two shares of the way, 0 to 1, rising; mend it",
        ),
        ({"rescale": 1.5}, "guidance_rescale: found 1.5; expected 0 to 1; choose another, such as 0.7"),
        ({"percentile": 0}, "dynamic_threshold: found 0; expected a share above 0, at most 1; take 0.995, or None"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    usual = {"scale": 7.5, "schedule": "constant", "window": (0.0, 1.0), "rescale": 0.0, "percentile": None}
    with pytest.raises(ConfigError) as error:
        check_guidance(**{**usual, **changes})
    assert str(error.value) == message
    check_guidance(**usual)
