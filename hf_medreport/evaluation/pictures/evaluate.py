"""Score a generator on prompts whose truth is known: a function from pictures to all figures, and one that draws them.

    pipe = load_generator("runs/diffusion/model")
    scores = evaluate_generator(pipe, n=500, training="runs/diffusion/pictures")
    print(pictures_table(scores))

`score_pictures` takes pictures that are there already, drawn by whatever generator.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image

from hf_medreport.data.drawn.picture_folder import DrawnPictures, drawn_pictures, read_training
from hf_medreport.evaluation.images.features import Extractor, load_extractor
from hf_medreport.evaluation.pictures.clip import clip_figures
from hf_medreport.evaluation.pictures.distribution import distribution_figures, distribution_table, look_figures
from hf_medreport.evaluation.pictures.faithfulness import faithfulness, faithfulness_table
from hf_medreport.evaluation.pictures.judging import Judge, judge_folder, load_judge
from hf_medreport.evaluation.pictures.memorization import gate, gate_lines
from hf_medreport.evaluation.pictures.own_features import figures_on, own_features_lines
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.processing.input_error import InputError

__all__ = ["CLIP", "Drawing", "decoded_by", "evaluate_generator", "load_words", "pictures_table", "score_pictures"]

CLIP = "clip"  # the model of pictures and words inside a judge's folder
NO_TRAINING = "not run: no training pictures were given"


class Keeper(Protocol):
    """What keeps the pictures of a pass, so that a run that ends early goes on behind it."""

    def read(self, name: str, start: int) -> np.ndarray | None:
        """What was kept of a pass; None where nothing was."""

    def keep(self, name: str, start: int, images: np.ndarray, prompts: Sequence[str], seeds: Sequence[int]) -> None:
        """Keep it."""


@dataclass(frozen=True)
class Drawing:
    """How a generator is asked to draw, and what keeps its pictures."""

    guidance_scale: float = 3.0
    num_inference_steps: int = 20
    batch_size: int = 25
    kept: Keeper | None = None
    name: str = "pictures"  # what they are kept as

    def __call__(
        self,
        pipe,
        prompts: Sequence[str],
        modalities: Sequence[str],
        size: int,
        seed: int = 0,
        progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
    ) -> np.ndarray:
        """Pictures for prompts, uint8 (n, size, size, 3); picture k has the noise of seed + k."""
        reads = _reads_modalities(pipe)
        starts, drawn = range(0, len(prompts), self.batch_size), []
        for start in progress(starts, len(starts)):
            if self.kept is not None and (images := self.kept.read(self.name, start)) is not None:
                drawn.extend(images)
                continue
            part = slice(start, start + self.batch_size)
            asked = list(prompts[part])
            seeds = [seed + start + number for number in range(len(asked))]
            output = pipe(
                asked,
                list(modalities[part]) if reads else None,
                seeds=seeds,
                guidance_scale=self.guidance_scale,
                num_inference_steps=self.num_inference_steps,
                output_type="np",
            )
            images = np.stack([_sized(image, size) for image in output.images])
            if self.kept is not None:
                self.kept.keep(self.name, start, images, asked, seeds)
            drawn.extend(images)
        return np.stack(drawn)


def _reads_modalities(pipe) -> bool:
    return bool(getattr(pipe.text_encoder.config, "modalities", None))


def _sized(image: np.ndarray, size: int) -> np.ndarray:
    """A picture in [0, 1] as uint8 at the judge's size, by means of px."""
    image = np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)
    if image.shape[:2] == (size, size):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BOX))


