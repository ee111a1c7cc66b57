"""Prompts, tables to rate, and simulated ratings."""

import numpy as np
import pytest

from hf_medreport.data.ratings.table import read_ratings
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.rounds.candidates import Candidate
from hf_medreport.rlhf.rounds.loop_settings import LoopSettings
from hf_medreport.rlhf.rounds.rated import Prompts, prompts_of, simulated_ratings, write_candidates, write_picture
from tests.rlhf.made_loop import DarkRater


def asked(table) -> LoopSettings:
    return LoopSettings(prompts=str(table), ratings="ratings.csv")


def test_prompts_of_a_table_and_drawn_ones(tmp_path):
    (tmp_path / "prompts.csv").write_text('prompt,modality\n"a nodule, left",cxr\nclear,\n')
    assert prompts_of(asked(tmp_path / "prompts.csv")) == Prompts(["a nodule, left", "clear"], ["cxr", None])
    drawn = prompts_of(LoopSettings(phantom_prompts=3))
    assert drawn.modalities == ["cxr", "ct", "mri"] == [fact.modality for fact in drawn.facts] and len(drawn) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("prompt\n", "prompts.csv: found no rows; expected a row a prompt; write the table again"),
        ('prompt,modality\nclear,cxr\n"",cxr\n', "prompts: found "),
    ],
)
def test_a_table_without_prompts(tmp_path, content, message):
    (tmp_path / "prompts.csv").write_text(content)
    with pytest.raises(InputError) as error:
        prompts_of(asked(tmp_path / "prompts.csv"))
    assert str(error.value).startswith(message)


def test_the_table_to_rate_is_one_of_ratings_once_it_is_filled(tmp_path):
    def one(prompt: int, attempt: int, policy: float, passed: bool = True) -> Candidate:
        return Candidate(prompt, attempt, 7, np.full((8, 8, 3), 90, np.uint8), 0.8, policy, passed)

    found = [[one(0, 0, 0.3), one(0, 1, 0.6), one(0, 2, 0.9, passed=False)], [one(1, 0, 0.5, passed=False)]]
    prompts = Prompts(["nodule, left", "clear"], ["cxr", None], [PictureFact("cxr")] * 2)
    written = write_candidates(tmp_path, found, prompts)
    names = [path.relative_to(tmp_path).as_posix() for path, _ in written]
    assert names == [
        "cxr_0001_selector_0.80_policy_0.60.png",
        "picture_0002_selector_0.80_policy_0.50.png",
        "others/cxr_0001-01_selector_0.80_policy_0.30.png",
    ]
    table = tmp_path / "to_rate.csv"
    assert table.read_text().splitlines()[1] == f'{names[0]},,cxr,,"nodule, left",'
    table.write_text(table.read_text().replace(",,cxr,,", ",3,cxr,2,").replace("png,,,,", "png,1,,1,"))
    ratings = read_ratings(table).ratings
    assert [(one.rating, one.modality, one.level, one.prompt) for one in ratings] == [
        (3, "cxr", 2, "nodule, left"),
        (1, None, 1, "clear"),
        (3, "cxr", 2, "nodule, left"),
    ]


def test_simulated_ratings(tmp_path):
    prompts = Prompts(["a", "b"], ["cxr", "ct"], [PictureFact("cxr"), PictureFact("ct")])
    pictures = [
        (write_picture(tmp_path / f"{k}.png", np.full((8, 8, 3), k, np.uint8), {"prompt": "x"}), k % 2) for k in (1, 2)
    ]
    said = simulated_ratings(DarkRater(), pictures, prompts, 2, 0)
    assert [(one.image.name, one.rating, one.modality, one.level, one.prompt, one.rater) for one in said] == [
        ("1.png", 1, "ct", 2, "b", "simulated"),
        ("2.png", 2, "cxr", 2, "a", "simulated"),
    ]
