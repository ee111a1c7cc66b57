"""All pages: accessibility, narrow and dark, examples, the statement, many users at once, the API."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import pytest
from PIL import Image

from hf_medreport.phantom.chest.findings import Fact
from hf_medreport.phantom.chest.frontal import draw_frontal

pytestmark = pytest.mark.browser
TABS = ("Film", "Draw", "Synthesize", "Slide")
USERS = 20


def report_example(page):
    """Report the first example of the tab of films."""
    page.locator("[role=tabpanel]:visible").get_by_text("drawn_film.png").first.click()
    page.get_by_role("button", name="Report", exact=True).click()
    page.locator("button.mr-sentence").first.wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_found_by_axe(page, address, scheme):
    axe = pytest.importorskip("axe_playwright_python", reason="no axe: pip install 'hf-medreport[dev]'")
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}/?__theme={scheme}")
    report_example(page)
    page.evaluate(files(axe).joinpath("axe.min.js").read_text(encoding="utf-8"))
    found = []
    for name in TABS:
        page.get_by_role("tab", name=name, exact=True).click()
        page.wait_for_timeout(500)
        for violation in page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]:
            if violation["impact"] in ("serious", "critical"):
                nodes = [node["html"][:200] for node in violation["nodes"]]
                found.append((name, violation["id"], violation["help"], nodes[:3]))
    assert not found, json.dumps(found, indent=1)


@pytest.mark.parametrize(("name", "width", "scheme"), [("wide", 1280, "light"), ("narrow", 400, "light"),
                                                       ("dark", 1280, "dark")])  # fmt: skip
def test_the_page_fits_and_the_statement_is_there(page, address, shoot, name, width, scheme):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}/?__theme={scheme}")
    report_example(page)
    shoot(page, f"page_{name}", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for tab in TABS:
        opened = page.get_by_role("tab", name=tab, exact=True)
        if opened.is_visible():  # a narrow page keeps the last ones in a menu
            opened.click()
        page.mouse.wheel(0, 3000)
        page.wait_for_timeout(300)
        banner = page.get_by_text("No medical device, no clinical use")
        box = banner.bounding_box()
        assert banner.is_visible() and 0 <= box["y"] <= 900 - box["height"], tab


def test_many_users_at_once_get_their_own_reports(address, tmp_path):
    client_of = pytest.importorskip("gradio_client")
    paths = []
    for number in range(USERS):
        facts = [Fact("pleural_effusion", "left" if number % 2 else "right", severity="severe")]
        path = tmp_path / f"film_{number}.png"
        Image.fromarray(draw_frontal(facts, patient=number, size=96).image).save(path)
        paths.append(path)

    def ask(path) -> dict:
        client = client_of.Client(address, verbose=False)
        sent = client_of.handle_file(path)
        return client.predict(sent, None, api_name="/film")[1]

    with ThreadPoolExecutor(USERS) as pool:
        records = list(pool.map(ask, paths, timeout=600))
    for path, record in zip(paths, records, strict=True):
        assert record["film"] == path.name
        assert record["film_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len({record["text"] for record in records}) > 1


def test_every_tab_has_an_api_name_and_an_error_is_one_line(address, tmp_path):
    client_of = pytest.importorskip("gradio_client")
    client = client_of.Client(address, verbose=False)
    named = set(client.view_api(return_format="dict", print_info=False)["named_endpoints"])
    assert named == {"/film", "/slide", "/synthesize", "/draw", "/draw_slide", "/draw_picture"}
    view, record = client.predict("ct: right posterior consolidation", 2, "diffusion-tiny", api_name="/draw_picture")
    assert record["seen"]["drawn"]["modality"] == "ct" and "SYNTHETIC" not in view
    path = tmp_path / "no film.png"
    path.write_bytes(b"nothing")
    with pytest.raises(Exception, match="no film.png: found .*expected"):
        client.predict(client_of.handle_file(path), None, "anatomical-tiny", "", False, "", "", api_name="/film")
    with pytest.raises(Exception, match="not in the list of choices"):  # nothing outside of its folder
        client.predict(None, "../../etc/passwd", None, False, "histgen-tiny", api_name="/slide")
