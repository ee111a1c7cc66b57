"""Drawn against drawn is near, noise is far; figures of a modality are those of its rows."""

import numpy as np
import pytest

from hf_medreport.evaluation.images.distribution import frechet_distance
from hf_medreport.evaluation.images.pixels import ms_ssim_diversity
from hf_medreport.evaluation.pictures.distribution import (
    FEATURES,
    distribution_figures,
    distribution_table,
    look_figures,
)
from tests.evaluation.pictures.made import drawn, judge, shuffled_pixels


def test_noise_is_further_than_other_drawn_pictures():
    real, names = judge().look(drawn().images), drawn().modalities
    like = distribution_figures(real, judge().look(drawn(seed=2).images), names)
    noise = distribution_figures(real, judge().look(shuffled_pixels(drawn().images)), names)
    for near, far in ((like["all"], noise["all"]), (like["modalities"]["mri"], noise["modalities"]["mri"])):
        assert near["kid"] < far["kid"] and near["fid"] < far["fid"] and near["coverage"] >= far["coverage"]
    assert noise["features"] == FEATURES and "biased" in noise["warning"]
    rows = [row for row, name in enumerate(names) if name == "oct"]
    scale = np.sqrt(np.mean(real.features.astype(float) ** 2))
    own, other = real.features / scale, judge().look(drawn(seed=2).images).features / scale
    assert like["modalities"]["oct"]["fid"] == pytest.approx(frechet_distance(own[rows], other[rows]))
    # the scale to read it on: one half of the drawn pictures against the other
    assert like["all"]["drawn"]["fid"] == pytest.approx(frechet_distance(own[::2], own[1::2]))
    table = distribution_table(noise).splitlines()
    assert len(table) == 7 and table[2].startswith("  drawn against drawn")


def test_a_modality_of_few_pictures_has_no_figures():
    seen, names = judge().look(drawn().images), ["mri"] * 38 + ["ct"] * 2
    figures = distribution_figures(seen, seen, names)
    assert figures["modalities"]["ct"] is None and figures["all"]["n"] == 40
    assert "too few pictures" in distribution_table(figures)


def test_looks_are_those_of_each_modality():
    images = drawn().images
    flat = np.full_like(images, 100)
    figures = look_figures(images, flat, drawn().modalities)
    assert set(figures) == {"mri", "oct"}
    gray = images[0::2, ..., 0].astype(np.float32) / 255  # the modalities take turns
    assert figures["mri"]["diversity"]["drawn"] == pytest.approx(ms_ssim_diversity(gray))
    assert figures["mri"]["diversity"]["generated"] == pytest.approx(1)
    assert figures["mri"]["contrast"]["generated"] == 0 and figures["mri"]["snr"]["generated"] is None
    assert look_figures(images[:1], flat[:1], ["mri"])["mri"]["diversity"]["drawn"] is None
