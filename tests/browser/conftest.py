"""A real browser, and the pages served by the command as a user starts it; nothing here runs unless asked for."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hf_medreport.phantom.slide.corpus import SlideCorpus

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run"]
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
STARTS_WITHIN_S, WAITS_MS = 300, 120_000  # also where many processes share a core


@pytest.fixture(scope="session")
def chromium():
    """The browser; skipped in one line where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'hf-medreport[dev]'")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    sync_api.expect.set_options(timeout=WAITS_MS)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A page of its own; at its end: no error on its console, and no request that left the machine."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(WAITS_MS)
    errors, requests = [], []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    yield page
    context.close()
    assert not errors
    assert not [url for url in requests if not url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def served(command: list[str], port: int, **more) -> subprocess.Popen:
    """A server, once it answers."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as asking:
            if asking.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.5)
    process.kill()
    raise AssertionError(process.communicate()[0])


def drawn_slide() -> np.ndarray:
    """uint8 (1024, 1024, 3), 1 um a pixel."""
    return SlideCorpus(1, seed=3, size=1024, mpp=1.0, split="test")[0].drawing.region(0, 0, 1024, 1024)


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Where `hf-medreport demo` serves, with a folder of one drawn slide."""
    port, temporary, slides = free_port(), tmp_path_factory.mktemp("served"), tmp_path_factory.mktemp("slides")
    Image.fromarray(drawn_slide()).save(slides / "on_the_server.png")
    command = [sys.executable, "-m", "hf_medreport.cli", "demo", "--no-browser", "--port", str(port)]
    command += ["--slides", str(slides)]
    process = served(command, port, env=os.environ | {"TMPDIR": str(temporary)})
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=60)
    assert not list(temporary.glob("hf-medreport-demo-*"))  # nothing of its users stays


@pytest.fixture
def shoot():
    """Writes a screenshot to build/screenshots/."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return lambda page, name, **options: page.screenshot(path=SCREENSHOTS / f"{name}.png", **options)
