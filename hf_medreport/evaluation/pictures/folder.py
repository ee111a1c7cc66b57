"""The evaluation of a generator as a folder: its pictures, `evaluation.json`, a sheet to look at, a plot of guidance.

evaluate_into("runs/diffusion/model", "scores", n=500, training="pictures/train", scales=[1, 2, 3, 5, 8])
"""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from hf_medreport.evaluation.pictures.evaluate import Drawing, evaluate_generator
from hf_medreport.evaluation.pictures.sweep import guidance_sweep, sweep_plot
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.inference.figures.synthetic import contact_sheet, save_synthetic
from hf_medreport.inference.generators import generator_revision, load_generator

__all__ = ["evaluate_into"]

STATEMENT = "pictures drawn by a model, scored on prompts whose truth is known; no clinical statement"
ON_A_SHEET = 40


class KeptPictures:
    """Passes of pictures in a run's folder: `pictures/00000.png` and on."""

    def __init__(self, run: RunFolder):
        self.run = run

    def read(self, name: str, start: int) -> np.ndarray | None:
        """uint8 (pictures of the pass, size, size, 3); None where an earlier run did not come so far."""
        record = self.run.done(f"{name} {start}")
        if record is None:
            return None
        images = []
        for file in record["files"]:
            with Image.open(self.run.path / file) as picture:
                images.append(np.asarray(picture))
        return np.stack(images)

    def keep(self, name: str, start: int, images: np.ndarray, prompts: Sequence[str], seeds: Sequence[int]) -> None:
        """Write them; each says that it is synthetic."""
        files = [f"{name}/{start + number:05d}.png" for number in range(len(images))]
        for file, image, prompt, seed in zip(files, images, prompts, seeds, strict=True):
            said = {"prompt": prompt, "seed": seed}
            self.run.write(file, lambda out, image=image, said=said: save_synthetic(Image.fromarray(image), out, said))
        record = {"files": files, "prompts": list(prompts)}
        self.run.add(f"{name} {start}", record, files, count=len(files))


def evaluate_into(
    model: str | None,
    out: str | os.PathLike | None,
    *,
    revision: str | None = None,
    device: str | None = None,
    drawing: Drawing | None = None,
    scales: Sequence[float] = (),
    command: str = "",
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
    **options,
) -> dict:
    """Score a generator, and keep its pictures and figures.

    Args:
        model, revision, device: of `load_generator`.
        out: the folder; None keeps nothing.
        drawing: guidance, steps, pictures a pass.
        scales: guidance scales to compare besides, with a plot.
        command: what asked for it, for the card.
        resume, overwrite: of `RunFolder`.
        progress: wraps passes, given with their number.
        options: `n`, `seed`, `split`, `modalities`, `judge`, `training`, `features` of `evaluate_generator`.

    Returns:
        what `evaluate_generator` gives, with "model", "revision", "command" and, of scales, "sweep": the content of
        `evaluation.json`.

    Raises:
        InputError: as these.
    """
    drawing = drawing or Drawing()
    pipe = load_generator(model, revision=revision, device=device)
    pipe.set_progress_bar_config(disable=True)
    source = {"model": Path(model).name if model else model, "revision": generator_revision(pipe)}
    if out is None:
        return source | _scores(pipe, drawing, scales, command, device, progress, options)
    folders = {key: Path(options[key]).name for key in ("judge", "training", "features") if options.get(key)}
    asked = {name: getattr(drawing, name) for name in ("guidance_scale", "num_inference_steps", "batch_size")}
    settings = source | options | folders | asked | {"scales": list(scales)}
    kept = {"resume": resume, "overwrite": overwrite}
    with RunFolder(out, "evaluate phantom", settings, **kept) as run:
        run.total = options.get("n", 500) * (1 + len(scales))
        keeping = Drawing(**asked, kept=KeptPictures(run))
        scores = source | _scores(pipe, keeping, scales, command, device, progress, options)
        run.write_json("evaluation.json", scores)
        run.write("sheet.png", lambda file: _sheet(run).save(file, "PNG"))
        if scales:
            run.begun("guidance.png")
            sweep_plot(scores["sweep"], run.path / "guidance.png")
        run.finish(STATEMENT, ("torch", "diffusers", "transformers", "numpy", "scipy"))
    return scores


def _scores(pipe, drawing: Drawing, scales: Sequence[float], command: str, device, progress, options: dict) -> dict:
    scores = evaluate_generator(pipe, drawing=drawing, device=device, progress=progress, **options)
    scores["command"] = command
    if scales:
        shared = {name: options[name] for name in ("n", "split", "judge") if name in options}
        scores["sweep"] = guidance_sweep(pipe, scales, drawing=drawing, device=device, progress=progress, **shared)
    return scores


def _sheet(run: RunFolder) -> Image.Image:
    """The first pictures with their prompts."""
    shown = []
    for entry in run.entries.values():
        for file, prompt in zip(entry["record"]["files"], entry["record"]["prompts"], strict=True):
            if len(shown) < ON_A_SHEET and file.startswith("pictures/"):
                with Image.open(run.path / file) as picture:
                    picture.load()
                shown.append((picture, prompt))
    return contact_sheet(shown)
