"""A slide's report as a picture: the map of its evidence, and the tiles that spoke most."""

import numpy as np
import pytest

from hf_medreport.inference.figures.slide import (
    GLASS,
    MAP_PX,
    MARK,
    PLACE,
    TILE_PX,
    evidence_map,
    is_absent,
    slide_figure,
    tile_pictures,
)
from hf_medreport.inference.report_slides import SlideReport, TopTile
from hf_medreport.processing.slide_reading import open_slide
from tests.reports import a_sentence


def test_the_tile_of_most_evidence_is_laid_over():
    pixels = np.full((256, 256, 3), 200, np.uint8)
    corners = np.array([[0, 0], [128, 128]])
    with open_slide(pixels) as slide:
        drawn = evidence_map(slide, corners, 128, np.array([0.0, 1.0]), [])
    assert drawn.shape == (256, 256, 3)
    assert (drawn[:128] == 200).all()
    # three quarters of pale yellow over a quarter of gray: (252, 255, 164) * 0.75 + 200 * 0.25
    assert drawn[192, 192].tolist() == [239, 241, 173]


def test_tiles_are_enlarged_where_they_lie():
    pixels = np.zeros((512, 512, 3), np.uint8)
    pixels[64:128, 128:192] = (200, 10, 90)
    with open_slide(pixels) as slide:
        (tile,) = tile_pictures(slide, np.array([[128, 64]]), 64)
    assert tile.shape == (TILE_PX, TILE_PX, 3) and (tile == (200, 10, 90)).all()


def test_without_a_slide_the_places_lie_on_blank_glass():
    """Two tiles of 512 px from the corner of a slide that nobody has: the map is 1,024 px wide, glass elsewhere."""
    drawn = evidence_map(None, np.array([[0, 0], [512, 0]]), 512, np.array([0.0, 1.0]), [1])
    assert drawn.shape == (512, MAP_PX, 3)
    assert drawn[256, 256].tolist() == list(PLACE) and drawn[0, 0].tolist() == list(GLASS)
    # the other one is yellow, three quarters over its place: (252, 255, 164) * 0.75 + (222, 222, 226) * 0.25
    assert drawn[400, 900].tolist() == [244, 247, 180]
    blue = (drawn == MARK).all(axis=-1)  # its frame and its number
    assert blue[:, 512:].any() and not blue[:, :500].any()


def a_slide_report(**fields) -> SlideReport:
    source = {"film": "s.svs", "film_sha256": "0", "model": "m", "revision": "r", "patches": 9}
    tiles = [TopTile(4, 128, 64, 0.75), TopTile(2, None, None, 0.25)]
    return SlideReport(
        **{"text": "t", "sections": (), "sentences": [a_sentence("Grade 2.", -0.125)], "tiles": tiles} | source | fields
    )


def test_the_picture_shows_map_tiles_sentences_and_facts():
    tiles = [np.zeros((TILE_PX, TILE_PX, 3), np.uint8)] * 2
    report = a_slide_report(
        image=np.zeros((8, 8, 3), np.uint8), note="a note", pictures=tiles, statement="a test bench"
    )
    figure = slide_figure(report, [("correct", "grade 2")])
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == ["", "1.  75.0%\nat (128, 64)", "2.  25.0%\nat (None, None)"]
    assert (figure.get_size_inches() * figure.dpi).tolist() == [1300, 720]
    words = [text.get_text() for text in figure.texts]
    assert {"Grade 2.  [-0.12]", "a test bench", "\N{CHECK MARK} grade 2 (correct)"} <= set(words)
    assert figure.axes[0].get_xlabel() == "a note"


def test_tiles_without_pictures_are_listed():
    figure = slide_figure(a_slide_report(image=None, note="tiles only"))
    assert [text.get_text() for text in figure.axes[0].texts] == ["tiles only"] and len(figure.axes) == 1
    words = [text.get_text() for text in figure.texts]
    assert {"1.  75.0%  tile 4 at (128, 64)", "2.  25.0%  tile 2"} <= set(words)


@pytest.mark.parametrize(
    ("sentence", "absent"),
    [
        ("No necrosis is seen.", True),
        ("The breast is free of malignancy.", True),
        ("The margins are negative.", True),
        ("Lymph nodes with metastasis: 0/4.", True),
        ("The edge is unremarkable.", True),  # no words of the vocabulary
        ("Lymph nodes with metastasis: 2/6.", False),
        ("The tumor measures 2.2 cm and the margins are negative for tumor.", False),
        ("Sutures are seen.", False),
    ],
)
def test_a_sentence_says_that_something_is_absent_and_nothing_else(sentence, absent):
    assert is_absent(sentence) is absent


def test_what_is_there_stands_before_what_is_not():
    told = ["No necrosis is seen.", "Invasive ductal carcinoma, grade 2."]
    figure = slide_figure(a_slide_report(image=None, note="n", sentences=[a_sentence(each) for each in told]))
    words = [text.get_text() for text in figure.texts]
    places = [words.index(each) for each in (f"{told[1]}  [-0.10]", "said to be absent or free", f"{told[0]}  [-0.10]")]
    assert places == sorted(places)
