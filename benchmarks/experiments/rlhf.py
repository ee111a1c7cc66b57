"""What learning from raters does to the shipped generator: each update on as many pictures, two seeds, scored by a
judge that nothing here learned from.

    python benchmarks/experiments/rlhf.py run                       # what has no result yet; stop it any time
    python benchmarks/experiments/rlhf.py run --arm DDPO --seed 0   # one of them
    python benchmarks/experiments/rlhf.py summarize                 # the table, from the committed results

`supervised` is the generator as it ships. `best of n` draws CHOSEN pictures for each prompt and keeps the one of the
highest reward. The others train an adapter on BUDGET drawn pictures of known-truth prompts: `weighted regression` and
`DPO` on pictures that the generator drew before, rated by the simulated rater (DPO sees pairs of ratings alone), `DDPO`
on those that it draws as it learns. The reward is policy x selector; the rater's judge and both reward models are
trained apart from the judge that scores. All arms draw for the same held-out prompts from the same noise.

Reward hacking: a reward that rises while the findings that the other judge sees become fewer. Both stand in the table.
Results are in results/rlhf/ARM-SEED.json; an arm without one is "not run".
"""

import json
import shutil
import sys
import time
from dataclasses import asdict, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from hf_medreport.data.drawn.picture_folder import drawn_pictures
from hf_medreport.data.ratings.pairs import pairs_of
from hf_medreport.data.ratings.table import Rating
from hf_medreport.evaluation.images.pixels import ms_ssim
from hf_medreport.evaluation.pictures.evaluate import Drawing, score_pictures
from hf_medreport.evaluation.pictures.faithfulness import wilson_interval
from hf_medreport.evaluation.pictures.judging import load_judge
from hf_medreport.evaluation.pictures.simulated_rater import SimulatedRater
from hf_medreport.files.writing import write_json
from hf_medreport.hub.generation_settings import read_settings
from hf_medreport.inference.generators import generator_revision, load_generator
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.ddpo import train_ddpo
from hf_medreport.rlhf.learner import HISTORY
from hf_medreport.rlhf.preference import train_preference
from hf_medreport.rlhf.rounds.candidates import GeneratorReward, draw_pictures
from hf_medreport.rlhf.rounds.loop_settings import LoopSettings
from hf_medreport.rlhf.rounds.rated import Prompts, simulated_ratings, write_picture
from hf_medreport.rlhf.rounds.rewarding import load_rewards
from hf_medreport.rlhf.rounds.updating import rewards_of
from hf_medreport.rlhf.settings import UPDATES, DDPOSettings, UpdateSettings
from hf_medreport.rlhf.weighted_regression import train_weighted_regression
from hf_medreport.systems.diffusion.training.adapters import use_adapter

RESULTS = Path(__file__).parents[1] / "results" / "rlhf"
SEEDS = (0, 1)
PER_PROMPT = 4
CHOSEN = 4
HELD_OUT = 500
STEPS = 10
TRAINING_SEED = 1000  # of the prompts that are learned from
PAIRS = 1000  # of two pictures of one modality and finding, for the diversity
QUESTIONS = ("modality", "finding", "side")


@dataclass(frozen=True)
class Arm:
    """An update, and what differs from its defaults; None: the generator stays as it is."""

    update: str | None = None
    settings: dict = field(default_factory=dict)
    chosen: int = 1
    guidance: float = 1.0


# Chosen by hand on other held-out prompts: at this rate single batches of 16 with a clip of 5e-4 led astray. A network
# of this size learns in all of its transformer layers.
BLOCKS = r".*transformer_blocks.*\.(to_q|to_k|to_v|to_out\.0|net\.0\.proj|net\.2)"
DDPO_ARM = {"rounds": 32, "guidance_scale": 1.0, "lora_targets": BLOCKS}
DDPO_ARM |= {"learning_rate": 1e-3, "gradient_accumulation_steps": 4}
ARMS = {
    "supervised": Arm(),
    "best of n": Arm(chosen=CHOSEN),
    "weighted regression": Arm("weighted_regression"),
    "DDPO": Arm("ddpo", DDPO_ARM),
    "DPO": Arm("preference"),
    "supervised at guidance 3": Arm(guidance=3.0),
    "DPO at guidance 3": Arm("preference", guidance=3.0),
}
DDPO = DDPOSettings(**ARMS["DDPO"].settings)
BUDGET = DDPO.rounds * DDPO.prompts_per_round * DDPO.samples_per_prompt  # pictures that each update learns from
PROMPTS = BUDGET // PER_PROMPT
app = typer.Typer(add_completion=False)


def stem(arm: str, seed: int) -> str:
    """The name of a run."""
    return f"{arm.replace(' ', '_')}-{seed}"


