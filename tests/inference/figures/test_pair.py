"""A report of two views as a picture: both films, what is cut out of them, reconstructions and evidence."""

import numpy as np
import pytest
from PIL import Image

from hf_medreport.inference.loading import load
from hf_medreport.inference.report_pairs import report_pairs
from hf_medreport.registry import system
from tests.inference.test_report_pairs import MISSING
from tests.reports import a_sentence
from tests.tiny import film_array, save_tiny


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return load(save_tiny(system("cxr_multitask"), tmp_path_factory.mktemp("pairs") / "tiny-pairs"))


@pytest.fixture
def films(tmp_path):
    """A frontal and a lateral film of 64 px."""
    paths = {"f0": tmp_path / "f0.png", "l0": tmp_path / "l0.png"}
    for path, pixels in zip(paths.values(), (film_array(), film_array().T), strict=True):
        Image.fromarray(pixels).save(path)
    return paths


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_both_views(pipe, films):
    report = next(report_pairs([(films["f0"], films["l0"])], pipe))
    report.statement, report.box = "a test bench", (0.25, 0.0, 0.75, 0.5)
    figure = report.figure([("correct", "left effusion")])
    shown = titles(figure)
    assert shown[0] == "frontal film and\nwhat is cut out" and "lateral film" in shown
    assert sum(title.startswith("reconstruction \N{MINUS SIGN}\nseen, SSIM") for title in shown) == 2
    (box,) = figure.axes[0].patches  # 64 px wide: from the left edge of column 16 to the right one of column 47
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (15.5, -0.5, 32, 32)
    texts = [text.get_text() for text in figure.texts]
    assert {"\N{CHECK MARK} left effusion (correct)", "a test bench"} <= set(texts)
    assert any(text.startswith(report.classification) for text in texts)
    scales = {axes.images[0].get_clim() for axes in figure.axes if axes.images and axes.images[0].get_clim()[0] < 0}
    assert len(scales) == 1  # the colors of both rows mean the same


@pytest.mark.parametrize(("view", "other"), [("frontal", "lateral"), ("lateral", "frontal")])
def test_a_missing_view_is_said(pipe, films, view, other):
    pair = (films["f0"], None) if view == "frontal" else (None, films["l0"])
    report = next(report_pairs([pair], pipe))
    figure = report.figure()
    assert MISSING.format(other) in [text.get_text() for text in figure.texts]
    assert not any(title.startswith(other) for title in titles(figure))


def test_evidence_lies_over_its_own_view(pipe, films):
    """All evidence in the upper left cell of the lateral half: the frontal panel has no color, the lateral has."""
    report = next(report_pairs([(films["f0"], films["l0"])], pipe))
    report.sentences = [a_sentence("Left effusion.")]
    report.sentences[0].evidence = np.zeros((2, 4), np.float32)
    report.sentences[0].evidence[0, 2] = 1
    panels = [axes for axes in report.figure().axes if len(axes.images) == 2]
    alphas = [panel.images[1].get_alpha() for panel in panels]
    assert alphas[0].max() == 0 and alphas[1][0, 0] == pytest.approx(0.75) and alphas[1][-1, -1] == 0
    assert panels[0].get_title(loc="left").endswith("frontal 0%, lateral 100%")


@pytest.mark.parametrize("count", [1, 6, 9, 30])
def test_it_is_one_screen_with_the_findings_first(pipe, films, count):
    """What is normal is said in words; so is what is found beyond the room of the screen."""
    report = next(report_pairs([(films["f0"], films["l0"])], pipe))
    told = ["The heart is normal.", *(f"Nodule {n} in the left upper zone." for n in range(count))]
    report.sentences = [a_sentence(each) for each in told]
    figure = report.figure()
    shown = sum("Nodule" in title for title in titles(figure))
    words = [text.get_text() for text in figure.texts]
    assert (figure.get_size_inches() * figure.dpi).tolist() == [1300, 720] or count == 30
    assert shown == count or (count == 30 and 6 <= shown < count)
    assert sum("Nodule" in line for line in words) == count - shown
    assert {"said to be normal", "The heart is normal.  [-0.10]"} <= set(words)
    places = [axes.get_position() for axes in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in places)
