"""Do a generator's pictures help a classifier? Drawn pictures alone, with synthetic ones, and synthetic ones alone.

    python benchmarks/experiments/augmentation.py runs/diffusion/model
    python benchmarks/experiments/augmentation.py runs/diffusion/model --n 200 --m 2000 --seeds 3 --steps 1500

The classifier is the picture judge's network, from scratch, asked for the finding alone. All arms train for as many
steps, and are tested on the same held-out drawn pictures. A synthetic picture is labeled with what was asked for: where
the generator draws something else, its label is wrong. Accuracies have Wilson's 95 % interval over the test pictures;
several seeds say what training again would give. Pictures are kept in runs/augmentation/, the table's figures in
results/augmentation.json.
"""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from hf_medreport.data.drawn.picture_folder import DrawnPictures, cached_pictures
from hf_medreport.evaluation.pictures.evaluate import Drawing
from hf_medreport.evaluation.pictures.faithfulness import wilson_interval
from hf_medreport.evaluation.pictures.judging import labels_of, pixels_of, questions
from hf_medreport.files.writing import write_json
from hf_medreport.inference.generators import generator_revision, load_generator
from hf_medreport.modeling.configuration_picture_judge import PictureJudgeConfig
from hf_medreport.modeling.modeling_picture_judge import PictureJudgeModel
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.processing.input_error import InputError

RESULT = Path(__file__).parents[1] / "results" / "augmentation.json"
SIZE, BATCH = 64, 64
TRAIN_SEED, ASKED_SEED, TEST_SEED = 300, 301, 302  # of the drawn pictures: none that judge or generator were shown


def accuracy_of(images: np.ndarray, labels: np.ndarray, test: DrawnPictures, seed: int, steps: int) -> int:
    """Train a classifier of findings and count the test pictures that it gets right.

    Args:
        images, labels: uint8 (n, 64, 64, 3) and (n, 1).
        test: what it is tested on.
        seed: of its weights and batches.
        steps: of 64 pictures.
    """
    torch.manual_seed(seed)
    rng, asked = np.random.default_rng(seed), {"finding": questions()["finding"]}
    model = PictureJudgeModel(PictureJudgeConfig(questions=asked, image_size=images.shape[1])).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps, pct_start=0.1)
    for _ in range(steps):
        rows = rng.integers(0, len(images), BATCH)
        loss = model(pixels_of(images[rows]), labels=torch.from_numpy(labels[rows])).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()
    wanted = torch.from_numpy(labels_of(test.facts, asked))[:, 0]
    right = 0
    with torch.inference_mode():
        for start in range(0, len(test), 200):
            part = slice(start, start + 200)
            right += int((model(pixels_of(test.images[part])).logits.argmax(-1) == wanted[part]).sum())
    return right


def compare(
    drawn: DrawnPictures, synthetic: DrawnPictures, test: DrawnPictures, seeds: int, steps: int
) -> dict[str, list[dict]]:
    """{arm: a result a seed}."""
    asked = {"finding": questions()["finding"]}
    own, made = labels_of(drawn.facts, asked), labels_of(synthetic.facts, asked)
    arms = {
        f"{len(drawn)} drawn": (drawn.images, own),
        f"{len(drawn)} drawn + {len(synthetic)} synthetic": (
            np.concatenate([drawn.images, synthetic.images]),
            np.concatenate([own, made]),
        ),
        f"{len(synthetic)} synthetic": (synthetic.images, made),
    }
    results = {}
    for arm, (images, labels) in arms.items():
        results[arm] = []
        for seed in range(seeds):
            right = accuracy_of(images, labels, test, seed, steps)
            row = {"seed": seed, "right": right, "n": len(test), "accuracy": right / len(test)}
            results[arm].append(row | {"interval": wilson_interval(right, len(test))})
            print(f"{arm}, seed {seed}: {row['accuracy']:.3f}", file=sys.stderr)
    return results


def table(results: dict[str, list[dict]]) -> str:
    """A line an arm, a column a seed."""
    seeds = [f"seed {row['seed']}" for row in next(iter(results.values()))]
    lines = [f"| trained on | {' | '.join(seeds)} |", f"|---|{'---:|' * len(seeds)}"]
    for arm, rows in results.items():
        cells = [f"{row['accuracy']:.3f} ({row['interval'][0]:.3f} to {row['interval'][1]:.3f})" for row in rows]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(
    model: Annotated[str, typer.Argument(help="A generator's folder or ORG/NAME.")],
    n: Annotated[int, typer.Option(min=10, help="Drawn pictures.")] = 500,
    m: Annotated[int, typer.Option(min=10, help="Synthetic pictures.")] = 2000,
    test: Annotated[int, typer.Option(min=10, help="Held-out drawn pictures.")] = 1000,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings an arm.")] = 2,
    steps: Annotated[int, typer.Option(min=10, help="Of 64 pictures, a training.")] = 800,
    guidance: Annotated[float, typer.Option(help="Guidance scale.")] = 3.0,
    inference_steps: Annotated[int, typer.Option(min=1, help="Steps a picture.")] = 20,
    runs: Annotated[Path, typer.Option(help="Folder for the drawn pictures.")] = Path("runs/augmentation"),
    out: Annotated[Path, typer.Option(help="The JSON with the figures.")] = RESULT,
):
    """Train a classifier on drawn, drawn and synthetic, and synthetic pictures."""
    drawn = cached_pictures(runs / f"drawn-{n}", PictureCorpus(n, TRAIN_SEED, SIZE))
    asked = cached_pictures(runs / f"asked-{m}", PictureCorpus(m, ASKED_SEED, SIZE))
    held_out = cached_pictures(runs / f"test-{test}", PictureCorpus(test, TEST_SEED, SIZE, split="test"))
    pipe = load_generator(model)
    pipe.set_progress_bar_config(disable=True)
    images = Drawing(guidance, inference_steps)(pipe, asked.prompts, asked.modalities, SIZE)
    synthetic = DrawnPictures(images, asked.facts, asked.prompts)
    results = compare(drawn, synthetic, held_out, seeds, steps)
    out.parent.mkdir(parents=True, exist_ok=True)
    settings = {"guidance": guidance, "inference_steps": inference_steps, "steps": steps}
    source = {"model": Path(model).name, "revision": generator_revision(pipe)}
    command = f"python benchmarks/experiments/augmentation.py {source['model']} --n {n} --m {m} --test {test}"
    command += f" --seeds {seeds} --steps {steps} --guidance {guidance:g} --inference-steps {inference_steps}"
    write_json(out, {"command": command, **source, "settings": settings, "arms": results})
    print(table(results))


if __name__ == "__main__":
    try:
        typer.run(main)
    except InputError as error:
        sys.exit(str(error))