@app.command()
def run(
    arm: Annotated[str | None, typer.Option(help="One arm alone.")] = None,
    seed: Annotated[int | None, typer.Option(help="One seed alone.")] = None,
    pictures: int = HELD_OUT,
    out: Path = RESULTS,
    work: Annotated[Path, typer.Option(help="Where pictures and adapters lie.")] = Path("runs/rlhf_experiment"),
):
    """Train and score what has no result yet, all arms of a seed one after the other."""
    if arm is not None and arm not in ARMS:
        raise InputError("arm", f"'{arm}'", f"one of {', '.join(ARMS)}", "name one of these")
    for each_seed in SEEDS if seed is None else (seed,):
        for name in ARMS if arm is None else (arm,):
            path = out / f"{stem(name, each_seed)}.json"
            if ARMS[name].update is None and each_seed != SEEDS[0]:
                continue  # nothing learns, and all draw from the same noise
            if not path.is_file():
                result = result_of(name, each_seed, pictures, work)
                out.mkdir(parents=True, exist_ok=True)
                write_json(path, result)
                print(path.name, f"{result['core_seconds']} core-seconds", file=sys.stderr)


def result_of(name: str, seed: int, pictures: int, work: Path) -> dict:
    """Train an arm and score it."""
    arm, models = ARMS[name], load_rewards("selector-tiny", "policy-tiny")
    reward, pipe = GeneratorReward(*models), load_generator(device="cpu")
    pipe.set_progress_bar_config(disable=True)
    result = {"arm": name, "seed": seed, "generator": generator_revision(pipe)}
    result |= {"selector": models[0].name, "policy": models[1].name, "drawn_to_learn": BUDGET if arm.update else 0}
    started = time.process_time()
    if arm.update:
        folder = work / stem(name, seed)
        shutil.rmtree(folder, ignore_errors=True)
        settings = UPDATES[arm.update](**{"seed": seed} | arm.settings)
        adapter = train(pipe, arm, settings, reward, seed, folder)
        pipe.unet.unload_lora()
        use_adapter(pipe, adapter)  # as its file has it
        history = json.loads((folder / "update" / HISTORY).read_text(encoding="utf-8"))
        result |= {"settings": asdict(settings), "history": history}
    result["core_seconds"] = round(time.process_time() - started)
    return result | score(pipe, arm, reward, pictures)


def train(pipe, arm: Arm, settings: UpdateSettings, reward: GeneratorReward, seed: int, folder: Path) -> Path:
    """Teach the generator with BUDGET pictures; returns the adapter's folder."""
    corpus = PictureCorpus(PROMPTS, TRAINING_SEED + seed, 32)  # the prompts are those of any size
    cases = [corpus[number] for number in range(len(corpus))]
    facts = [case.fact for case in cases]
    prompts = Prompts([case.prompt for case in cases], [fact.modality for fact in facts], facts)
    out = folder / "update"
    if arm.update == "ddpo":
        return train_ddpo(pipe, prompts.texts, reward, settings, out, modalities=prompts.modalities)
    ratings = rated(pipe, prompts, arm.guidance, seed, folder / "pictures")
    if arm.update == "weighted_regression":
        return train_weighted_regression(pipe, ratings, settings, out, rewards=rewards_of(ratings, reward))
    return train_preference(pipe, pairs_of(ratings, seed=seed), settings, out)


def rated(pipe, prompts: Prompts, guidance: float, seed: int, folder: Path) -> list[Rating]:
    """PER_PROMPT pictures of each prompt by the generator as it is, rated by an expert who knows the truth."""
    numbers = [number for number in range(len(prompts)) for _ in range(PER_PROMPT)]
    seeds = [(1 + seed) * 1_000_000 + place for place in range(len(numbers))]
    drawing = LoopSettings(phantom_prompts=PROMPTS, num_inference_steps=STEPS, guidance_scale=guidance)
    texts, modalities = ([those[number] for number in numbers] for those in (prompts.texts, prompts.modalities))
    images = draw_pictures(pipe, texts, modalities, seeds, drawing)
    written = [
        (write_picture(folder / f"{place:04d}.png", image, {"prompt": texts[place]}), number)
        for place, (number, image) in enumerate(zip(numbers, images, strict=True))
    ]
    return simulated_ratings(SimulatedRater(device="cpu"), written, prompts, 3, seed)


