"""The selector: its losses by hand, its gates, and the legacy loss that pushes every score up."""

import math

import numpy as np
import pytest
import torch

from hf_medreport.data.drawn.picture_folder import as_color
from hf_medreport.evaluation.images.quality import noise
from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.modeling.configuration_selector import SelectorConfig
from hf_medreport.modeling.modeling_selector import SelectorModel, contrast, signal_to_noise
from hf_medreport.modeling.picture_reward import rating_loss
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.phantom.picture.facts import MODALITIES

VISION = {"image_size": 64, "patch_size": 16, "num_channels": 1, "hidden_size": 8, "intermediate_size": 8}
VISION |= {"num_hidden_layers": 1, "num_attention_heads": 2}


def selector(**config) -> SelectorModel:
    torch.manual_seed(0)
    return SelectorModel(SelectorConfig(**{"vision_config": VISION, "head_sizes": [8, 4], **config})).eval()


def as_pixels(images: np.ndarray) -> torch.Tensor:
    """uint8 (n, height, width, 3) -> (n, 3, height, width) in [0, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


LOGIT = math.log(3)  # a score of 0.75


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        # Ratings 1 and 0 of weights 1 and 3, both scored 0.75.
        ("bce", (-math.log(0.75) - 3 * math.log(0.25)) / 4),
        ("mse", (0.0625 + 3 * 0.5625) / 4),
        ("legacy_abs_loss", -(0.25 + 3 * 0.75) * math.log(0.75) / 4),
    ],
)
def test_losses_by_hand(kind, expected):
    loss = rating_loss(torch.tensor([LOGIT, LOGIT]), torch.tensor([1.0, 0.0]), torch.tensor([1.0, 3.0]), kind)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["bce", "mse", "legacy_abs_loss"])
def test_the_legacy_loss_pushes_every_score_up_and_the_others_to_the_rating(kind):
    """Rated worst, from a score of a half: one step of each loss."""
    logits = torch.zeros(4, requires_grad=True)
    rating_loss(logits, torch.zeros(4), kind=kind).backward()
    assert (logits.grad < 0).all() if kind == "legacy_abs_loss" else (logits.grad > 0).all()


def test_training_with_the_legacy_loss_scores_bad_pictures_as_good_ones():
    pictures = torch.tensor([0.1, 0.9])[:, None, None, None].expand(2, 3, 64, 64)
    scores = {}
    for kind in ("bce", "legacy_abs_loss"):
        model = selector(loss=kind, min_contrast=0, min_snr=0)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(40):
            optimizer.zero_grad()
            model(pictures, labels=torch.tensor([0.0, 1.0])).loss.backward()
            optimizer.step()
        scores[kind] = model(pictures).scores
    assert scores["bce"][0] < 0.2 and scores["bce"][1] > 0.8
    assert (scores["legacy_abs_loss"] > 0.8).all()


def test_every_drawn_picture_passes_and_noise_black_and_gray_do_not():
    corpus = PictureCorpus(len(MODALITIES) * 2, seed=7)
    drawn = np.stack([as_color(case.image) for case in map(corpus.__getitem__, range(len(corpus)))])
    assert selector()(as_pixels(drawn)).passed.all()
    assert signal_to_noise(selector().gray(as_pixels(drawn))).min() > 5
    rng = np.random.default_rng(0)
    bad = {
        "uniform noise": rng.integers(0, 256, (64, 64, 1)),
        "normal noise": np.clip(rng.normal(128, 40, (64, 64, 1)), 0, 255),
        "noise in color": rng.integers(0, 256, (64, 64, 3)),
        "black": np.zeros((64, 64, 1)),
        "white": np.full((64, 64, 1), 255),
        "flat gray": np.full((64, 64, 1), 128),
        "a faint slope": np.linspace(100, 160, 64)[:, None, None] + np.zeros((64, 64, 1)),
        "a picture below noise": np.clip(drawn[1] * 0.5 + rng.normal(64, 90, (64, 64, 1)), 0, 255),
    }
    pictures = as_pixels(np.stack([np.broadcast_to(one, (64, 64, 3)).astype(np.uint8) for one in bad.values()]))
    output = selector()(pictures)
    assert [name for name, passed in zip(bad, output.passed, strict=True) if passed] == []
    assert (output.scores == 0).all() and (torch.sigmoid(output.logits) > 0).all()
    assert selector(min_snr=0, min_contrast=0)(pictures).passed.all()


def test_the_mean_over_the_spread_as_the_seed_has_it_would_let_noise_pass_and_reject_an_oct():
    noisy = np.random.default_rng(0).random((64, 64))
    oct = PictureCorpus(1, seed=7, modalities=("oct",))[0].image / 255
    assert noisy.mean() / noisy.std() > 1 > oct.mean() / oct.std()


def test_signal_to_noise_and_contrast_by_hand():
    rng = np.random.default_rng(0)
    slope = np.linspace(0.2, 0.8, 64)[:, None] + np.zeros((64, 64))
    grainy = slope + rng.normal(0, 0.05, slope.shape)
    checkers = (np.indices((64, 64)).sum(0) % 2).astype(float)  # nothing but the finest grain
    gray = torch.tensor(np.stack([grainy, checkers, np.zeros_like(slope)]))[:, None].float()
    ratios = signal_to_noise(gray)
    # The slope's standard deviation is 0.6 / sqrt(12) = 0.173, so the ratio about 3.5.
    assert ratios[0].item() == pytest.approx(0.173 / 0.05, rel=0.05) and ratios[1:].tolist() == [0, 0]
    sigma = noise(grainy)  # another implementation of the estimate
    assert ratios[0].item() == pytest.approx(math.sqrt(grainy.var() - sigma**2) / sigma, rel=1e-3)
    assert contrast(gray)[1:].tolist() == [1, 0]


def test_gray_is_the_luma():
    red = torch.zeros(1, 3, 64, 64)
    red[:, 0] = 0.5
    assert selector().gray(red).unique().tolist() == pytest.approx([0.299 * 0.5])
    assert torch.equal(selector().gray(red[:, :1]), red[:, :1])


def test_its_default_is_the_seed_s():
    with torch.device("meta"):
        model = SelectorModel(SelectorConfig())
    vision = model.config.vision_config
    assert (vision.image_size, vision.patch_size, vision.num_hidden_layers, vision.hidden_size) == (256, 16, 6, 768)
    assert [tuple(layer[0].weight.shape) for layer in model.hidden] == [(256, 768), (64, 256)]
    assert model.score.weight.shape == (1, 64) and model.config.num_labels == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"loss": "abs"}, "SelectorConfig: found loss='abs'; expected one of bce, mse, legacy_abs_loss"),
        ({"head_sizes": [8]}, "SelectorConfig: found head_sizes=[8]; expected two widths of 1 or more"),
        ({"dropout": 1.0}, "SelectorConfig: found dropout=1.0; expected 0 or more and less than 1"),
        ({"min_snr": -1.0}, "SelectorConfig: found min_snr=-1.0; expected 0 or more"),
        ({"min_contrast": 1.5}, "SelectorConfig: found min_contrast=1.5; expected 0 to 1"),
        ({"min_contarst": 0.5}, "SelectorConfig: found unknown field 'min_contarst'"),
        ({"vision_config": {"num_channels": 3}}, "SelectorConfig: found vision_config with num_channels=3; expected 1"),
    ],
)
def test_what_cannot_work_is_refused(config, message):
    with pytest.raises(ConfigError) as error:
        SelectorConfig(**config)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("pixels", "options", "message"),
    [
        (torch.zeros(1, 3, 32, 32), {}, "pixel_values: found shape (1, 3, 32, 32); expected (batch, 3, 64, 64), or 1 "),
        (torch.zeros(1, 2, 64, 64), {}, "pixel_values: found shape (1, 2, 64, 64)"),
        (torch.full((1, 3, 64, 64), -1.0), {}, "pixel_values: found -1 to -1; expected 0 to 1; give pictures as they"),
        (torch.full((1, 3, 64, 64), torch.nan), {}, "pixel_values: found nan to nan; expected 0 to 1"),
        (
            torch.zeros(1, 3, 64, 64),
            {"labels": torch.tensor([3.0])},
            "labels: found 3 to 3; expected ratings in [0",
        ),
        (
            torch.zeros(1, 3, 64, 64),
            {"labels": torch.tensor([1.0]), "weights": torch.tensor([-1.0])},
            "weights: found -1; expected 0 or more",
        ),
    ],
)
def test_wrong_input_is_refused(pixels, options, message):
    with pytest.raises(ConfigError) as error:
        selector()(pixels, **options)
    assert str(error.value).startswith(message)
