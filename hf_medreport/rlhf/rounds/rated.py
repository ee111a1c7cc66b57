"""What is rated in the loop: prompts, pictures with the table that raters fill, and ratings by who knows the truth."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from hf_medreport.data.ratings.rows import csv_text
from hf_medreport.data.ratings.table import HEADER, Rating
from hf_medreport.files.writing import open_whole, write_text
from hf_medreport.inference.asked_pictures import asked_of_table
from hf_medreport.inference.figures.synthetic import save_synthetic
from hf_medreport.inference.report import Failure
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.rounds.candidates import Candidate, best_of, picture_name
from hf_medreport.rlhf.rounds.loop_settings import LoopSettings

__all__ = ["TO_RATE", "Prompts", "prompts_of", "simulated_ratings", "write_candidates", "write_picture"]

TO_RATE = "to_rate.csv"  # the table that raters fill, in the folder of the pictures
CAPTIONS = "metadata.jsonl"


@dataclass(frozen=True)
class Prompts:
    """What pictures are drawn for; `facts` where the truth is known."""

    texts: list[str]
    modalities: list[str | None]
    facts: list[PictureFact] | None = None

    def __len__(self) -> int:
        return len(self.texts)


def prompts_of(settings: LoopSettings) -> Prompts:
    """The prompts of a table, or drawn ones.

    Raises:
        InputError: no such table, one without rows, or a row without a prompt.
    """
    if settings.prompts is None:
        corpus = PictureCorpus(settings.phantom_prompts, settings.phantom_seed, 32)  # the prompts are those of any size
        cases = [corpus[number] for number in range(len(corpus))]
        facts = [case.fact for case in cases]
        return Prompts([case.prompt for case in cases], [fact.modality for fact in facts], facts)
    asked = list(asked_of_table(Path(settings.prompts)))
    for row in asked:
        if isinstance(row, Failure):
            raise InputError("prompts", row.message, "a prompt in each row", "correct the table")
    return Prompts([row.prompt for row in asked], [row.modality for row in asked])


def write_picture(path: Path, image: np.ndarray, said: dict) -> Path:
    """A PNG that says that it is synthetic."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_whole(path) as file:
        save_synthetic(Image.fromarray(image), file, said)
    return path


def write_candidates(folder: Path, found: Sequence[Sequence[Candidate]], prompts: Prompts) -> list[tuple[Path, int]]:
    """Write the chosen pictures of prompts, and beside them the other candidates, with a table to rate them all.

    Returns:
        each picture that was written, and the number of its prompt; the chosen ones first.
    """
    written, lines = [], []
    chosen = [(best_of(those), "") for those in found]
    best = {id(one) for one, _ in chosen}
    others = [(one, "others/") for those in found for one in those if one.passed and id(one) not in best]
    for one, place in [*chosen, *others]:
        prompt, modality = prompts.texts[one.prompt], prompts.modalities[one.prompt]
        name = f"{place}{picture_name(one, modality)}"
        if place:  # several of a prompt
            name = name.replace("_selector_", f"-{one.attempt + 1:02d}_selector_")
        said = {"prompt": prompt, "modality": modality, "seed": one.seed}
        written.append((write_picture(folder / name, one.image, said), one.prompt))
        scores = {"selector": round(one.selector, 6), "policy": round(one.policy, 6), "passed": one.passed}
        lines.append({"file_name": name, "text": prompt, **said, **scores})
    write_text(folder / CAPTIONS, "".join(f"{json.dumps(line)}\n" for line in lines))
    rows = [(line["file_name"], "", line["modality"] or "", "", line["text"], "") for line in lines]
    write_text(folder / TO_RATE, csv_text([HEADER, *rows]))
    return written


def simulated_ratings(
    rater, pictures: Sequence[tuple[Path, int]], prompts: Prompts, level: int, seed: int
) -> list[Rating]:
    """What a rater who knows the truth says of pictures, each given with the number of its prompt."""
    images = []
    for path, _ in pictures:
        with Image.open(path) as picture:
            images.append(np.asarray(picture.convert("RGB")))
    facts = [prompts.facts[number] for _, number in pictures]
    said = rater.rate(np.stack(images), facts, level=level, seed=seed)
    return [
        Rating(path, int(rating), prompts.modalities[number], level, prompts.texts[number], "simulated")
        for (path, number), rating in zip(pictures, said, strict=True)
    ]
