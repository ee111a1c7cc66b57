"""The tab of pictures from words: each marked as synthetic, with what a judge sees on it."""

from collections.abc import Iterator

import gradio as gr
import numpy as np

from hf_medreport.demo.models import Models
from hf_medreport.demo.parts import download_folder, on_click, told, view_box
from hf_medreport.demo.pictures import Drawn, draw_asked, grid, judged, shown_marked
from hf_medreport.evaluation.verification.agent import verified_line
from hf_medreport.files.writing import open_whole
from hf_medreport.inference.asked_pictures import AskedPicture, asked_of_prompt
from hf_medreport.inference.figures.synthetic import save_synthetic
from hf_medreport.inference.synthesize import Checked
from hf_medreport.processing.input_error import InputError

__all__ = ["synthesize_tab"]

NO_MODALITY = "not said"
MODALITIES = ("CXR", "ChestCT", "BrainMRI", "BreastMRI", "Fundus", "OCT")
MOST = 8  # pictures at once
LONGEST = 500  # letters of a prompt
EXAMPLES = [["large left pleural effusion", "CXR"], ["severe hemorrhages in the superior retina, right eye", "Fundus"]]


def synthesize_tab(models: Models) -> None:
    """Build the tab."""
    names = models.of("prompt")
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            prompt = gr.Textbox(label="What the picture shows", lines=2, max_length=LONGEST)
            choices = [(NO_MODALITY, ""), *((name, name) for name in MODALITIES)]
            modality = gr.Dropdown(choices, value="CXR", label="Modality", allow_custom_value=True)
            n = gr.Slider(1, MOST, value=2, step=1, label="Pictures")
            seed = gr.Number(label="Seed of the first", value=0, precision=0, minimum=0)
            guidance = gr.Slider(1, 12, value=3, step=0.5, label="Guidance: 1 as the words say, more: more so")
            negative = gr.Textbox("", label="What it is to be unlike", max_length=LONGEST)
            steps = gr.Slider(5, 100, value=25, step=1, label="Steps")
            verify = gr.Checkbox(label="Look at each picture, and draw it again where it is not as asked")
            model = gr.Dropdown([(models.title(name), name) for name in names], value=names[0], label="Model")
            with gr.Row():
                button = gr.Button("Draw", variant="primary")
                stop = gr.Button("Stop")
        with gr.Column(scale=3, min_width=320):
            outputs = [view_box(), gr.File(file_count="multiple", visible=False)]  # for programs; the page has links
            with gr.Accordion("The pictures as a program reads them", open=False):
                outputs.append(gr.JSON(show_label=False))
    inputs = [prompt, modality, n, seed, guidance, negative, steps, verify, model]
    on_click(button, stop, models.run(_run), inputs, outputs, "synthesize")
    gr.Examples(EXAMPLES, [prompt, modality], label="Examples", api_visibility="private")


def _run(models: Models, prompt, modality, n, seed, guidance, negative, steps, verify, model) -> Iterator[tuple]:
    """Draw pictures of a description."""

    def work() -> tuple[str, list[str], list[dict]]:
        if not prompt or not prompt.strip():
            raise InputError("prompt", "none", "what the picture shows", "write it, or choose an example")
        if not 1 <= n <= MOST:
            raise InputError("n", str(n), f"1 to {MOST}", "give fewer pictures")
        others = {"modality": modality or None, "negative_prompt": (negative or "").strip() or None}
        asked = asked_of_prompt(prompt.strip(), int(n), seed=int(seed or 0), **others)
        options = {"guidance_scale": float(guidance), "num_inference_steps": int(steps)}
        drawn = [Checked(*pair) for pair in zip(asked, draw_asked(models, model, asked, **options), strict=True)]
        pipe, revision = models.generator(model)
        if verify:
            agent = models.verifier.of(pipe, options)
            drawn = [agent(each.used, each.drawn) for each in drawn]
        answers, folder = judged(models, [each.drawn for each in drawn]), download_folder()
        files, records, shown = [], [], []
        for picture, checked, seen in zip(asked, drawn, answers, strict=True):
            said, image = _said(checked.used, models.title(model), revision, options), checked.drawn
            path = folder / f"synthetic_{picture.id}.png"
            with open_whole(path) as file:
                save_synthetic(image, file, said)
            files.append(str(path))
            records.append({"synthetic": True, **said, "judge": seen, **checked.said})
            lines = ["the judge sees: " + ", ".join(value for value in seen.values() if value)]
            lines += [verified_line(checked.said["verification"])] if verify else []
            title = f"{picture.prompt} (seed {checked.used.seed})"
            shown.append(Drawn(np.asarray(shown_marked(image)), title, lines, path))
        return grid(shown), files, records

    result = yield from told(work, "Drawing", 2)
    yield result


def _said(picture: AskedPicture, model: str, revision: str, options: dict) -> dict:
    said = {"prompt": picture.prompt, "modality": picture.modality, "negative_prompt": picture.negative_prompt}
    return said | {"seed": picture.seed, "model": model, "revision": revision, **options}
