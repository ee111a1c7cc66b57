"""Serves the pages from this machine; nothing of them, nor of what users drop, leaves it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from hf_medreport.demo.desk import Desk
from hf_medreport.demo.models import Models
from hf_medreport.processing.input_error import InputError

__all__ = ["hold", "private_folder", "serve"]


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder of this run for uploads and downloads, gone when the run ends; Gradio is told before it is imported.

    Raises:
        InputError: Gradio is not installed.
    """
    if find_spec("gradio") is None:
        raise InputError(
            "gradio", "no such package", "it, for pages in the browser", "pip install 'hf-medreport[demo]'"
        )
    with tempfile.TemporaryDirectory(prefix="hf-medreport-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder) / "uploads")
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        yield Path(folder)


def serve(
    models: Models,
    *,
    host: str = "127.0.0.1",
    port: int = 7860,
    browser: bool = True,
    slides: Path | None = None,
    desk: Desk | None = None,
    ready=lambda address: None,
) -> None:
    """Serve the pages until the process is interrupted.

    Args:
        models: that may be chosen.
        host: address to listen at; 127.0.0.1 is this machine alone.
        port: of it.
        browser: open the page in a browser.
        slides: a folder of slides that users may choose from; they are read where they lie.
        desk: pictures that users may rate, and the table that takes what they say.
        ready: called with the address once the pages are there.

    Raises:
        InputError: no Gradio, or an address that cannot be had.
    """
    if slides is not None and not slides.is_dir():
        raise InputError("slides", f"no folder '{slides}'", "a folder of slides", "check the path")
    with private_folder() as folder:
        from hf_medreport.demo.app import LAUNCH, build

        blocks = build(models, folder / "examples", slides, desk)
        hold(blocks, LAUNCH, host=host, port=port, browser=browser, ready=ready)


def hold(blocks, launch: dict, *, host: str, port: int, browser: bool, ready=lambda address: None) -> None:
    """Serve pages until the process is interrupted.

    Args:
        blocks: a `gr.Blocks`.
        launch: how they are launched.
        host, port, browser, ready: as of `serve`.

    Raises:
        InputError: an address that cannot be had.
    """
    where = {"server_name": host, "server_port": port, "inbrowser": browser}
    where |= {"_frontend": False}  # or a busy machine's server, which answers itself after 3 s or more, ends at once
    try:
        _, address, _ = blocks.launch(**launch, **where, prevent_thread_lock=True, quiet=True)
    except OSError as error:
        remedy = "choose another `port` or `host`"
        raise InputError("port", f"{host}:{port}, which cannot be listened at", "a free one", remedy) from error
    try:
        ready(address)
        blocks.block_thread()
    finally:
        blocks.close(verbose=False)