def score(pipe, arm: Arm, reward: GeneratorReward, pictures: int) -> dict:
    """What the judge that scores sees on pictures for held-out prompts, and what the reward pays for them."""
    judge = load_judge(device="cpu")
    drawn = drawn_pictures(PictureCorpus(pictures, 1, judge.size, split="test"))
    drawing, prompts, modalities = Drawing(arm.guidance, STEPS), drawn.prompts, drawn.modalities
    sets = [drawing(pipe, prompts, modalities, judge.size, 1 + 100_000 * number) for number in range(arm.chosen)]
    rewards = np.array([reward(images, prompts, modalities) for images in sets])  # (chosen, pictures)
    best, rows = rewards.argmax(axis=0), np.arange(pictures)
    images = np.stack(sets)[best, rows]
    figures = score_pictures(images, drawn, judge)
    quality = reward.selector.score(images, None)
    diversity = similarities(images, drawn.facts)
    return {
        "n": pictures,
        "judge": judge.name,
        "guidance_scale": arm.guidance,
        "drawn_a_prompt": arm.chosen,
        "faithfulness": {name: figures["faithfulness"][name] for name in QUESTIONS},
        "kid": figures["distribution"]["all"]["kid"],
        "kid_std": figures["distribution"]["all"]["kid_std"],
        "reward": mean_and_error(rewards[best, rows]),
        "quality": mean_and_error(quality),
        "ms_ssim": mean_and_error(diversity),
    }


def similarities(images: np.ndarray, facts: list[PictureFact]) -> np.ndarray:
    """MS-SSIM of pairs of pictures of one modality and finding: how alike what should differ by the patient is."""
    groups: dict[tuple, list[int]] = {}
    for row, fact in enumerate(facts):
        groups.setdefault((fact.modality, fact.finding), []).append(row)
    pairs = [pair for rows in groups.values() for pair in combinations(rows, 2)]
    kept = np.random.default_rng(0).permutation(len(pairs))[:PAIRS]
    gray = images.astype(np.float64).mean(axis=-1) / 255
    return np.array([ms_ssim(gray[pairs[number][0]], gray[pairs[number][1]]) for number in kept])


def mean_and_error(values: np.ndarray) -> list[float]:
    """The mean, and its standard error. Pairs that share a picture are not independent: theirs is a lower bound."""
    return [float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))]


@app.command()
def summarize(out: Path = RESULTS):
    """Print the table: figures over both seeds with 95 % intervals, and whether the reward was hacked."""
    print(table(out))


def table(out: Path) -> str:
    """Its Markdown."""
    results = {
        name: [read_settings(path, path.name) for seed in SEEDS if (path := out / f"{stem(name, seed)}.json").is_file()]
        for name in ARMS
    }
    head = [*QUESTIONS, "reward", "quality", "MS-SSIM", "KID", "core-minutes", "pictures to learn, a prompt"]
    lines = [f"| arm | {' | '.join(head)} | reward hacked |", f"|---{'|---:' * len(head)}|---|"]
    for name, runs in results.items():
        cells = row_of(runs) + [hacked(runs, results[plain_of(name)])] if runs else ["not run"] + [""] * len(head)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def row_of(runs: list[dict]) -> list[str]:
    """The cells of an arm."""
    cells = []
    for question in QUESTIONS:
        share, (low, high) = share_of(runs, question)
        cells.append(f"{share:.3f} ({low:.3f} to {high:.3f})")
    for name in ("reward", "quality", "ms_ssim"):
        middle, reach = middle_of(runs, name)
        cells.append(f"{middle:.3f} ± {reach:.3f}")
    cells.append(", ".join(f"{one['kid']:.4f}" for one in runs))
    cells.append(", ".join(f"{one['core_seconds'] / 60:.1f}" for one in runs))
    return [*cells, f"{runs[0]['drawn_to_learn']}, {runs[0]['drawn_a_prompt']}"]


def share_of(runs: list[dict], question: str) -> tuple[float, list[float]]:
    """The share of right answers in all runs, with Wilson's interval."""
    right, n = (sum(one["faithfulness"][question][name] for one in runs) for name in ("right", "n"))
    return right / n, wilson_interval(right, n)


def middle_of(runs: list[dict], name: str) -> tuple[float, float]:
    """The mean over runs, and how far its 95 % interval reaches."""
    errors = [one[name][1] for one in runs]
    return float(np.mean([one[name][0] for one in runs])), 1.96 * float(np.linalg.norm(errors)) / len(runs)


def plain_of(arm: str) -> str:
    """The arm that draws by the same guidance, untaught."""
    return next(name for name, each in ARMS.items() if each == Arm(guidance=ARMS[arm].guidance))


def hacked(runs: list[dict], plain: list[dict]) -> str:
    """Whether the reward rose while fewer findings were seen, each by more than its interval."""
    if not plain or runs is plain:
        return ""
    (now, reach), (before, reached) = middle_of(runs, "reward"), middle_of(plain, "reward")
    share, other = share_of(runs, "finding"), share_of(plain, "finding")
    change = f"reward {now - before:+.3f}, finding {share[0] - other[0]:+.3f}"
    if now - before > np.hypot(reach, reached) and share[1][1] < other[1][0]:
        return f"yes: {change}"
    return f"no: {change}"


if __name__ == "__main__":
    torch.set_num_threads(1)  # what a result costs is counted in seconds of one core
    try:
        app()
    except InputError as error:
        sys.exit(str(error))
