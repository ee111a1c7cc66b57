"""The page on which people rate pictures: one at a time with its prompt, or two of which one is the better.

By keys: 1, 2, 3 (or a, b, t of pairs), u undoes, s skips. What is shown says nothing of files, so that raters are
blind to what drew them. `rate_tab` is the page as a tab of another.
"""

import logging
from collections.abc import Callable
from html import escape
from itertools import count
from pathlib import Path

import gradio as gr

from hf_medreport.demo.desk import Desk, Item, Sitting
from hf_medreport.demo.theme import theme
from hf_medreport.demo.view import image_tag
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError

__all__ = ["LAUNCH", "build_rating", "rate_tab"]

logger = logging.getLogger(__name__)

STATEMENT = "Synthetic pictures, for research. No clinical use: a rating here says nothing of a patient."
LAUNCH = {"theme": theme(), "share": False, "footer_links": []}  # how `gr.Blocks.launch` is called
SMALL_PX = 256  # a picture with longer sides is not shown in blocks
LEVELS = [("1: novice", 1), ("2: trained", 2), ("3: expert", 3)]
# key, label, what is said
RATE = [("1", "1: poor", 1), ("2", "2: acceptable", 2), ("3", "3: excellent", 3)]
COMPARE = [("a", "A is better", "a"), ("b", "B is better", "b"), ("t", "Tie", "tie")]
_shows = count()  # numbers what is shown: the script waits for the next

STYLE = """
.statement { margin: 0; padding: 0.4rem 0.8rem; border-radius: 6px; font-weight: 600; color: #1f2937;
  background: #fde68a; }
.prompt { font-size: 1.15rem; font-weight: 600; margin: 0.2rem 0; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: 0.8rem; justify-content: center; }
.pictures figure { margin: 0; flex: 1 1 140px; max-width: min(100%, 26rem); }
.pictures img { width: 100%; height: auto; display: block; border-radius: 6px; background: #000; }
.pictures img.small { image-rendering: pixelated; }
.pictures figcaption { text-align: center; font-weight: 600; }
.progress { margin: 0.4rem 0 0; }
progress { width: 100%; height: 0.6rem; accent-color: #1d4ed8; }
.error { color: #b91c1c; font-weight: 600; overflow-wrap: anywhere; }
.dark .error { color: #fca5a5; }
"""
# Keys press buttons. A button is deaf until what it was pressed for is gone: nobody rates what they have not seen.
SCRIPT = """
if (!window.medreportRates) {
  window.medreportRates = true;
  let pressedAt = null, since = 0;
  const shown = () => document.querySelector('.mr-rate')?.dataset.shown;
  document.addEventListener('click', event => {
    if (!event.target.closest?.('.mr-deed')) return;
    if (pressedAt === shown() && Date.now() - since < 5000) {
      event.stopImmediatePropagation();
      event.preventDefault();
    } else { pressedAt = shown(); since = Date.now(); }
  }, true);
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest?.('textarea, select, input:not([type=radio]), [contenteditable=true]')) return;
    const button = document.getElementById('mr-key-' + event.key.toLowerCase());
    if (button && button.offsetParent !== null) { event.preventDefault(); button.click(); }
  });
}
"""


def build_rating(desk: Desk, rater: str | None = None, level: int | None = None) -> gr.Blocks:
    """The page of its own; see `rate_tab`."""
    with gr.Blocks(title="Rate pictures", analytics_enabled=False) as blocks:
        rate_tab(blocks, desk, rater, level)
    return blocks


