"""Pictures of a generator as HTML: marked, with what is seen on them, and the file itself in its link."""

import base64
import re

import numpy as np
from PIL import Image

from hf_medreport.demo.pictures import Drawn, grid, shown_marked


def test_a_small_picture_is_enlarged_by_a_whole_number_and_marked():
    gray = Image.fromarray(np.full((64, 64), 200, np.uint8))
    shown = np.asarray(shown_marked(gray))
    assert shown.shape == (256, 256, 3) and (shown[:200] == 200).all()
    assert not (shown[-12:, :60] == 200).all()  # the word in the lower left corner
    assert shown_marked(Image.new("RGB", (300, 200))).size == (300, 200)


def test_every_picture_has_its_words_and_its_file(tmp_path):
    path = tmp_path / "synthetic_0001.png"
    path.write_bytes(b"a picture")
    pixels = np.zeros((4, 4, 3), np.uint8)
    html = grid([Drawn(pixels, "<b>", ["seen"], path), Drawn(pixels, "truth", [("wrong", "side: left, not right")])])
    (link,) = re.findall(r'<a download="synthetic_0001.png" href="data:image/png;base64,(.*?)">', html)
    assert base64.b64decode(link) == b"a picture"
    assert html.count("<figure>") == 2 and "&lt;b&gt;" in html and "<li>seen</li>" in html
    assert "side: left, not right (wrong)" in html and "synthetic" in html
