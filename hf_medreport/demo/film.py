"""The tab of films: one, or a frontal and a lateral one, whatever the chosen model reads."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import gradio as gr

from hf_medreport.demo.models import Models
from hf_medreport.demo.parts import on_click, report_outputs, reported
from hf_medreport.demo.view import film_shown, pair_shown, report_view
from hf_medreport.inference.report_any import report_any
from hf_medreport.inference.report_pairs import PairReport
from hf_medreport.processing.input_error import InputError

__all__ = ["film_report", "film_tab", "film_view"]

ORIENTS = [("refuse them", ""), ("turn them as the header says", "header"), ("read them as stored", "stored")]


def film_tab(models: Models, examples: list[list]) -> None:
    """Build the tab; an example is a film, a lateral film or None, and a model's name."""
    names = models.of("film", "pair")
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            film = gr.File(label="Film (PNG, JPEG, TIFF, DICOM)", height=140)
            lateral = gr.File(label="Lateral film, for a model of two views", height=140)
            model = gr.Dropdown([(models.title(name), name) for name in names], value=names[0], label="Model")
            with gr.Accordion("How the film is read", open=False):
                orient = gr.Radio(ORIENTS, value="", label="DICOM films that are mirrored or turned")
                any_modality = gr.Checkbox(label="Also DICOM files that are no chest films by their header")
                frame = gr.Textbox("", label="Frame of a file of several, from 0", max_length=9)
                labels = gr.Textbox(
                    "", label="Labels that the model is given, joined by commas", info="For a model that takes labels."
                )
            with gr.Row():
                button = gr.Button("Report", variant="primary")
                stop = gr.Button("Stop")
        with gr.Column(scale=3, min_width=320):
            outputs = report_outputs()
    run = models.run(_run)
    inputs = [film, lateral, model, orient, any_modality, frame, labels]
    on_click(button, stop, run, inputs, outputs, "film")
    if examples:
        gr.Examples(
            examples,
            [film, lateral, model],
            label="Examples, drawn and of no patient: choose one, then Report",
            api_visibility="private",
        )


def _run(models: Models, film, lateral, model, orient, any_modality, frame, labels) -> Iterator[tuple]:
    """Report a film, or a frontal and a lateral one."""
    options = {"orient": orient or None, "any_modality": bool(any_modality)}

    def work() -> tuple:
        if frame and not frame.strip().isdecimal():
            raise InputError("frame", f"'{frame}'", "a whole number from 0, or nothing", "correct it")
        options["frame"] = int(frame) if frame and frame.strip() else None
        report = film_report(models, model, film, lateral, labels, **options)
        return report, partial(film_view, report), None

    yield from reported(work, "Reading the film")


def film_report(models: Models, model: str, film, lateral, labels: str | None = None, **options):
    """The report, or the failure, of one case.

    Args:
        film, lateral: paths; None where there is none.
        labels: joined by commas; empty where none are given.
        options: as in `report_any`.
    """
    if model not in models.of("film", "pair"):
        raise InputError("model", f"'{model}'", ", ".join(models.of("film", "pair")), "choose one of these")
    if film is None and lateral is None:
        raise InputError("film", "none", "a film", "drop a file, or choose an example")
    pipe = models.pipe(model)
    paths = [film and Path(film), lateral and Path(lateral)]
    if models.reads[model] == "pair" or lateral is not None:
        (report,) = report_any([], pipe, pairs=[paths], **options)
    else:
        (report,) = report_any(paths[:1], pipe, labels=[labels] if labels and labels.strip() else None, **options)
    return report


def film_view(report, facts: list[tuple[str, str]] | None = None) -> str:
    """The HTML of a report of films."""
    return report_view(report, pair_shown(report) if isinstance(report, PairReport) else film_shown(report), facts)