def rate_tab(blocks: gr.Blocks, desk: Desk, rater: str | None = None, level: int | None = None) -> None:
    """Put the page into a tab, a row or a whole page that is being built.

    Args:
        blocks: the page that it is part of.
        desk: the pictures, and the table that takes what is said.
        rater: who rates; by default they give their name, which their browser remembers.
        level: of that rater.
    """
    gr.HTML(f'<p class="statement" role="note">{STATEMENT}</p>', css_template=STYLE)
    sitting = gr.State(None)
    remembered = gr.BrowserState(["", LEVELS[-1][1]], storage_key="hf-medreport-rater", secret="hf-medreport")
    with gr.Row(visible=rater is None):
        name = gr.Textbox(label="Your name or initials", max_lines=1, max_length=80)
        of_level = gr.Radio(LEVELS, value=LEVELS[-1][1], label="Your level")
        begin = gr.Button("Begin", variant="primary", scale=0)
    view = gr.HTML(_asking(), css_template=STYLE, js_on_load=SCRIPT)
    with gr.Row():
        answers = [_deed(key, label, variant="primary") for key, label, _ in (COMPARE if desk.pairs else RATE)]
    with gr.Row():
        undo, skip = _deed("u", "Undo (u)", size="sm"), _deed("s", "Skip (s)", size="sm")

    def sit(name: str, level: int) -> tuple:
        try:
            at = desk.sit(name, level)
        except InputError as error:
            return None, _asking(str(error)), ["", level]
        return at, _shown(at), [at.rater, level]

    def sit_again(known: list) -> tuple:
        if rater is not None:
            return sit(rater, level)[:2]
        return sit(*known)[:2] if known[0] else gr.skip()  # what is shown may already answer a key

    def on(button: gr.Button, deed: Callable[[Sitting], object]) -> None:
        def act(at: Sitting | None) -> tuple:
            if at is None:
                return None, _asking("give your name first")
            try:
                deed(at)
            except (InputError, OSError) as error:
                return at, _shown(at, f"not kept: {error}")
            return at, _shown(at)

        # One after the other, whatever the button: a rating is of the picture that its rater saw.
        settings = {"concurrency_limit": 1, "concurrency_id": "desk", "api_visibility": "private"}
        button.click(act, [sitting], [sitting, view], show_progress="hidden", **settings)

    for button, (_, _, answer) in zip(answers, COMPARE if desk.pairs else RATE, strict=True):
        on(button, lambda at, answer=answer: at.say(answer))
    on(undo, Sitting.undo)
    on(skip, Sitting.skip)
    gr.on(
        [begin.click, name.submit],
        sit,
        [name, of_level],
        [sitting, view, remembered],
        api_visibility="private",
        show_progress="hidden",
    )
    blocks.load(sit_again, [remembered], [sitting, view], api_visibility="private", show_progress="hidden")


def _deed(key: str, label: str, **settings) -> gr.Button:
    return gr.Button(label, elem_id=f"mr-key-{key}", elem_classes="mr-deed", min_width=80, **settings)


def _shown(at: Sitting, trouble: str = "") -> str:
    """What a rater sees now."""
    done, total = at.progress
    inside = _pictures(at.item) if at.item else '<p class="prompt">All done. Thank you: this page may be closed.</p>'
    return _section(
        f"{_trouble(trouble)}{inside}"
        f'<p class="progress" role="status">{done} of {total} done by {escape(at.rater)}, level {at.level}</p>'
        f'<progress value="{done}" max="{total}" aria-label="done"></progress>'
    )


def _pictures(item: Item) -> str:
    first = item.pictures[0]
    modality = f"{escape(first.modality)}: " if first.modality else ""
    names = ("",) if len(item.pictures) == 1 else ("A", "B")
    figures = "".join(_figure(one.image, name) for one, name in zip(item.pictures, names, strict=True))
    return f'<p class="prompt">{modality}{escape(first.prompt)}</p><div class="pictures">{figures}</div>'


def _figure(path: Path, name: str) -> str:
    caption = f"<figcaption>{name}</figcaption>" if name else ""
    try:
        pixels = read_image(path)
    except InputError as error:
        logger.warning("%s", error)
        return f'<figure><p class="error">This picture cannot be read: skip it.</p>{caption}</figure>'
    small = ' class="small"' if max(pixels.shape) < SMALL_PX else ""
    shown = image_tag(pixels, f"the picture {name}".strip(), small, lossless=True)  # pixels alone: no name, no metadata
    return f"<figure>{shown}{caption}</figure>"


def _asking(trouble: str = "") -> str:
    return _section(f"{_trouble(trouble)}<p>Give your name and level, then rate by buttons or keys.</p>")


def _trouble(message: str) -> str:
    return f'<p class="error" role="alert">{escape(message)}</p>' if message else ""


def _section(inside: str) -> str:
    return f'<section class="mr-rate" data-shown="{next(_shows)}">{inside}</section>'
