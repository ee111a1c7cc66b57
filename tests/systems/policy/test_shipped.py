"""The shipped selector and policy: small, and right about drawn pictures that they never saw."""

import numpy as np
import pytest

from hf_medreport.data.drawn.picture_folder import as_color
from hf_medreport.evaluation.pictures.reward_models import load_reward
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.registry import shipped

N = 60


@pytest.fixture(scope="module")
def drawn():
    """Pictures with prompts in held-out wordings, the five modalities by turns."""
    cases = list(map(PictureCorpus(N, seed=900, split="test").__getitem__, range(N)))
    return np.stack([as_color(case.image) for case in cases]), [case.prompt for case in cases]


def test_the_folders_are_small():
    for name, folder in shipped("reward").items():
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.suffix != ".py")
        assert 100_000 < size < 2**20, name


def test_the_policy_prefers_a_picture_s_own_prompt(drawn):
    images, prompts = drawn
    policy = load_reward("policy-tiny", "cpu")
    own = policy.score(images, prompts)
    other_modality = policy.score(images, prompts[1:] + prompts[:1])
    assert (own > other_modality).mean() > 0.9
    other_finding = policy.score(images, prompts[5:] + prompts[:5])  # of the same modality
    assert (own >= other_finding).mean() > 0.65


def test_the_selector_rejects_noise(drawn):
    selector = load_reward("selector-tiny", "cpu")
    assert (selector.score(drawn[0]) > 0).all()
    assert (selector.score(np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)) == 0).all()
