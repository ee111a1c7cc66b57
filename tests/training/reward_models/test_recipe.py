"""What is the same for all recipes on ratings: scores made probabilities, and what is gone on from."""

import numpy as np
import pytest
import torch

from hf_medreport.data.ratings.table import read_ratings
from hf_medreport.evaluation.pictures.reward_models import RewardModel
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.training.reward_models.arguments import RewardModelArguments
from hf_medreport.training.reward_models.rated_pictures import read_pictures
from hf_medreport.training.reward_models.recipe import calibrate, go_on_from, scores_of
from tests.rated import rated_pictures
from tests.tiny import save_tiny, tiny_model


class Fixed(torch.nn.Module):
    """A model whose logits are 10 and 12, of which the first is rated 1 in three of four cases."""

    def __init__(self):
        super().__init__()
        self.config = tiny_model(system("selector")).config
        self.score = torch.nn.Linear(1, 1)
        torch.nn.init.ones_(self.score.weight)
        torch.nn.init.zeros_(self.score.bias)
        self.device = torch.device("cpu")

    def forward(self, pixel_values):
        bright = (pixel_values.mean(dim=(1, 2, 3)) > 0.5).float()[:, None]
        logits = self.score(10 + 2 * bright)
        return {"logits": logits, "scores": torch.sigmoid(logits[:, 0]), "passed": bright[:, 0] > -1}


class Output(dict):
    __getattr__ = dict.__getitem__


def test_a_line_of_least_cross_entropy_by_hand(tmp_path):
    """Of two values of the logit any shares are met: the mean rating of each is its score afterward."""
    ratings = read_ratings(rated_pictures(tmp_path / "r", prompts=8, by_prompt=False)).ratings
    pictures = read_pictures([one.image for one in ratings], 32)
    model = Fixed()
    forward = model.forward
    model.forward = lambda **inputs: Output(forward(**inputs))
    reward = RewardModel(model, None, "fixed")
    slope, level = calibrate(reward, ratings, pictures)
    bright = np.array([pictures[one.image].mean() > 127 for one in ratings])
    wanted = np.array([one.normalized for one in ratings])
    scores = scores_of(reward, ratings, pictures)
    # dark: half the ratings are 1 and half 2, mean 0.25; bright: expert 3, novice 3 or 2, mean 0.875.
    assert wanted[~bright].mean() == 0.25 and wanted[bright].mean() == 0.875
    np.testing.assert_allclose(scores[~bright], 0.25, atol=1e-4)
    np.testing.assert_allclose(scores[bright], 0.875, atol=1e-4)
    logit = [np.log(share / (1 - share)) for share in (0.25, 0.875)]
    assert slope == pytest.approx((logit[1] - logit[0]) / 2, rel=1e-3) and level == pytest.approx(logit[0] - 10 * slope)


def test_going_on_from_a_model(tmp_path):
    folder = str(save_tiny(system("selector"), tmp_path / "selector"))
    reward = go_on_from(RewardModelArguments(model=folder), "selector", {"loss": "mse", "min_snr": 2.0})
    assert reward.model.config.loss == "mse" and reward.model.config.min_snr == 2
    with pytest.raises(InputError, match="model: found a selector in selector; expected a policy; name another folder"):
        go_on_from(RewardModelArguments(model=folder), "policy", {})
    with pytest.raises(ValueError, match="SelectorConfig: found loss='abs'"):
        go_on_from(RewardModelArguments(model=folder), "selector", {"loss": "abs"})
