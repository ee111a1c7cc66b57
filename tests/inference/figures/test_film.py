"""A film's report as a picture: panels, titles, labels and facts."""

import numpy as np
import pytest

from hf_medreport.inference.figures.film import report_figure
from tests.reports import a_report, a_sentence


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def titles(figure) -> list[str]:
    """Of the panels; the color bar of the legend has none."""
    return [title for axes in figure.axes if (title := axes.get_title(loc="left"))]


def peaked(side: int = 16) -> np.ndarray:
    """All evidence in the upper left cell."""
    evidence = np.zeros((side, side))
    evidence[0, 0] = 1
    return evidence


def test_figure_shows_film_prior_findings_and_facts():
    sentences = [a_sentence(f"Sentence {n}.", -0.1 * n) for n in range(3)]
    report = a_report("t", sentences, statement="a test bench", prior=np.eye(8))
    figure = report_figure(report, [("correct", "left effusion"), ("wrong", "nodule")])
    outlined = "film, and the anatomical prior outlined"
    assert titles(figure) == [outlined, *(f"Sentence {n}.  [{-0.1 * n:.2f}]" for n in range(3))]
    assert {"\N{CHECK MARK} left effusion (correct)", "\N{BALLOT X} nodule (wrong)", "a test bench"} <= set(
        words(figure)
    )


def test_findings_stand_first_and_what_is_normal_shares_one_column():
    told = [
        "The heart is normal.",
        "Wires are seen.",
        "No effusion.",
        "Large left effusion.",
        "No change in the nodule.",
    ]
    figure = report_figure(a_report("t", [a_sentence(each) for each in told]))
    findings = ["Large left effusion.", "No change in the nodule.", "Wires are seen."]  # unknown words come last
    assert titles(figure) == ["film", *(f"{each}  [-0.10]" for each in findings)]
    assert {"said to be normal", "The heart is normal.  [-0.10]", "No effusion.  [-0.10]"} <= set(words(figure))


@pytest.mark.parametrize("count", [0, 1, 9, 24, 60])
def test_it_is_one_screen_whatever_is_found(count):
    figure = report_figure(a_report("t", [a_sentence(f"Nodule {n} in the left upper zone.") for n in range(count)]))
    width, height = figure.get_size_inches() * figure.dpi
    shown = len(titles(figure)) - 1
    assert width == 1300 and (height == 720 if count < 60 else shown < count)
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    assert sum("Nodule" in line for line in words(figure)) == count - shown  # without room: by their words alone


def test_a_long_sentence_keeps_its_score():
    figure = report_figure(a_report("t", [a_sentence("word " * 60, -0.12)]))
    title = titles(figure)[-1]
    assert title.endswith("\N{HORIZONTAL ELLIPSIS}  [-0.12]") and title.count("\n") == 2


def test_the_evidence_lies_over_the_film_and_is_outlined_where_it_is_peaked():
    """All in the upper left cell, the rest is clear; an even map has no outline."""
    sharp, even = a_sentence("Left effusion."), a_sentence("Right effusion.")
    sharp.evidence, even.evidence = peaked(), np.full((16, 16), 1 / 256)
    _, over_sharp, over_even, _ = report_figure(a_report("t", [sharp, even])).axes
    heat = over_sharp.images[1].get_alpha()
    assert heat.shape == (64, 64) and heat[0, 0] == pytest.approx(0.75)
    assert (heat[32:] == 0).all() and (heat[:, 32:] == 0).all()
    assert len(over_sharp.collections) == 1 and len(over_even.collections) == 0


def test_stray_islands_of_the_prior_are_counted_and_not_outlined():
    prior = np.zeros((32, 32))
    prior[8:28, 4:14] = prior[8:28, 18:28] = 1  # two lungs
    clean = prior.copy()
    prior[0, 0] = prior[0, 31] = 1
    prior[12, 8] = 0  # a hole of one px is none
    with_islands, without = (report_figure(a_report("t", prior=each)) for each in (prior, clean))
    assert "(not outlined: 2 small islands of the prior)" in words(with_islands)
    assert not any("island" in line for line in words(without))
    paths = [figure.axes[0].collections[0].get_paths()[0].vertices for figure in (with_islands, without)]
    assert np.array_equal(*paths)


def test_it_reads_on_a_dark_page_too():
    """Opaque, so that black words never stand on the page's own black."""
    figure = report_figure(a_report("t", [a_sentence("Left effusion.")]))
    assert figure.get_facecolor() == (1, 1, 1, 1)


def test_labels_that_were_told_are_said():
    told = {"labels": ["Edema"], "label_source": "oracle"}
    assert "labels: Edema (oracle: given by the user)" in words(report_figure(a_report(**told)))
    assert not any("labels" in text for text in words(report_figure(a_report())))


def test_many_labels_have_a_line_more():
    reports = [
        a_report("t", [a_sentence("Left effusion.")], labels=names, label_source="oracle")
        for names in (["Edema"], ["Enlarged Cardiomediastinum"] * 13)
    ]
    tops = [report_figure(report).axes[0].get_position().y1 for report in reports]
    assert tops[1] < tops[0]
