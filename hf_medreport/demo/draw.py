"""The tab of drawn truth: choose findings, a program draws them, a model says what it sees, and each fact is ticked."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
import numpy as np
from PIL import Image

from hf_medreport.demo.drawn import FILM_PX, SLIDE_MPP, SLIDE_PX, png_bytes, ticked_film, ticked_picture, ticked_slide
from hf_medreport.demo.film import film_report, film_view
from hf_medreport.demo.models import Models
from hf_medreport.demo.parts import on_click, report_outputs, reported, told, view_box
from hf_medreport.demo.pictures import Drawn, draw_asked, grid, judged, shown_marked
from hf_medreport.demo.slide import slide_report, slide_view
from hf_medreport.files.writing import write_whole
from hf_medreport.inference.asked_pictures import AskedPicture
from hf_medreport.inference.report import Failure
from hf_medreport.phantom.chest.findings import KINDS, Fact
from hf_medreport.phantom.chest.frontal import draw_frontal
from hf_medreport.phantom.chest.lateral import draw_lateral
from hf_medreport.phantom.picture.corpus import draw_picture
from hf_medreport.phantom.picture.facts import MODALITIES, NO_FINDING, PictureFact
from hf_medreport.phantom.picture.modality import SIDES, Finding
from hf_medreport.phantom.picture.prompts import write_prompt
from hf_medreport.phantom.slide import findings as of_slides
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.phantom.slide.findings import BENIGN, DIAGNOSES, SlideFacts
from hf_medreport.processing.input_error import InputError

__all__ = ["draw_tab", "film_facts", "picture_facts", "slide_facts"]

STYLES = [("as in training", "standard"), ("a look that training never shows", "held_back")]


def film_facts() -> dict[str, Fact]:
    """Every fact that a film can show, by its words."""
    facts = []
    for name, kind in KINDS.items():
        values = [kind.sides or (None,), kind.zones or (None,), kind.severities or (None,)]
        facts += [Fact(name, side, zone, severity) for side, zone, severity in product(*values)]
    return {str(fact): fact for fact in facts}


def picture_facts() -> dict[str, PictureFact]:
    """Every fact of the modalities, by its words: "ct: mild left anterior nodule"."""
    facts = {}
    for name, modality in MODALITIES.items():
        for finding, row in {NO_FINDING: Finding(), **modality.findings}.items():
            sides = SIDES if modality.of_an_eye else row.sides
            for side, zone, grade in product(sides or (None,), row.zones or (None,), row.grades or (None,)):
                words = " ".join(part for part in (grade, side, zone, finding) if part)
                facts[f"{name}: {words}"] = PictureFact(name, finding, side, zone, grade)
    return facts


def slide_facts(tissue: str, **values) -> SlideFacts:
    """What a slide shows; what only a tumor has is left out without one.

    Args:
        tissue: "breast, invasive ductal carcinoma".
        values: the other fields of `SlideFacts`.
    """
    site, _, diagnosis = tissue.partition(", ")
    if diagnosis == BENIGN:
        values |= dict.fromkeys(of_slides.OF_A_TUMOR) | {"necrosis": "absent", "nodes_positive": 0}
    return SlideFacts(site, diagnosis, **values)


def draw_tab(models: Models) -> None:
    """Build the tab."""
    with gr.Tabs():
        with gr.Tab("A film"):
            _film_tab(models)
        with gr.Tab("A slide"):
            _slide_tab(models)
        with gr.Tab("Another modality"):
            _picture_tab(models)


def _patient() -> gr.Number:
    return gr.Number(label="Patient: another number, another anatomy", value=1, precision=0, minimum=0)


def _buttons() -> tuple[gr.Button, gr.Button]:
    with gr.Row():
        return gr.Button("Draw and report", variant="primary"), gr.Button("Stop")


# --- films ---


def _film_tab(models: Models) -> None:
    names = models.of("film", "pair")
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            chosen = gr.Dropdown(list(film_facts()), multiselect=True, value=[], label="Findings; none: a normal film")
            patient, style = _patient(), gr.Radio(STYLES, value="standard", label="Look")
            model = gr.Dropdown([(models.title(name), name) for name in names], value=names[0], label="Model")
            button, stop = _buttons()
        with gr.Column(scale=3, min_width=320):
            outputs = report_outputs()
    on_click(button, stop, models.run(_run_film), [chosen, patient, style, model], outputs, "draw")
    examples = [[["moderate left pleural effusion", "right pacemaker"], 3], [["severe cardiomegaly"], 4]]
    gr.Examples(examples, [chosen, patient], label="Examples", api_visibility="private")


def _run_film(models: Models, chosen, patient, style, model) -> Iterator[tuple]:
    """Draw a film with these findings, and report it."""

    def work() -> tuple:
        known = film_facts()
        for name in chosen or []:
            if name not in known:
                raise InputError("findings", f"'{name}'", "findings of the list", "choose from the list")
        facts = [known[name] for name in chosen or []]
        drawn = {"patient": int(patient or 0), "size": FILM_PX, "style": style}
        with TemporaryDirectory() as folder:
            frontal = _write(folder, "drawn_film", draw_frontal(facts, **drawn).image)
            lateral = None
            if models.reads.get(model) == "pair":
                lateral = _write(folder, "drawn_lateral", draw_lateral(facts, **drawn).image)
            report = film_report(models, model, frontal, lateral)
        ticked = None if isinstance(report, Failure) else ticked_film(report.text, facts)
        return report, partial(film_view, report, ticked), ticked

    yield from reported(work, "Drawing and reading the film")


def _write(folder: str, name: str, pixels: np.ndarray) -> Path:
    return write_whole(Path(folder) / f"{name}.png", lambda part: part.write_bytes(png_bytes(pixels)))


# --- slides ---


def _slide_tab(models: Models) -> None:
    names = models.of("slide")
    tissues = [f"{site}, {diagnosis}" for site, each in DIAGNOSES.items() for diagnosis in each]
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            inputs = {
                "tissue": gr.Dropdown(tissues, value=tissues[0], label="Site and diagnosis"),
                "inflammation": gr.Dropdown(list(of_slides.INFLAMMATIONS), value="mild", label="Inflammation"),
                "nodes_examined": gr.Slider(0, of_slides.MOST_NODES, value=3, step=1, label="Lymph nodes"),
            }
            with gr.Accordion("Of a tumor", open=True):
                inputs |= {
                    "grade": gr.Radio(list(of_slides.GRADES), value=2, label="Grade"),
                    "necrosis": gr.Dropdown(list(of_slides.NECROSES), value="focal", label="Necrosis"),
                    "mitoses": gr.Slider(
                        0, of_slides.MOST_MITOSES, value=8, step=1, label="Mitoses per 10 high-power fields"
                    ),
                    "margin": gr.Radio(list(of_slides.MARGINS), value="negative", label="Margin"),
                    "size_cm": gr.Slider(*of_slides.SIZES_CM, value=2.0, step=0.1, label="Size in cm"),
                    "nodes_positive": gr.Slider(0, of_slides.MOST_NODES, value=1, step=1, label="Positive nodes"),
                }
            patient = _patient()
            model = gr.Dropdown([(models.title(name), name) for name in names], value=names[0], label="Model")
            button, stop = _buttons()
        with gr.Column(scale=3, min_width=320):
            outputs = report_outputs()
    run = models.run(_run_slide)
    on_click(button, stop, run, [*inputs.values(), patient, model], outputs, "draw_slide")
    examples = [[tissues[0], 3], ["kidney, clear cell renal cell carcinoma", 1]]
    chosen = [inputs["tissue"], inputs["grade"]]
    gr.Examples(examples, chosen, label="Examples: tissue and grade", api_visibility="private")


def _run_slide(
    models: Models, tissue, inflammation, nodes_examined, grade, necrosis, mitoses, margin, size_cm, nodes_positive,
    patient, model,
) -> Iterator[tuple]:  # fmt: skip
    """Draw a slide with these findings, and report it."""

    def work() -> tuple:
        facts = slide_facts(
            tissue, inflammation=inflammation, nodes_examined=int(nodes_examined), grade=int(grade), necrosis=necrosis,
            mitoses=int(mitoses), margin=margin, size_cm=round(float(size_cm), 1), nodes_positive=int(nodes_positive),
        )  # fmt: skip
        corpus = SlideCorpus(1, int(patient or 0), SLIDE_PX, SLIDE_MPP, "test", facts=facts)
        with TemporaryDirectory() as folder:
            path = _write(folder, "drawn_slide", corpus[0].drawing.region(0, 0, SLIDE_PX, SLIDE_PX))
            report = slide_report(models, model, path, SLIDE_MPP)
            if isinstance(report, Failure):
                return report, str, None
            ticked = ticked_slide(report.text, facts)
            html = slide_view(report, path, SLIDE_MPP, facts=ticked)  # while the slide is there
        return report, lambda: html, ticked

    yield from reported(work, "Drawing and reading the slide")


# --- pictures of all modalities ---


def _picture_tab(models: Models) -> None:
    names, facts = models.of("prompt"), list(picture_facts())
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            fact = gr.Dropdown(facts, value="mri: severe left subdural hematoma", label="Modality and finding")
            patient = _patient()
            model = gr.Dropdown([(models.title(name), name) for name in names], value=names[0], label="Generator")
            button, stop = _buttons()
        with gr.Column(scale=3, min_width=320):
            view = view_box()
            with gr.Accordion("What the judge sees, as a program reads it", open=False):
                record = gr.JSON(show_label=False)
    on_click(button, stop, models.run(_run_picture), [fact, patient, model], [view, record], "draw_picture")
    examples = [[facts[1], 1], ["ct: right posterior consolidation", 2]]
    gr.Examples(examples, [fact, patient], label="Examples", api_visibility="private")


def _run_picture(models: Models, chosen, patient, model) -> Iterator[tuple]:
    """Draw a picture of this finding by program, and by the generator from its words; a judge looks at both."""

    def work() -> tuple[str, dict]:
        known = picture_facts()
        if chosen not in known:
            raise InputError("finding", f"'{chosen}'", "a finding of the list", "choose from the list")
        fact, number = known[chosen], int(patient or 0)
        truth = Image.fromarray(draw_picture(fact, number, models.judge.size).image)
        words = write_prompt(fact, np.random.default_rng(number))
        (made,) = draw_asked(models, model, [AskedPicture("1", words, number, fact.modality)], num_inference_steps=25)
        seen = judged(models, [truth, made])
        titles = ("Drawn by the program", f'By {models.title(model)}: "{words}"')
        rows = [
            Drawn(np.asarray(shown_marked(image)), title, ticked_picture(fact, answers))
            for image, title, answers in zip((truth, made), titles, seen, strict=True)
        ]
        return grid(rows), {"fact": asdict(fact), "prompt": words, "seen": {"drawn": seen[0], "generated": seen[1]}}

    result = yield from told(work, "Drawing and judging", 1)
    yield result
