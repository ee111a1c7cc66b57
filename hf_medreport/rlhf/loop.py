"""The loop in two stages: ratings -> selector and policy -> generator -> new pictures -> ratings.

    hf-medreport rlhf --config examples/rlhf_phantom.yaml

In a round selector and policy learn from all ratings (stage 1) and then from those whose pictures the selector does not
reject (stage 2), which is what the generator learns from too, or, by DDPO, from the reward that both give to what it
draws. It draws anew for each prompt; what was drawn is rated, by people or, of drawn prompts, by a simulated rater.

    OUTPUT/start/                 pictures to begin with, of drawn prompts; rated-0.csv: their ratings
    OUTPUT/round-1/selector-all   stage 1, and policy-all; round-1/selector and policy: stage 2
    OUTPUT/round-1/generator      the update, whose adapter/ goes on in the next round
    OUTPUT/round-1/pictures       <modality>_<i>_selector_<s>_policy_<p>.png, others/, to_rate.csv
    OUTPUT/ratings-1.csv          what round 1 learned from; kept-1.csv: what was kept; rated-1.csv: of its pictures
    OUTPUT/final/                 the adapter with its card; state.json: how far the loop has come

Where people rate, a round ends when its pictures are drawn: they rate them into `OUTPUT/round-1/ratings.csv`, and
`resume` goes on. Neither selector nor rater is the judge that scores a generator; `evaluation_prompts` asks that one.
"""

import json
import logging
from pathlib import Path

import numpy as np
from PIL import Image

from hf_medreport.data.ratings.table import Rating, read_ratings, write_ratings
from hf_medreport.evaluation.pictures.evaluate import Drawing, evaluate_generator
from hf_medreport.files.interruption import INTERRUPTIONS
from hf_medreport.files.writing import open_whole, write_json
from hf_medreport.inference.figures.synthetic import save_synthetic
from hf_medreport.inference.generators import load_generator
from hf_medreport.processing.input_error import InputError
from hf_medreport.rlhf.learner import HISTORY
from hf_medreport.rlhf.rounds.candidates import (
    GeneratorReward,
    checked_scores,
    draw_candidates,
    draw_pictures,
    figures_of,
)
from hf_medreport.rlhf.rounds.final import write_final
from hf_medreport.rlhf.rounds.loop_settings import BEST_OF_N, LoopSettings
from hf_medreport.rlhf.rounds.rated import prompts_of, simulated_ratings, write_candidates, write_picture
from hf_medreport.rlhf.rounds.rewarding import load_rewards, simulated_rater, train_reward
from hf_medreport.rlhf.rounds.tracking import check_report_to, tracking_to
from hf_medreport.rlhf.rounds.updating import update_generator
from hf_medreport.rlhf.state import ROUND, State
from hf_medreport.systems.diffusion.training.adapters import use_adapter
from hf_medreport.systems.diffusion.training.watching import grid

__all__ = ["Loop", "run_loop"]

RATINGS, GRID, LOG = "ratings.csv", "grid.png", "log"
KINDS = ("selector", "policy")
ON_A_GRID = 16
SEEDS_A_ROUND = 1_000_000  # between the seeds of the pictures of two rounds

logger = logging.getLogger(__name__)


def run_loop(settings: LoopSettings) -> dict:
    """Run a loop, or go on with one.

    Args:
        settings: of the loop.

    Returns:
        {"rounds": figures of each, "waiting": the table that is to be filled before it can go on, or None,
        "evaluation": {"before", "after"} or None, "final": the folder of the tuned adapter, or None}.

    Raises:
        InputError: settings or data that cannot be used, or a folder of another run.
    """
    check_report_to(settings.report_to)
    loop = Loop(settings)
    try:
        return go_through(loop)
    except INTERRUPTIONS as interruption:
        interruption.add_note(f"interrupted: {len(loop.state.steps)} steps done; `resume` goes on")
        raise


def go_through(loop: "Loop") -> dict:
    """All rounds of a loop and what comes after them."""
    settings, state = loop.settings, loop.state
    if settings.report_to != "none":
        state.own(LOG)
    with tracking_to(settings.report_to, state.folder / LOG) as tracking:
        for number in range(1, settings.rounds + 1):
            figures = loop.round(number)
            if state.add_round(number, figures):
                with Image.open(state.folder / f"{ROUND}{number}" / "pictures" / GRID) as picture:
                    tracking.log(figures, picture.convert("RGB"), number)
            if loop.waiting is not None:
                return {"rounds": state.rounds, "waiting": str(loop.waiting), "evaluation": None, "final": None}
    evaluation = loop.evaluate() if settings.evaluation_prompts else None
    final = loop.finish(evaluation)
    return {
        "rounds": state.rounds,
        "waiting": None,
        "evaluation": evaluation,
        "final": None if final is None else str(final),
    }


