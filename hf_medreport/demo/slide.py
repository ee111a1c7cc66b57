"""The tab of slides: dropped, or chosen from a folder of the server, where they are read in place."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import gradio as gr
import numpy as np

from hf_medreport.demo.models import Models
from hf_medreport.demo.parts import on_click, report_outputs, reported
from hf_medreport.demo.view import Enlarged, Shown, report_view
from hf_medreport.inference.figures.slide import MAP_PX, evidence_map, tile_pictures
from hf_medreport.inference.report import Failure
from hf_medreport.inference.report_any import report_any
from hf_medreport.inference.report_slides import SlideReport
from hf_medreport.inference.tiles.listing import list_slides
from hf_medreport.processing.file_suffixes import FEATURE_SUFFIXES
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_reading import open_slide

__all__ = ["server_slides", "slide_report", "slide_tab", "slide_view"]

ENLARGED = 6


def slide_tab(models: Models, folder: Path | None, examples: list[list]) -> None:
    """Build the tab; an example is a slide or None, one of the server or None, and the um a pixel or None."""
    names, known = models.of("slide"), server_slides(folder)
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            slide = gr.File(label="Slide (SVS, TIFF, ...) or its features", height=140)
            chosen = gr.Dropdown(
                [("none", ""), *((name, name) for name in known)],
                value="",
                label="Slide on the server",
                visible=folder is not None,
            )
            mpp = gr.Number(label="Microns per px at level 0, of a slide that lacks it", value=None, minimum=0)
            override = gr.Checkbox(label="This wins over what the slide says")
            model = gr.Dropdown([(models.title(name), name) for name in names], value=names[0], label="Model")
            with gr.Row():
                button = gr.Button("Report", variant="primary")
                stop = gr.Button("Stop")
        with gr.Column(scale=3, min_width=320):
            outputs = report_outputs()
    run = models.run(_run, folder)
    on_click(button, stop, run, [slide, chosen, mpp, override, model], outputs, "slide")
    if examples:
        gr.Examples(
            examples,
            [slide, mpp],
            label="Examples, drawn and of no patient: choose one, then Report",
            api_visibility="private",
        )


def server_slides(folder: Path | None) -> dict[str, Path]:
    """The slides of a folder by their names in it; none where there is no folder."""
    if folder is None:
        return {}
    return {str(path.relative_to(folder)): path for path in list_slides([folder], recursive=True).slides}


def _run(models: Models, folder: Path | None, slide, chosen, mpp, override, model) -> Iterator[tuple]:
    """Report a slide that was dropped, or one of the server's folder."""

    def work() -> tuple:
        path = _path(folder, slide, chosen)
        report = slide_report(models, model, path, mpp, override)
        return report, partial(slide_view, report, path, mpp, override), None

    yield from reported(work, "Reading the slide")


def _path(folder: Path | None, slide: str | None, chosen: str | None) -> Path:
    """The slide that is asked for; of the server, only what lies in its folder."""
    if (slide is None) == (not chosen):
        found = "none" if slide is None else "a dropped slide and one of the server"
        raise InputError("slide", found, "one slide", "drop a file, or choose one of the server")
    if slide is not None:
        return Path(slide)
    known = server_slides(folder)
    if chosen not in known:
        raise InputError("slide", f"'{chosen}'", "a slide of the server's folder", "choose one from the list")
    return known[chosen]


def slide_report(
    models: Models, model: str, path: Path, mpp: float | None = None, override: bool = False
) -> SlideReport | Failure:
    """The report of a slide or of its features; `mpp` and `override` as in `report_any`."""
    if model not in models.of("slide"):
        raise InputError("model", f"'{model}'", ", ".join(models.of("slide")), "choose one of these")
    (report,) = report_any([path], models.pipe(model), slide_mpp=mpp or None, override_slide_mpp=bool(override))
    return report


def slide_view(
    report: SlideReport,
    path: Path,
    mpp: float | None = None,
    override: bool = False,
    facts: list[tuple[str, str]] | None = None,
) -> str:
    """The HTML of a slide's report: the thumbnail with a map of the tiles for each sentence, and tiles enlarged."""
    if report.places is None:
        return report_view(report, [], facts)
    if path.suffix.lower() in FEATURE_SUFFIXES:
        shown, whole = _maps(report, None), []
        return report_view(report, [shown], facts, {None: whole})
    with open_slide(path, slide_mpp=mpp or None, override_slide_mpp=bool(override)) as slide:
        enlarged = {None: _enlarged(report.tiles, report.pictures)}
        for number, sentence in enumerate(report.sentences):
            tiles = sentence.tiles[:ENLARGED]
            corners = report.places[[tile.index for tile in tiles]]
            enlarged[number] = _enlarged(tiles, tile_pictures(slide, corners, report.level0_px))
        return report_view(report, [_maps(report, slide)], facts, enlarged)


def _maps(report: SlideReport, slide) -> Shown:
    """The thumbnail, or blank glass beside features that came alone, and what each sentence lays over it."""
    draw = partial(evidence_map, slide, report.places, report.level0_px)
    layers = {
        number: draw(sentence.evidence, [tile.index for tile in sentence.tiles])
        for number, sentence in enumerate(report.sentences)
    }
    base = draw(np.zeros(len(report.places)), []) if slide is None else slide.thumbnail(MAP_PX)
    return Shown(f"{report.film}: {report.patches} tiles", base, layers)


def _enlarged(tiles: list, pictures: list[np.ndarray]) -> list[Enlarged]:
    return [
        Enlarged(picture, f"{rank}. {tile.share:.1%} at ({tile.x}, {tile.y})")
        for rank, (tile, picture) in enumerate(zip(tiles, pictures, strict=False), start=1)
    ]
