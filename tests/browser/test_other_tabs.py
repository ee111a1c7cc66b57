"""The other tabs in a browser, each end to end."""

import re

import pytest
from PIL import Image

from tests.browser.conftest import drawn_slide

expect = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'hf-medreport[dev]'").expect

pytestmark = pytest.mark.browser


def tab(page, name: str):
    """Open a tab and return what it shows."""
    page.get_by_role("tab", name=name, exact=True).click()
    return page.locator("[role=tabpanel]:visible").last


def choose(panel, label: str, *words: str) -> None:
    """Choose from a list by keyboard."""
    box = panel.get_by_label(label).first
    for each in words:
        box.click()
        box.fill(each)
        panel.page.get_by_role("option", name=each, exact=True).click()
    box.press("Escape")


def test_a_film_is_drawn_and_each_fact_ticked(page, address, shoot):
    page.goto(address)
    tab(page, "Draw")
    panel = tab(page, "A film")
    choose(panel, "Findings", "severe left pleural effusion", "severe cardiomegaly")
    panel.get_by_role("button", name="Draw and report").click()
    facts = panel.locator(".mr-facts li")
    facts.first.wait_for()
    ticked = facts.all_inner_texts()
    assert all(re.fullmatch(r"[✓✗?] .+ \((correct|wrong|missed)\)", line) for line in ticked)
    assert any("left pleural effusion" in line for line in ticked)
    shoot(page, "draw_film", full_page=True)

    choose(panel, "Findings", "severe left pneumothorax")  # which no film can show beside the effusion
    panel.get_by_role("button", name="Draw and report").click()
    expect(panel.locator(".mr-error")).to_contain_text("expected facts that one film can show together")


def test_a_slide_is_drawn_and_each_fact_ticked(page, address, shoot):
    page.goto(address)
    tab(page, "Draw")
    panel = tab(page, "A slide")
    panel.get_by_role("button", name="Draw and report").click()
    panel.locator(".mr-facts li").first.wait_for()
    assert "diagnosis" in " ".join(panel.locator(".mr-facts li").all_inner_texts())
    shoot(page, "draw_slide", full_page=True)


def test_another_modality_is_drawn_twice_and_judged(page, address, shoot):
    page.goto(address)
    tab(page, "Draw")
    panel = tab(page, "Another modality")
    panel.get_by_role("button", name="Draw and report").click()
    panel.locator(".mr-synthetic figure").first.wait_for()
    assert panel.locator(".mr-synthetic figure").count() == 2
    assert "modality: mri (correct)" in " ".join(panel.locator(".mr-facts li").all_inner_texts())
    shoot(page, "draw_picture", full_page=True)


def test_pictures_of_a_prompt_are_marked_and_judged(page, address, shoot):
    page.goto(address)
    panel = tab(page, "Synthesize")
    panel.get_by_role("button", name="Draw", exact=True).click()
    expect(panel.locator(".mr-error")).to_contain_text("prompt: found none")
    panel.get_by_label("What the picture shows").fill("large left pleural effusion")
    panel.get_by_role("button", name="Draw", exact=True).click()
    panel.locator(".mr-synthetic figure").first.wait_for()
    captions = panel.locator(".mr-synthetic figcaption").all_inner_texts()
    assert len(captions) == 2 and all("the judge sees: cxr" in caption for caption in captions)
    assert "synthetic" in panel.locator(".mr-statement").inner_text()
    with page.expect_download() as download:
        panel.locator("a[download]").first.click()
    with Image.open(download.value.path()) as picture:
        assert picture.text["synthetic"] == "true" and picture.text["prompt"] == "large left pleural effusion"
    shoot(page, "synthesize", full_page=True)


def test_a_slide_is_dropped_and_its_tiles_enlarged(page, address, tmp_path, shoot):
    path = tmp_path / "dropped.png"
    Image.fromarray(drawn_slide()).save(path)
    page.goto(address)
    panel = tab(page, "Slide")
    panel.locator("input[type=file]").first.set_input_files(path)
    panel.get_by_role("button", name="Report", exact=True).click()
    expect(panel.locator(".mr-error")).to_contain_text("dropped.png: found")  # no resolution is known
    panel.get_by_label("Microns per px").fill("1")
    panel.get_by_role("button", name="Report", exact=True).click()
    panel.locator("button.mr-sentence").first.wait_for()
    assert panel.locator(".mr-tiles:not([hidden]) img").count() > 1
    panel.locator("button.mr-sentence").nth(1).click()
    expect(panel.locator("[data-tiles-of='1']")).to_be_visible()
    expect(panel.locator("[data-tiles-of='0']")).to_be_hidden()
    shoot(page, "slide", full_page=True)


def test_a_slide_of_the_server_is_read_in_place(page, address):
    page.goto(address)
    panel = tab(page, "Slide")
    choose(panel, "Slide on the server", "on_the_server.png")
    panel.get_by_label("Microns per px").fill("1")
    uploads = []
    page.on("request", lambda request: uploads.append(request.url) if "/upload" in request.url else None)
    panel.get_by_role("button", name="Report", exact=True).click()
    panel.locator("button.mr-sentence").first.wait_for()
    assert "on_the_server.png" in panel.locator(".mr-who").inner_text() and not uploads


def test_stop_ends_the_work_and_the_next_goes_on(page, address):
    page.goto(address)
    tab(page, "Draw")
    panel = tab(page, "A slide")
    panel.get_by_role("button", name="Draw and report").click()
    panel.locator(".mr-waiting").wait_for()
    panel.get_by_role("button", name="Stop").click()
    expect(panel.locator(".mr-waiting")).to_have_text("Stopped.")
    panel = tab(page, "Another modality")
    panel.get_by_role("button", name="Draw and report").click()
    panel.locator(".mr-synthetic figure").first.wait_for()
