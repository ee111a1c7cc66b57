"""What is measured of a rater's judge, on judges whose answers are given."""

from types import SimpleNamespace

import numpy as np
import pytest

from hf_medreport.evaluation.pictures.judging import QUESTIONS, load_judge
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.picture_judge.card import write_judge_card
from hf_medreport.systems.picture_judge.degrade import PatchComponents
from hf_medreport.systems.picture_judge.rater import compared, score_artefacts
from hf_medreport.systems.picture_judge.recipe import DamagedPictures, WorsePictures, judge_to_compare
from tests.evaluation.pictures.made import drawn


class Says:
    """A judge that answers as it is told, picture by picture."""

    name = "other (sha256 0)"

    def __init__(self, answers):
        self.answers = answers

    def look(self, images):
        return SimpleNamespace(answers=self.answers[: len(images)])


def truth(**changes):
    facts = drawn().facts
    return [{name: getattr(fact, name) or "x" for name in QUESTIONS} | changes for fact in facts]


def test_artefacts_are_shares_of_answers():
    n = len(drawn())
    said = [{"artefact": "none" if k < n // 4 else "strong"} for k in range(n)]
    shares = score_artefacts(Says(said), drawn().images)
    assert list(shares)[:3] == ["no damage", "slight blur", "slight noise"] and len(shares) == 11
    assert shares["strong torn"] == {"none": n // 4 / n, "slight": 0, "strong": 1 - n // 4 / n}


def test_two_judges_are_compared_where_the_question_was_one():
    sided = [k for k, fact in enumerate(drawn().facts) if fact.side is not None]
    ours, theirs = truth(), truth()
    ours[0]["modality"] = theirs[0]["modality"] = "wrong"  # both
    theirs[1]["modality"] = "wrong"
    theirs[sided[0]]["side"] = "wrong"
    rows = compared(Says(ours), Says(theirs), drawn())
    assert rows["other"] == "other (sha256 0)" and list(rows["pictures"]) == [
        "no damage",
        "slight damage",
        "strong damage",
    ]
    modality, side = (rows["pictures"]["strong damage"][name] for name in ("modality", "side"))
    n = len(drawn())
    assert modality["n"] == n and modality["same"] == (n - 1) / n
    assert (modality["wrong"], modality["same_wrong"]) == (2, 1)
    assert side["n"] == len(sided) and (side["wrong"], side["same_wrong"]) == (1, 0)


def test_records_say_how_strong_the_damage_is():
    components = PatchComponents.fit(drawn().images)
    plain, records = (kind(drawn(), components, 3, seed=1) for kind in (WorsePictures, DamagedPictures))
    levels = []
    for index in range(len(records)):
        record, before = records[index], plain[index]
        assert record["labels"].tolist()[:-1] == before["labels"].tolist()
        levels.append(record["labels"][-1].item())
        same = np.array_equal(record["pixel_values"], before["pixel_values"])
        assert same == (levels[-1] == 0)
    assert np.mean(np.array(levels) == 0) == pytest.approx(0.7, abs=0.15) and set(levels) == {0, 1, 2}


def test_the_card_tells_of_damage_and_of_the_other_judge(tmp_path):
    kinds = {"clean": {name: {"n": 1, "accuracy": 1.0, "interval": [0.2, 1.0]} for name in (*QUESTIONS, "all")}}
    kinds["clean"]["finding"]["by_modality"] = {"ct": kinds["clean"]["side"]}
    evaluation = {"n": 1, "seed": 2, "weights": 3, "kinds": kinds}
    arguments = SimpleNamespace(phantom_cases=5, phantom_seed=1, passes=2, artefacts=True)
    asked = SimpleNamespace(training=SimpleNamespace(model_name="r"), data=arguments, command="train it")
    evaluation["artefacts"] = score_artefacts(Says([{"artefact": "slight"}] * len(drawn())), drawn().images)
    evaluation["compared"] = compared(Says(truth()), Says(truth(side="wrong")), drawn())
    card = write_judge_card(tmp_path, evaluation, asked).read_text()
    assert "| strong torn | 0.000 | 1.000 | 0.000 |" in card and "## How far it is like other (sha256 0)" in card
    assert "| side | 0.000 (0.000 to " in card and "stands for a rater, and never scores" in card
    arguments.artefacts = False
    card = write_judge_card(tmp_path, {"n": 1, "seed": 2, "weights": 3, "kinds": kinds}, asked).read_text()
    assert "damage" not in card and "like other" not in card and "It judges generators" in card


def test_a_judge_of_other_pictures_is_refused():
    assert judge_to_compare(None, 32) is None and judge_to_compare("picture-judge-tiny", 64).size == 64
    with pytest.raises(InputError, match="compare_with: found a judge of 64 px; expected one of 32 px"):
        judge_to_compare("picture-judge-tiny", 32)
    with pytest.raises(InputError, match="judge: found no folder 'gone'"):
        judge_to_compare("gone", 32)


def test_the_one_that_ships_is_apart_from_the_one_that_scores():
    rater, judge = load_judge("picture-rater-tiny", "cpu"), load_judge(device="cpu")
    assert judge.name.startswith("picture-judge-tiny") and rater.size == judge.size
    assert tuple(rater.model.config.widths) != tuple(judge.model.config.widths)
    assert set(rater.model.config.answers) - set(judge.model.config.answers) == {"artefact"}
