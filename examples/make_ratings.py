"""Pictures rated by simulated raters, for reward models to learn from: two tables of the same pictures.

    python examples/make_ratings.py runs/ratings                 # 29,500 pictures
    hf-medreport train selector --config examples/selector_phantom.yaml
    hf-medreport train policy --config examples/policy_phantom.yaml

Of each of 1,000 prompts there are seven pictures: two by the shipped generator, one drawn as it asks, two drawn of the
same patient with something else (another side, finding or modality, by turns), and two of the first three, damaged
slightly and strongly. Three raters of known truth look at them: an expert (level 3) at all, one of level 2 and a novice
at a third each. The expert also rates 15,000 drawn pictures, each by its own prompt and by one that asks for something
else, and half of them damaged.

- `ratings.csv` rates a picture by the prompt that stands beside it: wrong pictures are poor.
- `quality.csv` rates it by what it shows, where that is known: a crisp picture of something else is good. A selector,
  which sees no prompt, can learn no more than this.

What was generated is kept in `generated/`, and what was drawn in `drawn/`, so that a run that was interrupted goes on.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from hf_medreport.data.drawn.picture_folder import DrawnPictures, as_color, cached_pictures, read_drawn
from hf_medreport.data.ratings.table import Rating, write_ratings
from hf_medreport.evaluation.pictures.evaluate import Drawing
from hf_medreport.evaluation.pictures.judging import ARTEFACTS
from hf_medreport.evaluation.pictures.simulated_rater import SimulatedRater
from hf_medreport.files.writing import write_whole
from hf_medreport.inference.generators import load_generator
from hf_medreport.phantom.picture.corpus import PictureCorpus, draw_picture
from hf_medreport.phantom.picture.facts import MODALITIES, PictureFact, draw_fact
from hf_medreport.phantom.picture.prompts import write_prompt
from hf_medreport.systems.picture_judge.damage import DAMAGES, damaged

SIZE, BATCH = 64, 50
RATERS = {"expert": (3, 1.0), "resident": (2, 1 / 3), "novice": (1, 1 / 3)}  # level, and share of the pictures
DIFFERS = ("side", "finding", "modality")


def other_fact(fact: PictureFact, differs: str, rng: np.random.Generator) -> PictureFact:
    """A fact that differs from this one in side, finding or modality; in finding where it has no side."""
    if differs == "side" and fact.side is not None:
        return replace(fact, side={"left": "right", "right": "left"}[fact.side])
    if differs == "modality":
        return draw_fact(rng, rng.choice([name for name in MODALITIES if name != fact.modality]))
    while (other := draw_fact(rng, fact.modality)).finding == fact.finding:
        pass
    return other


def asked_for(number: int, seed: int) -> tuple[PictureFact, str]:
    """Fact and prompt of a number; the modalities take turns."""
    rng = np.random.default_rng((seed, number))
    fact = draw_fact(rng, list(MODALITIES)[number % len(MODALITIES)])
    return fact, write_prompt(fact, rng)


def generated(asked: list[tuple[PictureFact, str]], part: int, seed: int, steps: int, kept: Path) -> np.ndarray:
    """The generator's pictures, uint8 (n, 64, 64, 3), a batch at a time."""
    pipe, batches = None, []
    for start in range(0, len(asked), BATCH):
        path = kept / f"{part}_{start:04d}.npy"
        if not path.is_file():
            if pipe is None:
                pipe = load_generator()
                pipe.set_progress_bar_config(disable=True)
            batch = asked[start : start + BATCH]
            prompts, modalities = [prompt for _, prompt in batch], [fact.modality for fact, _ in batch]
            first = 1_000_000 * seed + part * len(asked) + start
            drawing = Drawing(num_inference_steps=steps, batch_size=BATCH)
            images = drawing(pipe, prompts, modalities, SIZE, seed=first)
            with path.with_suffix(".part").open("wb") as file:
                np.save(file, images)
            path.with_suffix(".part").replace(path)
        batches.append(np.load(path))
        typer.echo(f"generated {part + 1}/2: {min(start + BATCH, len(asked))} of {len(asked)}", err=True)
    return np.concatenate(batches)


def pictures_of(number: int, fact: PictureFact, drawn: list[np.ndarray], seed: int) -> list[tuple]:
    """The seven pictures of a prompt, each with the fact that it shows as far as is known.

    Args:
        drawn: the generator's two.
    """
    rng = np.random.default_rng((seed, number, 1))
    whole = [(image, fact) for image in drawn]
    whole.append((as_color(draw_picture(fact, 10_000 * seed + number, SIZE).image), fact))
    worse = []
    for level in ARTEFACTS[1:]:
        image, shown = whole[rng.integers(len(whole))]
        worse.append((damaged(image, DAMAGES[rng.integers(len(DAMAGES))], level, rng), shown))
    others = []
    for turn in range(2):
        other = other_fact(fact, DIFFERS[(number + turn) % len(DIFFERS)], rng)
        others.append((as_color(draw_picture(other, 10_000 * seed + number, SIZE).image), other))
    return [*whole, *others, *worse]


