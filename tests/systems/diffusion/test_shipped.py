"""The shipped generator: everything that is ours is on and has learned, and it draws what it is asked for."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from hf_medreport.evaluation.pictures.evaluate import Drawing
from hf_medreport.evaluation.pictures.faithfulness import faithfulness
from hf_medreport.evaluation.pictures.judging import judge_folder, load_judge
from hf_medreport.inference.generators import load_generator
from hf_medreport.phantom.picture.facts import MODALITIES, draw_fact
from hf_medreport.phantom.picture.prompts import write_prompt
from hf_medreport.registry import shipped


@pytest.fixture(scope="module")
def pipe():
    pipe = load_generator("diffusion-tiny", device="cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


def test_what_began_at_zero_has_moved(pipe):
    unet, conditioner = pipe.unet, pipe.text_encoder
    assert unet.config.skip_gates and unet.config.class_embed_type == "projection"
    assert conditioner.config.modalities and not conditioner.config.attend_padding
    began_at_zero = {
        "skip gates": torch.cat([gate.gamma.flatten() for gates in unet.gates for gate in gates]),
        "pooled prompt": unet.class_embedding.linear_2.weight,
        "modality in tokens": conditioner.fuse_tokens.out.weight,
        "modality in the pooled state": conditioner.fuse_pooled.out.weight,
    }
    # 1e-2 is far above what AdamW's first step of a rate of 2e-3 leaves.
    assert {name for name, weight in began_at_zero.items() if weight.abs().mean() < 1e-2} == set()


def test_it_is_small_and_the_judge_with_it():
    count = 0
    for folder in (*shipped("generator").values(), judge_folder()):
        for path in folder.rglob("*.safetensors"):
            count += sum(tensor.size for tensor in load_file(path).values())
    assert 3_000_000 < count < 3_900_000


def test_it_draws_what_it_is_asked_for(pipe):
    """A few prompts in held-out wordings; the figures of a thousand are in its card."""
    rng = np.random.default_rng(0)
    facts = [draw_fact(rng, modality) for modality in MODALITIES for _ in range(8)]
    prompts = [write_prompt(fact, rng, "held_out") for fact in facts]
    images = Drawing(num_inference_steps=10, batch_size=40)(pipe, prompts, [fact.modality for fact in facts], 64)
    scores = faithfulness(facts, load_judge().look(images).answers)
    assert scores["modality"]["accuracy"] == 1.0
    assert scores["side"]["accuracy"] > 0.8 and scores["finding"]["accuracy"] > 0.7
    gray = [row for row, fact in enumerate(facts) if fact.modality != "fundus"]
    assert np.ptp(images[gray], axis=-1).max() == 0 and np.ptp(images[-1], axis=-1).max() > 20
