"""The experiment of learning from raters: its table, and when it says that a reward was hacked."""

import json

import numpy as np
import pytest

from benchmarks.experiments import rlhf
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError


def result(arm: str, seed: int, right: int, reward: float, error: float = 0.005) -> dict:
    one = {"n": 500, "right": right}
    return {
        "arm": arm,
        "seed": seed,
        "drawn_to_learn": 768,
        "drawn_a_prompt": 1,
        "core_seconds": 300,
        "faithfulness": {"modality": one | {"right": 499}, "finding": one, "side": {"n": 220, "right": 210}},
        "reward": [reward, error],
        "quality": [0.8, 0.005],
        "ms_ssim": [0.5, 0.01],
        "kid": 0.01,
    }


def test_the_table(tmp_path, capsys):
    arms = (("supervised", 450, 0.7), ("DDPO", 400, 0.9), ("DPO", 460, 0.75))
    arms += (("supervised at guidance 3", 470, 0.7), ("DPO at guidance 3", 460, 0.9))
    for arm, right, reward in arms:
        for seed in (0, 1):
            path = tmp_path / f"{rlhf.stem(arm, seed)}.json"
            path.write_text(json.dumps(result(arm, seed, right + seed, reward)))
    rlhf.summarize(tmp_path)
    rows = {line.split(" | ")[0].strip("| "): line for line in capsys.readouterr().out.splitlines()}
    assert rows["best of n"].startswith("| best of n | not run |")
    # 901 of 1000: Wilson's interval by hand is 0.8809 to 0.9180.
    assert "| 0.901 (0.881 to 0.918) |" in rows["supervised"] and rows["supervised"].endswith("|  |")
    # Two errors of 0.005 and means over two runs: 1.96 * sqrt(2) * 0.005 / 2 = 0.0069.
    assert "0.700 ± 0.007" in rows["supervised"]
    assert rows["DDPO"].endswith("| yes: reward +0.200, finding -0.100 |")
    assert rows["DPO"].endswith("| no: reward +0.050, finding +0.020 |")
    assert rows["DPO at guidance 3"].endswith("| no: reward +0.200, finding -0.020 |")  # within the intervals


def test_similar_pictures_of_one_finding():
    facts = [PictureFact("oct", "drusen", "left", grade="mild")] * 3 + [PictureFact("cxr")]
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    images = np.stack([noise[0], noise[0], noise[1], noise[1]])
    found = np.sort(rlhf.similarities(images, facts))  # the film has no partner
    assert len(found) == 3 and found[2] == pytest.approx(1) and found[1] < 0.5
    assert rlhf.mean_and_error(np.array([1.0, 3.0])) == [2.0, 1.0]


def test_an_unknown_arm(tmp_path):
    with pytest.raises(InputError) as error:
        rlhf.run("PPO", None, 1, tmp_path, tmp_path)
    assert str(error.value) == (
        "arm: found 'PPO'; expected one of supervised, best of n, weighted regression, DDPO, DPO, "
        "supervised at guidance 3, DPO at guidance 3; name one of these"
    )


def test_arms_learn_from_as_many_pictures():
    assert rlhf.PROMPTS * rlhf.PER_PROMPT == rlhf.BUDGET
    assert [rlhf.plain_of(arm) for arm in ("DPO", "DPO at guidance 3")] == ["supervised", "supervised at guidance 3"]


def test_what_learns_nothing_is_run_once(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(rlhf, "result_of", lambda *asked: ran.append(asked[:2]) or {"core_seconds": 1})
    rlhf.run(None, None, 1, tmp_path, tmp_path)
    taught = [name for name, arm in rlhf.ARMS.items() if arm.update]
    assert ran == [*((name, 0) for name in rlhf.ARMS), *((name, 1) for name in taught)]
    rlhf.run(None, None, 1, tmp_path, tmp_path)
    assert len(ran) == len(rlhf.ARMS) + len(taught)
