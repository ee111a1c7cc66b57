"""The script that has pictures rated: what is asked for, what else is drawn, and its two tables."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from hf_medreport.data.drawn.picture_folder import as_color
from hf_medreport.data.ratings.table import read_ratings
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.phantom.picture.facts import MODALITIES

SCRIPT = Path(__file__).parents[2] / "examples" / "make_ratings.py"


@pytest.fixture(scope="module")
def script():
    specification = importlib.util.spec_from_file_location("make_ratings", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_another_fact_differs_as_asked(script):
    rng = np.random.default_rng(0)
    for number in range(60):
        fact, prompt = script.asked_for(number, 1)
        assert fact.modality == list(MODALITIES)[number % 5] and script.asked_for(number, 1) == (fact, prompt)
        side, finding, modality = (script.other_fact(fact, differs, rng) for differs in script.DIFFERS)
        assert modality.modality != fact.modality
        assert finding.modality == fact.modality and finding.finding != fact.finding
        if fact.side:
            assert side.side != fact.side and (side.finding, side.zone, side.grade) == (
                fact.finding,
                fact.zone,
                fact.grade,
            )
        else:
            assert side.finding != fact.finding and side.modality == fact.modality


class Rater:
    """Rates by brightness, and remembers by which facts it was asked."""

    def __init__(self):
        self.asked = []

    def rate(self, images, facts, *, level, seed):
        self.asked.append(list(facts))
        assert len(images) == len(facts)
        return [1 + int(image.mean() > 30) + int(image.mean() > 60) for image in images]


def test_both_tables(script, tmp_path, monkeypatch):
    """Two prompts and four drawn pictures; the generator's are those of a corpus."""
    corpus, rater = PictureCorpus(4, seed=3), Rater()
    images = np.stack([as_color(corpus[k].image) for k in range(2)])
    monkeypatch.setattr(script, "generated", lambda *asked: images)
    monkeypatch.setattr(script, "SimulatedRater", lambda: rater)
    script.main(tmp_path, prompts=2, steps=1, drawn=4, seed=1)
    ratings, quality = (read_ratings(tmp_path / f"{name}.csv") for name in ("ratings", "quality"))
    assert not ratings.problems and not quality.problems
    # Of 14 pictures the expert rates all; of 4 drawn ones the own and, but for quality, another prompt, and 2 damaged.
    assert sum(one.rater == "expert" for one in ratings.ratings) == 14 + 4 + 4 + 2
    assert sum(one.rater == "expert" for one in quality.ratings) == 14 + 4 + 2
    assert {one.rater for one in ratings.ratings} <= set(script.RATERS)
    asked, shown = rater.asked[0], rater.asked[3]  # the first rater of each table
    others = [number for number, (one, other) in enumerate(zip(asked, shown, strict=True)) if one != other]
    assert others == [3, 4, 10, 11]
    assert len(list((tmp_path / "images").iterdir())) == 14 + 4 + 2
