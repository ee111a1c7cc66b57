"""A film's report as a picture: panels, titles, labels and facts."""

import numpy as np
import pytest

from hf_medreport.inference.figures.film import report_figure
from tests.reports import a_report, a_sentence


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def test_figure_shows_film_prior_sentences_and_facts():
    sentences = [a_sentence(f"Sentence {n}.", -0.1 * n) for n in range(3)]
    report = a_report("t", sentences, statement="a test bench", prior=np.eye(8))
    figure = report_figure(report, [("correct", "left effusion"), ("wrong", "nodule")])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["film", "anatomical prior", *(f"Sentence {n}.  [{-0.1 * n:.2f}]" for n in range(3))]
    texts = [text.get_text() for text in figure.texts]
    assert {"\N{CHECK MARK} left effusion (correct)", "\N{BALLOT X} nodule (wrong)", "a test bench"} <= set(texts)


def test_a_long_sentence_keeps_its_score():
    figure = report_figure(a_report("t", [a_sentence("word " * 60, -0.12)]))
    title = figure.axes[-1].get_title(loc="left")
    assert title.endswith("\N{HORIZONTAL ELLIPSIS}  [-0.12]") and title.count("\n") == 2


def test_the_prior_and_the_evidence_lie_over_the_film():
    """The prior's lower half is tinted; of the evidence, all in the upper left cell of 4 x 4, the rest is clear."""
    sentence = a_sentence("Left effusion.")
    sentence.evidence = np.zeros((4, 4))
    sentence.evidence[0, 0] = 1
    prior = np.zeros((8, 8))
    prior[4:] = 1
    _, over_prior, over_evidence = report_figure(a_report("t", [sentence], prior=prior)).axes
    tint, heat = over_prior.images[1].get_alpha(), over_evidence.images[1].get_alpha()
    assert tint.shape == heat.shape == (64, 64)
    assert (tint[:28] == 0).all() and (tint[36:] == 0.25).all()
    assert heat[0, 0] == pytest.approx(0.75) and (heat[32:] == 0).all() and (heat[:, 32:] == 0).all()


def test_labels_that_were_told_are_said():
    told = {"labels": ["Edema"], "label_source": "oracle"}
    assert "labels: Edema (oracle: given by the user)" in words(report_figure(a_report(**told)))
    assert not any("labels" in text for text in words(report_figure(a_report())))


def test_many_labels_have_a_line_more():
    reports = [
        a_report(labels=names, label_source="oracle") for names in (["Edema"], ["Enlarged Cardiomediastinum"] * 13)
    ]
    heights = [report_figure(report).get_figheight() for report in reports]
    assert heights[1] > heights[0]
