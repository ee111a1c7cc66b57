"""The constant report earns less, over a set, than every model that ships."""

import numpy as np
import pytest

from hf_medreport.evaluation.phantom.films import constant_text, films_of
from hf_medreport.evaluation.phantom.slides import slide_bags
from hf_medreport.evaluation.rewards import report_reward
from hf_medreport.inference.loading import load
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.findings import observations
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.registry import shipped, system_of

FILMS, SLIDES = 60, 24


def mean(name: str, texts: list[str], references: list[str]) -> float:
    return float(np.mean(report_reward(name)(prompts=texts, completions=texts, reference=references)))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(shipped("report")))
def test_the_constant_report_earns_less_than_a_trained_model(name):
    pipe = load(name, device="cpu")
    row = system_of(pipe.model)
    if row.reads == "slide":
        corpus, reward = SlideCorpus(SLIDES, 1, 2048, 1.0, "test"), "slide_composite"
        shown, references = list(slide_bags(pipe, corpus, 1, False)), [corpus[i].report for i in range(SLIDES)]
        benign = [corpus[i].report for i in range(SLIDES) if corpus[i].facts.grade is None]
        constant = max(benign or references[:1], key=lambda text: mean(reward, [text] * SLIDES, references))
    else:
        size = pipe.processor.image_processor.size
        cases = list(ChestCorpus(FILMS, 1, size, "test", lateral=row.reads == "pair"))
        told = pipe.model.takes().get("labels") == "required"
        shown = [films_of(case) | ({"labels": observations(case.facts)} if told else {}) for case in cases]
        references, constant, reward = [case.report for case in cases], constant_text(), "composite"
    texts = [record["generated_text"] for (record,) in pipe(shown, batch_size=20)]
    assert mean(reward, [constant] * len(texts), references) < mean(reward, texts, references)