@torch.inference_mode()
def decoded_by(pipe, images: np.ndarray, modalities: Sequence[str], batch_size: int = 50) -> np.ndarray:
    """Pictures brought through a generator's codec and back: what it draws cannot be better. uint8, as given."""
    named, drawn = list(modalities) if _reads_modalities(pipe) else [None] * len(images), []
    for start in range(0, len(images), batch_size):
        pixels = torch.from_numpy(images[start : start + batch_size]).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        latents = pipe.encode_images(pixels.to(pipe.device))
        decoded = pipe.decode_latents(latents, named[start : start + batch_size])
        drawn.append((decoded * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(drawn)


def load_words(judge: str | Path | None = None, device: str | None = None) -> Extractor | None:
    """The model of pictures and words in a judge's folder, None being the shipped judge; None where it has none."""
    folder = judge_folder(judge) / CLIP
    return load_extractor(folder, device) if folder.is_dir() else None


def score_pictures(
    images: np.ndarray,
    drawn: DrawnPictures,
    judge: Judge,
    *,
    decoded: np.ndarray | None = None,
    words: Extractor | None = None,
    training: tuple[np.ndarray, Sequence[str]] | None = None,
    extractor: Extractor | None = None,
    seed: int = 0,
) -> dict:
    """All figures of generated pictures.

    Args:
        images: uint8 (n, size, size, 3), one for each prompt of `drawn`.
        drawn: drawn pictures of the same facts: what the generator should have drawn, of patients that it never saw.
        judge: from `load_judge`.
        decoded: `drawn` brought through the generator's codec, for the ceiling; None: `drawn` itself.
        words: a CLIP-like model, for the CLIP score.
        training: the pictures that the generator was trained on and their modalities; None: no memorization gate.
        extractor: another model on whose features the sets are compared too, such as Inception.
        seed: of subsets, pairs and copies.

    Returns:
        a JSON-ready dict: "n", "judge", "faithfulness", "distribution", "look", "clip", "own_features", "gate"; the
        last three None where they were not run.

    Raises:
        InputError: other sizes or counts than of `drawn`.
    """
    if images.shape != drawn.images.shape:
        found, expected = (" x ".join(map(str, one.shape)) for one in (images, drawn.images))
        raise InputError("pictures", found, expected, "draw one for each prompt, at the judge's size")
    real, fake = judge.look(drawn.images), judge.look(images)
    best = real if decoded is None else judge.look(decoded)
    modalities = drawn.modalities
    known = None if training is None else gate(images, modalities, *training, drawn.images, modalities, seed)
    return {
        "n": len(images),
        "judge": judge.name,
        "ceiling": "drawn pictures" if decoded is None else "drawn pictures through the generator's codec",
        "faithfulness": faithfulness(drawn.facts, fake.answers, best.answers),
        "distribution": distribution_figures(real, fake, modalities, seed),
        "look": look_figures(drawn.images, images, modalities, seed),
        "clip": None if words is None else _clip(words, images, drawn, seed),
        "own_features": None if extractor is None else figures_on(extractor, drawn, images, seed),
        "gate": known,
    }


def _clip(words: Extractor, images: np.ndarray, drawn: DrawnPictures, seed: int) -> dict:
    figures = clip_figures(words, images, drawn.prompts, drawn.facts, seed)
    return figures | {"drawn": clip_figures(words, drawn.images, drawn.prompts, drawn.facts, seed)["score"]}


def evaluate_generator(
    pipe,
    *,
    n: int = 500,
    seed: int = 1,
    split: str = "test",
    modalities: Sequence[str] | None = None,
    judge: str | Path | None = None,
    training: str | Path | None = None,
    features: str | Path | None = None,
    drawing: Drawing | None = None,
    device: str | None = None,
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
) -> dict:
    """Draw pictures for prompts whose truth is known, and score them.

    Args:
        pipe: a `MedicalImagePipeline`.
        n, seed, split, modalities: of the prompts, see `PictureCorpus`; None: all modalities that take turns.
        judge: a judge's folder; None is the shipped one.
        training: a folder of what the generator was trained on, see `read_training`; without it there is no gate.
        features: a model on whose features the sets are compared too, see `load_extractor`.
        drawing: guidance, steps, pictures a pass, and what keeps them.
        device: of the judge.
        progress: wraps passes, given with their number.

    Returns:
        what `score_pictures` gives, with "seed", "split" and "drawing".

    Raises:
        InputError: an option out of range, or a folder that is not what it should be.
    """
    drawing = drawing or Drawing()
    critic = load_judge(judge, device)
    size = critic.size
    known = None if training is None else read_training(training)
    extractor = None if features is None else load_extractor(features, device)
    corpus = PictureCorpus(n, seed, size, *([] if modalities is None else [modalities]), split=split)
    drawn = drawn_pictures(corpus, lambda cases: progress(cases, n))
    images = drawing(pipe, drawn.prompts, drawn.modalities, size, seed, progress)
    scores = score_pictures(
        images,
        drawn,
        critic,
        decoded=decoded_by(pipe, drawn.images, drawn.modalities),
        words=load_words(judge, device),
        training=known,
        extractor=extractor,
        seed=seed,
    )
    asked = {"guidance_scale": drawing.guidance_scale, "num_inference_steps": drawing.num_inference_steps}
    return {"seed": seed, "split": split, "drawing": asked, **scores}


def pictures_table(scores: dict) -> str:
    """All figures as text."""
    lines = [faithfulness_table(scores["faithfulness"]), f"judge: {scores['judge']}; ceiling: {scores['ceiling']}", ""]
    lines.append(distribution_table(scores["distribution"]))
    if scores["distribution"]["warning"]:
        lines.append(f"warning: {scores['distribution']['warning']}")
    lines.append("")
    for modality, figures in scores["look"].items():
        pairs = (f"{name} {_pair(those)}" for name, those in figures.items())
        lines.append(f"{modality + ' (drawn / generated)':<28}" + "   ".join(pairs))
    lines.append("")
    if (clip := scores["clip"]) is not None:
        low, high = clip["interval"]
        lines.append(
            f"CLIP score {clip['score']:.1f} ({low:.1f} to {high:.1f}); drawn pictures {clip['drawn']:.1f}; the own "
            f"prompt fits better than another in {clip['own_is_better']:.1%}; by {clip['model']}"
        )
    if scores["own_features"] is not None:
        lines.append(own_features_lines(scores["own_features"]))
    lines.append(f"memorization gate: {NO_TRAINING}" if scores["gate"] is None else gate_lines(scores["gate"]))
    return "\n".join(lines)


def _pair(those: dict) -> str:
    return " / ".join("-" if value is None else f"{value:.3g}" for value in (those["drawn"], those["generated"]))
