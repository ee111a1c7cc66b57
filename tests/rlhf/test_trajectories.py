"""Trajectories: each step's log-probability is the Normal's, under the weights of now as under those that drew it."""

import pytest
import torch

from hf_medreport.rlhf.trajectories import (
    Condition,
    draw_trajectories,
    step_divergences,
    step_normal,
    stepping_by_ddim,
)
from tests.diffusion import tiny_pipeline

PROMPTS, MODALITIES = ["effusion", "edema", "effusion"], ["cxr", None, "ct"]


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline().use_scheduler("dpm")


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_log_probabilities_are_those_of_the_normal_and_those_that_were_stored(pipe, guidance):
    own = pipe.scheduler
    with stepping_by_ddim(pipe):
        options = {"num_inference_steps": 4, "guidance_scale": guidance, "batch_size": 2}
        made = draw_trajectories(pipe, PROMPTS, MODALITIES, [5, 6, 7], **options)
        assert made.images.shape == (3, 16, 16, 3) and made.latents.shape == (5, 3, 4, 8, 8)
        assert made.timesteps.tolist() == [999, 749, 499, 249] and made.drawn == [0, 1, 2]
        rows = [2, 0]
        condition = Condition(pipe, [PROMPTS[row] for row in rows], [MODALITIES[row] for row in rows], guidance)
        for step in made.drawn:
            mean, spread, log_probs = step_normal(pipe, made, rows, step, condition)
            drawn = made.latents[step + 1, rows].double()
            expected = torch.distributions.Normal(mean.double(), spread).log_prob(drawn).mean((1, 2, 3))
            assert torch.allclose(log_probs.double(), expected, atol=1e-6)
            # The ratio of the first update is 1, far within the narrowest clip.
            assert torch.allclose(log_probs.exp(), made.log_probs[step, rows].exp(), rtol=1e-5)
            assert log_probs.requires_grad
    assert pipe.scheduler is own


def test_pictures_are_those_of_the_pipeline(pipe):
    with stepping_by_ddim(pipe):
        options = {"num_inference_steps": 3, "guidance_scale": 1.0}
        made = draw_trajectories(pipe, PROMPTS, MODALITIES, [5, 6, 7], batch_size=2, **options)
        drawn = pipe(PROMPTS, MODALITIES, seeds=[5, 6, 7], output_type="np", return_trajectory=True, **options)
    assert abs(made.images - drawn.images * 255).max() <= 1


def test_divergence_in_closed_form():
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(2, 3, 4, 2, 2, generator=generator)
    normals = [torch.distributions.Normal(mean, 0.3) for mean in (one, other)]
    expected = torch.distributions.kl_divergence(*normals).mean((1, 2, 3))
    assert torch.allclose(step_divergences(one, other, 0.3), expected)
