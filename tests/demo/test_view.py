"""A report as HTML: every word escaped, a button a sentence, a layer a sentence, and the truth beside it."""

import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from hf_medreport.demo.view import (
    Enlarged,
    Shown,
    film_shown,
    heat,
    image_tag,
    pair_shown,
    report_view,
    tinted,
    waiting,
)
from hf_medreport.inference.report import Report, Sentence
from hf_medreport.inference.report_pairs import PairReport, Reconstruction

HOSTILE = '<script>alert("x")</script>'


class Elements(HTMLParser):
    """Every element of a piece of HTML with its attributes; it must be closed in order."""

    EMPTY = {"img", "input"}

    def __init__(self, html: str):
        super().__init__()
        self.found, self.open = [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def of(self, tag: str, **wanted) -> list[dict]:
        wanted = {name.replace("_", "-"): value for name, value in wanted.items()}
        return [
            attributes
            for name, attributes in self.found
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]


def pixels_of(tag: str) -> np.ndarray:
    """The pixels that an `img` carries."""
    return np.asarray(Image.open(BytesIO(base64.b64decode(re.search('base64,([^"]+)', tag)[1]))))


def sentences(*shape) -> list[Sentence]:
    text = "Small effusion. Clear lungs. Effusion."
    spans = [("findings", 0, 15), ("findings", 16, 28), ("impression", 29, 38)]
    made = []
    for number, (section, start, end) in enumerate(spans):
        evidence = np.zeros(shape)
        evidence[number % shape[0], number % shape[1]] = 1.0
        words = {"text": text[start:end], "section": section, "start": start, "end": end}
        made.append(Sentence(**words, mean_logprob=-0.1 * number, evidence=evidence))
    return made


@pytest.fixture
def report():
    return Report(
        text="Small effusion. Clear lungs. Effusion.", sections=(), sentences=sentences(4, 4), film=HOSTILE,
        film_sha256="0", model="model & more", revision="abc", statement="no clinical statement", labels=["Edema"],
        label_source="oracle", notes=["mirrored"], image=np.full((20, 30), 0.5, np.float32), prior=np.eye(20) > 0,
    )  # fmt: skip


def test_every_sentence_is_a_button_in_its_section_with_its_layer(report):
    html = report_view(report, film_shown(report))
    page = Elements(html)
    buttons = page.of("button")
    assert [button["data-sentence"] for button in buttons] == ["0", "1", "2"]
    assert [button["aria-pressed"] for button in buttons] == ["true", "false", "false"]
    layers = [image for image in page.of("img") if "data-of" in image]
    assert [(layer["data-of"], "hidden" in layer) for layer in layers] == [
        ("0", False), ("1", True), ("2", True), ("prior", True),
    ]  # fmt: skip
    assert re.findall("<h2>(.*?)</h2>", html) == ["Findings", "Impression"]
    assert "[-0.10]" in html and "labels: Edema (oracle: given by the user)" in html and "note: mirrored" in html
    assert page.of("input", type="range") and page.of("input", data_shows="prior")
    assert "no clinical statement" in html


def test_no_word_of_a_file_or_a_model_is_html(report):
    report.sentences[0].text = report.text = report.statement = HOSTILE
    html = report_view(report, film_shown(report), [("wrong", HOSTILE)], {None: [Enlarged(np.zeros((2, 2)), HOSTILE)]})
    assert not Elements(html).of("script") and "model &amp; more" in html


def test_without_a_prior_there_is_no_box_for_it_and_without_sentences_the_text_stands(report):
    report.prior, report.sentences, report.text = None, [], ""
    page = Elements(html := report_view(report, film_shown(report)))
    assert not page.of("input", data_shows="prior") and not page.of("button") and "nothing" in html


def test_facts_are_told_in_words_beside_their_sign(report):
    facts = [("correct", "left effusion"), ("missed", "nodule")]
    html = report_view(report, film_shown(report), facts)
    assert re.findall(r'<li class="(.*?)">(.*?)</li>', html) == [
        ("mr-correct", "\N{CHECK MARK} left effusion (correct)"), ("mr-missed", "? nodule (missed)"),
    ]  # fmt: skip
    assert "nothing drawn, nothing stated" in report_view(report, [], [])


def test_a_pair_shows_each_view_as_it_was_seen_on_one_scale():
    evidence = sentences(2, 4)
    evidence[0].evidence = np.array([[4.0, 0, 0, 1.0], [0, 0, 0, 0]])
    seen = {view: Reconstruction(np.full((8, 8), 0.2), np.full((8, 8), 0.4)) for view in ("frontal", "lateral")}
    report = PairReport(
        text="Small effusion.", sections=(), sentences=evidence[:1], film="f.png", film_sha256="0", model="m",
        revision="r", image=np.zeros((9, 9)), lateral="l.png", lateral_sha256="1", views=("frontal", "lateral"),
        note="a note", abnormal_probability=0.75, classification="abnormal", box=None,
        ssim={"frontal": 0.5, "lateral": 0.25}, lateral_image=np.zeros((9, 9)), reconstructions=seen,
    )  # fmt: skip
    shown = pair_shown(report)
    assert [each.title for each in shown] == [
        "frontal view, as the encoder saw it", "its reconstruction, SSIM 0.500", "the frontal film",
        "lateral view, as the encoder saw it", "its reconstruction, SSIM 0.250", "the lateral film",
    ]  # fmt: skip
    assert shown[0].layers[0][..., 3].max() == 255
    assert shown[3].layers[0][..., 3].max() == pytest.approx(255 / 4, abs=1)  # a quarter of the strongest of both
    html = report_view(report, shown)
    assert "abnormal (probability of abnormal: 0.75)" in html and "f.png + l.png" in html and "a note" in html
    report.views = ("lateral",)
    assert len(pair_shown(report)) == 3


def test_heat_is_clear_where_there_is_nothing_and_opaque_where_there_is_most():
    layer = heat(np.array([[0.0, 0.0], [0.0, 2.0]]))
    assert layer[0, 0, 3] == 0 and layer[-1, -1, 3] == 255 and layer.dtype == np.uint8
    assert not heat(np.zeros((2, 2)))[..., 3].any()


def test_a_mask_is_tinted_and_nothing_else():
    layer = tinted(np.array([[True, False]]))
    assert layer[0, 0, 3] and not layer[0, 1].any()


@pytest.mark.parametrize(
    "pixels",
    [np.full((4, 4), 128, np.uint8), np.full((4, 4), 128 * 257, np.uint16), np.full((4, 4), 128 / 255, np.float32)],
    ids=["uint8", "uint16", "float"],
)
def test_pixels_of_every_type_are_the_same_gray(pixels):
    assert pixels_of(image_tag(pixels, "gray")) == pytest.approx(128, abs=1)


def test_tiles_of_the_chosen_sentence_are_shown_and_of_the_report_always(report):
    tiles = [Enlarged(np.zeros((2, 2, 3), np.uint8), "1. 50.0% at (0, 0)")]
    shown = [Shown("slide", np.zeros((4, 4, 3), np.uint8))]
    page = Elements(report_view(report, shown, None, {None: tiles, 0: tiles, 1: tiles, 2: []}))
    parts = page.of("div", **{"class": "mr-tiles"})
    assert [(part.get("data-tiles-of"), "hidden" in part) for part in parts] == [
        (None, False), ("0", False), ("1", True),
    ]  # fmt: skip


def test_what_is_done_meanwhile_is_a_status():
    assert 'role="status"' in waiting("Reading", 3) and "Reading (3 s)" in waiting("Reading", 3)
