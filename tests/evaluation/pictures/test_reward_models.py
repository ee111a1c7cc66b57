"""Reward models from their folders: scores of any pictures and prompts, and what is no reward model."""

import numpy as np
import pytest
import torch

from hf_medreport.evaluation.pictures.reward_models import as_text, load_reward, sized
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system, systems
from tests.evaluation.pictures.made import drawn
from tests.tiny import save_tiny, tiny_model

ROWS = [row for row in systems() if row.kind == "reward"]


@pytest.fixture(scope="module")
def rewards(tmp_path_factory):
    """Of each system, loaded from its folder."""
    place = tmp_path_factory.mktemp("rewards")
    return {row.model_type: load_reward(save_tiny(row, place / row.model_type), "cpu") for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)
def test_scores_are_the_model_s_in_any_batch(row, rewards):
    reward, images, prompts = rewards[row.model_type], drawn().images[:7], drawn().prompts[:7]
    scores = reward.score(images, prompts)
    assert scores.dtype == np.float32 and scores.shape == (7,) and reward.kind == row.model_type and reward.size == 32
    np.testing.assert_allclose(reward.score(images, prompts, batch_size=3), scores, rtol=1e-5)
    assert reward.name.startswith(f"{row.model_type} (sha256 ")
    expected = tiny_model(row).score.weight
    np.testing.assert_array_equal(reward.model.score.weight.detach().numpy(), expected.detach().numpy())
    assert reward.score(images[:0], []).shape == (0,)


def test_a_policy_reads_prompt_and_modality(rewards):
    policy, image = rewards["policy"], drawn().images[:1]
    with torch.no_grad():  # loud enough for a text encoder that was never trained
        policy.model.text.embeddings.word_embeddings.weight.mul_(100)
    plain = policy.score(image, ["nodule"])
    assert policy.score(image, ["left nodule"]) != plain
    assert policy.score(image, ["nodule"], ["ct"]) == policy.score(image, ["ct: nodule"]) != plain
    assert policy.score(image, ["nodule"], [None]) == plain and as_text("nodule") == "nodule"


def test_a_selector_reads_no_prompt_and_its_gates_give_0(rewards):
    selector, images = rewards["selector"], drawn().images[:2].copy()
    images[1] = 90
    scores = selector.score(images)
    assert scores[0] > 0 and scores[1] == 0 and selector.passes(images).tolist() == [True, False]
    np.testing.assert_array_equal(selector.score(images, ["a", "b"]), scores)
    assert rewards["policy"].passes(images).all()


def test_pictures_of_another_size_are_resized(rewards):
    image = drawn().images[0]
    large = image.repeat(2, axis=0).repeat(2, axis=1)
    assert sized(large, 64).shape == (64, 64, 3) and sized(image, len(image)) is image
    scores = [rewards["selector"].score(picture[None])[0] for picture in (image, large)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)


@pytest.mark.parametrize(
    ("images", "prompts", "modalities", "message"),
    [
        (np.zeros((2, 8, 8, 3), np.uint8), None, None, "prompts: found none for a policy; expected a prompt a pict"),
        (
            np.zeros((2, 8, 8, 3), np.uint8),
            ["a"],
            None,
            "prompts: found 1 for 2 pictures; expected as many as",
        ),
        (np.zeros((2, 8, 8, 3), np.uint8), ["a", "b"], ["ct"], "modalities: found 1 for 2 pictures; expected as many"),
        (
            np.zeros((2, 8, 8), np.uint8),
            ["a", "b"],
            None,
            "images: found uint8 of shape (2, 8, 8); expected uint8 (n",
        ),
        (np.zeros((2, 8, 8, 3)), ["a", "b"], None, "images: found float64 of shape (2, 8, 8, 3); expected uint8 (n"),
    ],
)
def test_wrong_input_is_refused(rewards, images, prompts, modalities, message):
    with pytest.raises(InputError) as error:
        rewards["policy"].score(images, prompts, modalities)
    assert str(error.value).startswith(message)


def test_what_is_no_reward_model(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"no weights")
    judge = save_tiny(system("picture_judge"), tmp_path / "judge")
    for folder, message in (
        (tmp_path / "nowhere", "found no folder 'nowhere'; expected the folder of one; check the path, or train one"),
        (tmp_path / "empty", "found no model.safetensors in 'empty'"),
        (tmp_path / "broken", "found 'broken', which does not load"),
        (judge, "found 'judge', a picture_judge; expected the folder of one; give another"),
    ):
        with pytest.raises(InputError) as error:
            load_reward(folder, "cpu")
        assert str(error.value).startswith(f"reward model: {message}")
