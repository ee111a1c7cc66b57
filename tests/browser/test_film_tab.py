"""The tab of films in a browser: drop, report, click, download; what is no film is told in one line."""

import json

import pytest
from PIL import Image

from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.frontal import draw_frontal
from tests.processing.dicom_files import write_dicom

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def drawn():
    return draw_frontal([Fact("pleural_effusion", "left", severity="severe")], patient=3, size=256)


@pytest.mark.parametrize("suffix", [".png", ".dcm"])
def test_a_film_is_reported_and_a_sentence_shows_its_evidence(page, address, tmp_path, drawn, suffix, shoot):
    path = tmp_path / f"my film{suffix}"
    if suffix == ".dcm":
        write_dicom(path, drawn.image, Modality="DX", BodyPartExamined="CHEST")
    else:
        Image.fromarray(drawn.image).save(path)
    page.goto(address)
    page.locator("input[type=file]").first.set_input_files(path)
    page.get_by_role("button", name="Report", exact=True).click()
    sentences = page.locator("button.mr-sentence")
    sentences.first.wait_for()
    assert sentences.first.get_attribute("aria-pressed") == "true"
    assert page.locator(".mr-layer[data-of='0']").is_visible()

    sentences.nth(1).press("Enter")  # by keyboard
    assert sentences.nth(1).get_attribute("aria-pressed") == "true"
    assert not page.locator(".mr-layer[data-of='0']").is_visible()
    assert page.locator(".mr-layer[data-of='1']").is_visible()
    page.get_by_label("Opacity").fill("20")
    opacity = page.locator(".mr-layer[data-of='1']").evaluate("layer => getComputedStyle(layer).opacity")
    assert float(opacity) == pytest.approx(0.2)
    assert not page.locator(".mr-layer[data-of=prior]").is_visible()
    page.get_by_label("Anatomical prior").check()
    assert page.locator(".mr-layer[data-of=prior]").is_visible()
    page.get_by_label("Evidence").uncheck()
    assert not page.locator(".mr-layer[data-of='1']").is_visible()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    record = json.loads(download.value.path().read_text())
    assert record["film"].endswith(suffix) and len(record["sentences"]) == sentences.count()
    shown = " ".join(sentences.nth(number).inner_text() for number in range(sentences.count()))
    assert all(sentence["text"] in shown for sentence in record["sentences"])
    page.get_by_label("Evidence").check()
    shoot(page, f"film{suffix.replace('.', '_')}")


def test_a_damaged_film_is_one_line(page, address, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    page.goto(address)
    page.locator("input[type=file]").first.set_input_files(path)
    page.get_by_role("button", name="Report", exact=True).click()
    told = page.locator(".mr-error")
    told.wait_for()
    assert told.inner_text().startswith("broken.png: found ") and "Traceback" not in page.content()
