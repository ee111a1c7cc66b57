"""The pages: tabs, the statement that is always there, system fonts, and the line in which users wait."""

from pathlib import Path

import gradio as gr

from hf_medreport.demo.desk import Desk
from hf_medreport.demo.draw import draw_tab
from hf_medreport.demo.drawn import write_examples
from hf_medreport.demo.film import film_tab
from hf_medreport.demo.models import Models
from hf_medreport.demo.rate import rate_tab
from hf_medreport.demo.slide import slide_tab
from hf_medreport.demo.synthesize import synthesize_tab
from hf_medreport.demo.theme import theme
from hf_medreport.demo.view import STYLE
from hf_medreport.version import __version__

__all__ = ["LAUNCH", "build"]

STATEMENT = (
    "A test bench for research. No medical device, no clinical use: a report here says nothing of a patient, and a "
    "picture that was drawn shows nobody."
)
PRIVACY = "Files stay on this machine and are deleted after {minutes} minutes."
KEPT_S = 600  # that a file of a user is kept
WAITING = 64  # users in the line


def build(models: Models, examples: Path, slides: Path | None = None, desk: Desk | None = None) -> gr.Blocks:
    """The pages.

    Args:
        models: that may be chosen.
        examples: a folder of this run, which the examples are written to.
        slides: a folder of slides on this machine that users may choose from.
        desk: pictures that users may rate; None: there is no tab for it.
    """
    drawn = write_examples(examples)
    gr.set_static_paths([examples])  # or they would be deleted as what users drop is
    with gr.Blocks(title="hf-medreport", analytics_enabled=False, delete_cache=(60, KEPT_S)) as blocks:
        gr.HTML(f'<div class="mr-banner" role="note"><p>{STATEMENT}</p></div>')
        gr.Markdown(f"# hf-medreport\n\n{PRIVACY.format(minutes=KEPT_S // 60)} Version {__version__}.")
        with gr.Tabs():
            with gr.Tab("Film"):
                film_tab(models, drawn.films)
            with gr.Tab("Draw"):
                draw_tab(models)
            with gr.Tab("Synthesize"):
                synthesize_tab(models)
            with gr.Tab("Slide"):
                slide_tab(models, slides, drawn.slides)
            if desk is not None:
                with gr.Tab("Rate"):
                    rate_tab(blocks, desk)
    blocks.queue(max_size=WAITING, default_concurrency_limit=1)
    return blocks


# How `gr.Blocks.launch` is called wherever the pages are served.
LAUNCH = {"css": STYLE, "theme": theme(), "max_file_size": "200mb", "share": False}
LAUNCH |= {"footer_links": ["api"], "ssr_mode": False}
