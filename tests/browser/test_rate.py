"""The page of raters in a browser: keys, undo, skip, going on after a reload and a kill, pairs, narrow and dark."""

import os
import sys

import pytest

from hf_medreport.data.drawn.pictures import write_pictures
from hf_medreport.data.ratings.pairs import read_pairs
from hf_medreport.data.ratings.table import read_ratings
from hf_medreport.demo.desk import Desk
from hf_medreport.demo.to_rate import pictures_to_rate
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.phantom.picture.facts import PictureFact
from tests.browser.conftest import free_port, served

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six drawn pictures of one fact; two of them have prompts that are code to who does not escape them."""
    folder = tmp_path_factory.mktemp("rate") / "pictures"
    write_pictures(folder, PictureCorpus(6, 1, 64, fact=PictureFact("ct", "nodule", "left", "anterior", "severe")))
    lines = ["path,text,modality"]
    prompts = ["large nodule, left"] * 4 + ["<b>bold</b> ${1 + 1} {{name}}"] * 2
    for picture, prompt in zip(sorted((folder / "images").glob("*.png")), prompts, strict=True):
        lines.append(f'images/{picture.name},"{prompt}",ct')
    (folder / "to_rate.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def rate(page, folder, tmp_path):
    """Serves the page from this process, of a desk with these options; the address."""
    from hf_medreport.demo.rate import LAUNCH, build_rating

    pages = []

    def serve(rater=None, level=None, **options):
        desk = Desk(pictures_to_rate(folder, folder / "to_rate.csv")[0], tmp_path / "out.csv", **options)
        pages.append(build_rating(desk, rater, level))
        where = {"server_name": "127.0.0.1", "server_port": free_port(), "quiet": True}
        return pages[-1].launch(**LAUNCH, **where, prevent_thread_lock=True)[1]

    yield serve
    page.goto("about:blank")  # before the server goes
    for blocks in pages:
        blocks.close(verbose=False)


@pytest.fixture
def verb(page, folder, tmp_path):
    """Starts the verb, always at the same address; `kill` ends it by SIGKILL."""
    processes, port = [], free_port()

    def start():
        command = [sys.executable, "-m", "hf_medreport.cli", "rate", folder, "--csv", folder / "to_rate.csv"]
        command += ["--out", tmp_path / "out.csv", "--no-browser", "--port", port]
        processes.append(served([str(part) for part in command], port, env=os.environ | {"TMPDIR": str(tmp_path)}))
        return f"http://127.0.0.1:{port}"

    def kill():
        processes[-1].kill()
        processes[-1].wait()

    start.kill = kill
    yield start
    page.goto("about:blank")  # before the server goes
    kill()


def begin(page, name, level="3: expert"):
    page.get_by_label("Your name or initials").fill(name)
    page.get_by_label(level).check()
    page.get_by_role("button", name="Begin").click()
    page.locator(".mr-rate img").first.wait_for()


def press(page, key):
    """Press a key and wait for what is shown next."""
    shown = page.locator(".mr-rate").get_attribute("data-shown")
    page.keyboard.press(key)
    page.wait_for_function("shown => document.querySelector('.mr-rate').dataset.shown !== shown", arg=shown)


def said(page):
    return page.locator(".progress").inner_text()


def test_three_pictures_undo_skip_and_a_reload(page, rate, tmp_path, shoot):
    page.goto(rate())
    page.wait_for_function("window.medreportRates")  # before, no key is heard
    assert page.get_by_role("note").inner_text().startswith("Synthetic pictures, for research. No clinical use")
    press(page, "3")
    assert page.get_by_role("alert").inner_text() == "give your name first"
    begin(page, "ann <i>", "2: trained")
    source = page.locator(".mr-rate img").get_attribute("src")
    assert source.startswith("data:image/png") and ".png" not in page.content().replace("data:image/png", "")
    shoot(page, "rate")
    for key in "312":
        press(page, key)
    assert said(page) == "3 of 6 done by ann <i>, level 2"
    table = tmp_path / "out.csv"
    assert [one.rating for one in read_ratings(table).ratings] == [3, 1, 2]
    assert {(one.rater, one.level, one.modality) for one in read_ratings(table).ratings} == {("ann <i>", 2, "ct")}

    press(page, "u")
    assert said(page).startswith("2 of 6") and len(read_ratings(table).ratings) == 2
    again = page.locator(".mr-rate img").get_attribute("src")
    press(page, "s")
    assert page.locator(".mr-rate img").get_attribute("src") != again and len(read_ratings(table).ratings) == 2
    press(page, "u")
    assert page.locator(".mr-rate img").get_attribute("src") == again
    page.get_by_role("button", name="2: acceptable").click()
    page.get_by_text("3 of 6").wait_for()

    page.reload()  # the browser knows who rates
    page.get_by_text("3 of 6").wait_for()
    for key in "331":
        press(page, key)
    page.get_by_text("All done").wait_for()
    prompts = [one.prompt for one in read_ratings(table).ratings]
    assert len(prompts) == 6 and prompts.count("<b>bold</b> ${1 + 1} {{name}}") == 2


def test_a_killed_server_has_lost_nothing(page, verb, tmp_path):
    page.goto(verb())
    begin(page, "ann")
    for key in "31":
        press(page, key)
    page.goto("about:blank")
    verb.kill()
    assert [one.rating for one in read_ratings(tmp_path / "out.csv").ratings] == [3, 1]
    page.goto(verb())
    page.get_by_text("2 of 6 done by ann").wait_for()
    press(page, "u")
    assert said(page).startswith("1 of 6")


def test_two_raters_see_other_orders(page, rate, tmp_path):
    address, orders = rate(), []
    page.goto(address)
    for name in ("ann", "bob"):
        begin(page, name)
        page.get_by_text(f"0 of 6 done by {name}").wait_for()
        orders.append([])
        for _ in range(6):
            orders[-1].append(page.locator(".mr-rate img").get_attribute("src"))
            press(page, "2")
    assert sorted(orders[0]) == sorted(orders[1]) and orders[0] != orders[1]
    assert len(read_ratings(tmp_path / "out.csv").ratings) == 12


def test_prompts_are_escaped(page, rate):
    page.goto(rate("ann", 1))  # no name is asked for
    for _ in range(6):
        page.locator(".mr-rate img").wait_for()
        prompt = page.locator(".prompt").inner_text()
        assert prompt in ("ct: large nodule, left", "ct: <b>bold</b> ${1 + 1} {{name}}")
        press(page, "s")
    assert not page.get_by_label("Your name or initials").is_visible()


def test_a_key_pressed_twice_rates_one_picture(page, rate, tmp_path):
    page.goto(rate("ann", 3))
    page.locator(".mr-rate img").wait_for()
    page.evaluate("for (let k = 0; k < 5; k++) document.getElementById('mr-key-1').click()")
    page.get_by_text("1 of 6").wait_for()
    page.wait_for_timeout(1500)
    assert said(page).startswith("1 of 6") and len(read_ratings(tmp_path / "out.csv").ratings) == 1


def test_pairs_narrow_and_dark(page, rate, tmp_path, shoot):
    page.set_viewport_size({"width": 400, "height": 800})
    page.emulate_media(color_scheme="dark")
    page.goto(rate(pairs=True))
    begin(page, "ann")
    assert page.locator(".mr-rate img").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    shoot(page, "rate_pairs_dark_400", full_page=True)
    sources = [image.get_attribute("src") for image in page.locator(".mr-rate img").all()]
    for key in "bta":
        press(page, key)
    page.set_viewport_size({"width": 1280, "height": 900})
    shoot(page, "rate_pairs_dark")
    table = read_pairs(tmp_path / "out.csv")
    assert [one.tie for one in table.comparisons] == [False, True, False] and len(table.pairs) == 2
    for _ in range(3):
        press(page, "u")
    assert [image.get_attribute("src") for image in page.locator(".mr-rate img").all()] == sources
    assert not (tmp_path / "out.csv").exists()