class Loop:
    """A loop and what it has so far.

    Attributes:
        state: which steps are done.
        prompts: that new pictures are drawn for.
        ratings: all so far.
        adapter: the folder of the last one; None before the first update.
        waiting: where ratings are awaited from people; None where they are not.
    """

    def __init__(self, settings: LoopSettings):
        self.settings = settings
        self.prompts = prompts_of(settings)
        given = None if settings.ratings is None else read_ratings(settings.ratings)
        self.pipe = load_generator(settings.generator)
        self.pipe.set_progress_bar_config(disable=True)
        self.state = State(
            settings.output_dir, settings.deciding(), resume=settings.resume, overwrite=settings.overwrite
        )
        self.adapter: Path | None = None
        self.waiting: Path | None = None
        self.rater = None if self.prompts.facts is None else simulated_rater()
        self.ratings: list[Rating] = self._start() if given is None else given.ratings

    # --- the beginning ---

    def _start(self) -> list[Rating]:
        """Pictures of drawn prompts by the generator as it is, rated."""

        def work(folder: Path) -> tuple[dict, list[Path]]:
            per, prompts = self.settings.first_pictures, self.prompts
            numbers = [number for number in range(len(prompts)) for _ in range(per)]
            texts, modalities = [prompts.texts[n] for n in numbers], [prompts.modalities[n] for n in numbers]
            seeds = [self.settings.seed + place for place in range(len(numbers))]
            images = draw_pictures(self.pipe, texts, modalities, seeds, self.settings)
            pictures = []
            for place, (number, image) in enumerate(zip(numbers, images, strict=True)):
                said = {"prompt": texts[place], "modality": modalities[place], "seed": seeds[place]}
                pictures.append((write_picture(folder / f"{place:05d}.png", image, said), number))
            rated = simulated_ratings(self.rater, pictures, prompts, self.settings.expert_level, self.settings.seed)
            table = self._write("rated-0.csv", rated)
            return {"ratings": len(rated)}, [*(path for path, _ in pictures), table]

        self.state.step("start", work)
        return self._read("rated-0.csv")

    def _write(self, name: str, ratings: list[Rating]) -> Path:
        """A table above all pictures, whose paths in it are relative then: a run's folder may be moved."""
        self.state.own(name)
        return write_ratings(self.state.folder / name, ratings)

    def _read(self, name: str) -> list[Rating]:
        return read_ratings(self.state.folder / name).ratings

    # --- a round ---

    def round(self, number: int) -> dict:
        """Train, update, draw and rate; returns the round's figures."""
        name, settings = f"{ROUND}{number}", self.settings
        figures: dict[str, float] = {"round": number, "ratings": len(self.ratings)}
        if settings.train_rewards:
            table = self._write(f"ratings-{number}.csv", self.ratings)
            first = [self._train(f"{name}/{kind}-all", kind, table) for kind in KINDS]
            kept = self._kept(number, load_rewards(*first)[0])
            table = self.state.folder / f"kept-{number}.csv"
            models = load_rewards(*(self._train(f"{name}/{kind}", kind, table) for kind in KINDS))
        else:
            models = load_rewards(settings.selector, settings.policy)
            kept = self._kept(number, models[0])
        reward = GeneratorReward(*models)
        figures |= {"kept": len(kept), "kept_share": len(kept) / len(self.ratings)}
        figures |= self._update(f"{name}/generator", number, kept, reward)
        drawn = self._draw(f"{name}/pictures", number, reward)
        return figures | drawn["figures"] | self._rate(name, number, drawn["pictures"])

    def _train(self, name: str, kind: str, table: Path) -> Path:
        """Train a selector or a policy; returns its folder."""
        given = getattr(self.settings, kind) or {}

        def work(folder: Path) -> tuple[dict, list[Path]]:
            return train_reward(kind, table, folder, given | {"seed": self.settings.seed})

        return self.state.folder / self.state.step(name, work, goes_on=True)["model"]

    def _kept(self, number: int, selector) -> list[Rating]:
        """The ratings of pictures that the selector does not reject."""
        threshold, table = self.settings.selector_threshold, f"kept-{number}.csv"

        def work(folder: Path) -> tuple[dict, list[Path]]:
            images = []
            for rating in self.ratings:
                with Image.open(rating.image) as picture:
                    images.append(np.asarray(picture.convert("RGB")))
            scores = [float(selector.score(image[None], None)[0]) for image in images]  # they may be of several sizes
            scores = checked_scores("selector", scores, len(images))
            kept = [rating for rating, score in zip(self.ratings, scores, strict=True) if score >= threshold]
            if not kept:
                found = f"{threshold:g}, which no picture of {len(images)} reaches (the best: {max(scores):.3f})"
                raise InputError("selector_threshold", found, "one that some reach", "lower it, or rate more pictures")
            return {"kept": len(kept)}, [self._write(table, kept)]

        self.state.step(f"{ROUND}{number}/kept", work)
        return self._read(table)

    def _update(self, name: str, number: int, kept: list[Rating], reward: GeneratorReward) -> dict:
        """Let the generator learn; it has the new adapter afterward."""
        if self.settings.update == BEST_OF_N:
            return {}

        def work(folder: Path) -> tuple[dict, list[Path]]:
            self.use(None)
            adapter = update_generator(
                self.pipe, self.settings, number, self.prompts, kept, reward, self.adapter, folder
            )
            history = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
            last = {key: value for key, value in (history or [{}])[-1].items() if key != "step"}
            return last, [*adapter.iterdir(), folder / HISTORY]

        figures = self.state.step(name, work, goes_on=True)
        self.adapter = self.state.folder / name / "adapter"
        self.use(self.adapter)
        return {f"{self.settings.update}_{key}": value for key, value in figures.items()}

    def use(self, adapter: Path | None) -> None:
        """Let the generator draw with an adapter, or as it was: read from its file, as a run that goes on does."""
        if getattr(self.pipe.unet, "peft_config", None):
            self.pipe.unet.unload_lora()
        if adapter is not None:
            use_adapter(self.pipe, adapter)

    def _draw(self, name: str, number: int, reward: GeneratorReward) -> dict:
        """New pictures of all prompts: {"figures", "pictures": [[path, number of its prompt]]}."""

        def work(folder: Path) -> tuple[dict, list[Path]]:
            prompts, first = self.prompts, self.settings.seed + number * SEEDS_A_ROUND
            found = draw_candidates(self.pipe, prompts.texts, prompts.modalities, reward, self.settings, first)
            written = write_candidates(folder, found, prompts)
            shown = [Image.open(path).convert("RGB") for path, _ in written[:ON_A_GRID]]
            with open_whole(folder / GRID) as file:
                save_synthetic(grid(shown), file, {"model": f"after round {number}"})
            pictures = [[path.relative_to(folder).as_posix(), number] for path, number in written]
            files = [path for path in folder.rglob("*") if path.is_file()]
            return {"figures": figures_of(found, self.settings), "pictures": pictures}, files

        return self.state.step(name, work)

    def _rate(self, name: str, number: int, drawn: list) -> dict:
        """The ratings of the new pictures: simulated, or awaited from people."""
        folder = self.state.folder / name
        pictures = [(folder / "pictures" / path, prompt) for path, prompt in drawn]
        if self.rater is not None:

            def work(_: Path) -> tuple[dict, list[Path]]:
                seed = self.settings.seed + number
                rated = simulated_ratings(self.rater, pictures, self.prompts, self.settings.expert_level, seed)
                mean = float(np.mean([one.normalized for one in rated]))
                return {"mean": mean}, [self._write(f"rated-{number}.csv", rated)]

            figures = {"rating": self.state.step(f"{name}/rated", work)["mean"]}
            self.ratings = self.ratings + self._read(f"rated-{number}.csv")
            return figures
        if (folder / RATINGS).is_file():
            self.ratings = self.ratings + read_ratings(folder / RATINGS, image_root=folder / "pictures").ratings
        elif number < self.settings.rounds:
            self.waiting = folder / RATINGS
        return {}

    # --- the end ---

    def evaluate(self) -> dict:
        """The generator before and after, by the judge that scores, which nothing here learned from."""
        settings, adapter = self.settings, self.adapter

        def work(folder: Path) -> tuple[dict, list[Path]]:
            drawing = Drawing(settings.guidance_scale, settings.num_inference_steps, settings.batch_size)
            scores = {}
            for when, those in (("before", None), ("after", adapter)):
                self.use(those)
                scores[when] = evaluate_generator(self.pipe, n=settings.evaluation_prompts, drawing=drawing)
                write_json(folder / f"{when}.json", scores[when])
            return scores, [folder / "before.json", folder / "after.json"]

        return self.state.step("evaluation", work)

    def finish(self, evaluation: dict | None) -> Path | None:
        """Leave the last adapter with its card in `final/`; None of a loop that trained none."""
        if self.adapter is None:
            return None

        def work(folder: Path) -> tuple[dict, list[Path]]:
            known = [each["name"] for each in getattr(self.pipe.text_encoder.config, "modalities", [])]
            after = evaluation and evaluation["after"]
            return {}, write_final(folder, self.adapter, self.settings, len(self.ratings), known, after)

        self.state.step("final", work)
        return self.state.folder / "final"
