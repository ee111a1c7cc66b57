"""What the tabs share: work that is told of and can be stopped, errors in one line, what shows a report."""

import secrets
from collections.abc import Callable, Generator
from html import escape
from pathlib import Path
from typing import TypeVar

import gradio as gr
from gradio.utils import get_upload_folder

from hf_medreport.demo.view import SCRIPT, waiting
from hf_medreport.demo.working import seconds_of
from hf_medreport.files.items import why
from hf_medreport.files.writing import unique_stem, write_json, write_text, write_whole
from hf_medreport.inference.report import Failure, Report
from hf_medreport.inference.report_folder import draw

__all__ = ["LIMIT_S", "QUEUE", "download_folder", "on_click", "report_outputs", "reported", "told", "view_box"]

LIMIT_S = 300  # of one user's work
QUEUE = "work"  # all tabs stand in one line: models and cores are the same

T = TypeVar("T")


class FailedItem(Exception):
    """An item's failure, in the words that it has already."""


def told(work: Callable[[], T], says: str, others: int) -> Generator[tuple, None, T]:
    """Do some work; meanwhile the first output says what is done, `others` more stay as they are.

    Raises:
        gr.Error: whatever went wrong, in one line, which stands in the first output too.
    """
    rest = [gr.skip()] * others
    seconds = seconds_of(work, LIMIT_S)
    try:
        yield waiting(says, 0), *rest
        while True:
            try:
                yield waiting(says, next(seconds)), *rest
            except StopIteration as done:
                return done.value
    except Exception as error:
        message = escape(str(error) if isinstance(error, FailedItem) else why("demo", error), quote=False)
        yield f'<p class="mr-error" role="alert">{message}</p>', *rest
        raise gr.Error(message, print_exception=False) from None
    finally:
        seconds.close()


def view_box() -> gr.HTML:
    """Where a report or pictures appear."""
    return gr.HTML("", js_on_load=SCRIPT, elem_classes="mr-box")


def report_outputs() -> list:
    """The components of a report, in the order of what `reported` yields."""
    view = view_box()
    with gr.Row():
        files = [gr.DownloadButton(f"Download {kind}", size="sm") for kind in ("JSON", "picture", "text")]
    with gr.Accordion("The report as a program reads it", open=False):
        record = gr.JSON(show_label=False)
    return [view, record, *files]


def reported(work: Callable[[], tuple[Report | Failure, Callable[[], str], list | None]], says: str) -> Generator:
    """Make a report and yield what `report_outputs` show of it.

    Args:
        work: returns the report, what makes the HTML of it, and for drawn images its facts.
        says: what is told meanwhile.
    """

    def made() -> tuple:
        report, html, facts = work()
        if isinstance(report, Failure):
            raise FailedItem(report.message)
        shown, drawn = html(), draw(report, facts)
        if isinstance(drawn, Failure):
            raise FailedItem(drawn.message)
        folder, stem = download_folder(), unique_stem(Path(drawn.name).name, set())
        files = [
            write_json(folder / f"{stem}_report.json", drawn.fields, indent=1),
            write_whole(folder / f"{stem}_report.png", lambda part: part.write_bytes(drawn.picture)),
            write_text(folder / f"{stem}_report.txt", drawn.text),
        ]
        return shown, drawn.fields, *map(str, files)

    result = yield from told(made, says, 4)
    yield result


def download_folder() -> Path:
    """A new folder that nobody can guess, whose files are deleted as uploads are."""
    folder = Path(get_upload_folder()) / secrets.token_hex(16)
    folder.mkdir(parents=True)
    return folder


def on_click(button: gr.Button, stop: gr.Button, run: Callable, inputs: list, outputs: list, api_name: str) -> None:
    """Let a button run, one user after the other, until it is done or stopped; the first output says which."""
    running = button.click(
        run, inputs, outputs, api_name=api_name, concurrency_limit=1, concurrency_id=QUEUE, show_progress="hidden"
    )
    said = '<p class="mr-waiting" role="status">Stopped.</p>'
    stop.click(None, cancels=[running], api_visibility="private")
    stop.click(lambda: said, None, outputs[0], queue=False, show_progress="hidden", api_visibility="private")
