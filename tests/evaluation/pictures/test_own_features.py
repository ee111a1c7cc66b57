"""Figures on the features of a model that somebody brings."""

import numpy as np
import pytest

from hf_medreport.evaluation.images.distribution import frechet_distance, inception_score
from hf_medreport.evaluation.images.features import Extractor
from hf_medreport.evaluation.pictures.card_rows import card_rows
from hf_medreport.evaluation.pictures.evaluate import pictures_table, score_pictures
from hf_medreport.evaluation.pictures.own_features import figures_on, own_features_lines
from tests.evaluation.pictures.made import drawn, judge, shuffled_pixels


def brightness(pictures):
    """Two features and, of those, two classes."""
    features = np.stack([[picture.mean(), picture.std()] for picture in pictures]).astype(np.float32)
    return features, features * 3


CLASSIFIER = Extractor("brightness", brightness)
BACKBONE = Extractor("backbone", lambda pictures: (brightness(pictures)[0], None))
CLIP = Extractor("clip", BACKBONE.images, texts=lambda texts: np.ones((len(texts), 2), np.float32))


def test_distances_are_those_of_its_features():
    dark = (drawn().images * 0.5).astype(np.uint8)
    figures = figures_on(CLASSIFIER, drawn(), dark)
    seen = [brightness([image / 255 for image in images])[0] for images in (drawn().images, dark)]
    assert figures["fid"] == pytest.approx(frechet_distance(*seen), rel=1e-4)
    assert figures["inception_score"] == pytest.approx(inception_score(seen[1] * 3)[0], rel=1e-4)
    assert figures["clip"] is None and figures["features"] == "brightness"
    assert figures_on(CLASSIFIER, drawn(), drawn().images)["fid"] == pytest.approx(0, abs=1e-6)


def test_what_a_model_cannot_do_is_not_said():
    lines = own_features_lines(figures_on(BACKBONE, drawn(), drawn(seed=2).images))
    assert "FID" in lines and "KID" in lines and "inception" not in lines and "CLIP" not in lines
    figures = figures_on(CLIP, drawn(), drawn().images)
    assert figures["inception_score"] is None and f"CLIP score {figures['clip']['score']:.4g}" in own_features_lines(
        figures
    )


def test_they_stand_in_table_and_card():
    scores = score_pictures(shuffled_pixels(drawn().images), drawn(), judge(), extractor=CLIP)
    assert scores["own_features"]["fid"] > 0 and "clip: FID" in pictures_table(scores)
    rows = card_rows(scores | {"seed": 1, "split": "test", "drawing": {"guidance_scale": 3, "num_inference_steps": 2}})
    assert rows["FID (clip)"] == f"{scores['own_features']['fid']:.4g}" and "CLIP score (clip)" in rows