def written(image: np.ndarray, path: Path) -> Path:
    """The picture as a file."""
    return write_whole(path, lambda part: Image.fromarray(image).save(part, "PNG"))


def rated_by_all(judge: SimulatedRater, out: Path, prompts: int, steps: int, seed: int) -> dict[str, list[Rating]]:
    """Seven pictures a prompt, by three raters: {table: ratings}."""
    asked = [asked_for(number, seed) for number in range(prompts)]
    drawn = [generated(asked, part, seed, steps, out / "generated") for part in range(2)]
    paths, images, wanted, shown, words = [], [], [], [], []
    for number, (fact, prompt) in enumerate(asked):
        for turn, (image, seen) in enumerate(pictures_of(number, fact, [part[number] for part in drawn], seed)):
            paths.append(written(image, out / "images" / f"{number:05d}_{turn}.png"))
            images.append(image)
            wanted.append(fact)
            shown.append(seen)
            words.append(prompt)
    tables, images = {}, np.stack(images)
    for name, facts in (("ratings", wanted), ("quality", shown)):
        tables[name] = []
        for number, (rater, (level, share)) in enumerate(RATERS.items()):
            chosen = np.flatnonzero(np.random.default_rng((seed, number)).random(len(images)) < share)
            given = judge.rate(images, facts, level=level, seed=10 * seed + number)
            tables[name] += [Rating(paths[k], given[k], wanted[k].modality, level, words[k], rater) for k in chosen]
    return tables


def rated_by_one(judge: SimulatedRater, out: Path, pictures: DrawnPictures, seed: int) -> dict[str, list[Rating]]:
    """Drawn pictures by their own prompt and by another, half of them damaged too: {table: ratings}."""
    rows, images = [], []  # of each rating: its path, fact, prompt and whether the selector learns from it
    for number, (image, fact, prompt) in enumerate(zip(pictures.images, pictures.facts, pictures.prompts, strict=True)):
        rng = np.random.default_rng((seed, number, 2))
        path = written(image, out / "images" / f"drawn_{number:05d}.png")
        other = other_fact(fact, DIFFERS[number % len(DIFFERS)], rng)
        rows += [(path, fact, prompt, True), (path, other, write_prompt(other, rng), False)]
        images += [image, image]
        if number % 2:
            level = ARTEFACTS[1 + number // 2 % 2]
            bad = damaged(image, DAMAGES[rng.integers(len(DAMAGES))], level, rng)
            rows.append((written(bad, out / "images" / f"drawn_{number:05d}_{level}.png"), fact, prompt, True))
            images.append(bad)
    given = judge.rate(np.stack(images), [fact for _, fact, _, _ in rows], level=3, seed=10 * seed + 9)
    ratings = [
        (Rating(path, value, fact.modality, 3, prompt, "expert"), of_quality)
        for (path, fact, prompt, of_quality), value in zip(rows, given, strict=True)
    ]
    return {"ratings": [one for one, _ in ratings], "quality": [one for one, of_quality in ratings if of_quality]}


def main(
    out: Annotated[Path, typer.Argument(help="Folder to write to.")],
    prompts: Annotated[int, typer.Option(help="How many of seven pictures each.")] = 1000,
    steps: Annotated[int, typer.Option(help="Of the generator.")] = 10,
    drawn: Annotated[int, typer.Option(help="How many drawn pictures beside these.")] = 15000,
    pictures: Annotated[
        Path | None,
        typer.Option(help="Where these lie already, as `hf-medreport phantom pictures --seed 0` draws them."),
    ] = None,
    seed: int = 500,
):
    """Draw, have rated, and write pictures with their two tables."""
    for name in ("generated", "images"):
        (out / name).mkdir(parents=True, exist_ok=True)
    found = cached_pictures(out / "drawn", PictureCorpus(drawn, 0, SIZE)) if pictures is None else read_drawn(pictures)
    found = DrawnPictures(found.images[:drawn], found.facts[:drawn], found.prompts[:drawn])
    judge = SimulatedRater()
    by_all = rated_by_all(judge, out, prompts, steps, seed)
    by_one = rated_by_one(judge, out, found, seed)
    for name in by_all:
        rows = by_all[name] + by_one[name]
        write_ratings(out / f"{name}.csv", rows)
        counts = np.bincount([row.rating for row in rows], minlength=4)[1:]
        typer.echo(f"{name}.csv: {len(rows)} ratings; 1, 2, 3: {', '.join(map(str, counts))}")


if __name__ == "__main__":
    typer.run(main)
