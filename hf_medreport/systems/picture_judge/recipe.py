"""The recipe of the judge of drawn pictures, and of the small model of pictures and words that stands beside it.

    hf-medreport train picture_judge --config examples/picture_judge.yaml
    hf-medreport train picture_judge --config examples/picture_judge.yaml --seed 1 --phantom_seed 200 \
        --widths 24 32 64 96 --output_dir runs/second_judge       # a second judge, trained apart
    hf-medreport train picture_judge --config examples/picture_rater.yaml   # one that stands for a rater

Writes `OUTPUT_DIR/MODEL_NAME` (a folder that loads anywhere, with its card and `evaluation.json`; the model of pictures
and words in its `clip/`), `pictures/` (drawn once), checkpoints to resume from, and `manifest.json`.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, default_collate
from transformers import set_seed

from hf_medreport.data.drawn.picture_folder import DrawnPictures, cached_pictures
from hf_medreport.evaluation.pictures.faithfulness import faithfulness
from hf_medreport.evaluation.pictures.judging import (
    ARTEFACT,
    ARTEFACTS,
    Judge,
    labels_of,
    load_judge,
    pixels_of,
    questions,
)
from hf_medreport.files.writing import write_json
from hf_medreport.modeling.configuration_picture_judge import PictureJudgeConfig
from hf_medreport.modeling.modeling_picture_judge import PictureJudgeModel
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.picture_judge.card import write_judge_card
from hf_medreport.systems.picture_judge.damage import DAMAGES, damaged
from hf_medreport.systems.picture_judge.degrade import KINDS, PatchComponents, degraded, shifted
from hf_medreport.systems.picture_judge.picture_words import CLIP, image_processor, score_words, train_words
from hf_medreport.systems.picture_judge.rater import compared, score_artefacts
from hf_medreport.training.arguments import read_arguments
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import ReportRecipeArguments, RunArguments, fit, save_weights
from hf_medreport.training.trainer import ReportTrainer

CLEAN_SHARE = 0.3  # of the pictures; the other kinds share the rest
LEVEL_SHARES = (0.7, 0.15, 0.15)  # of pictures without damage, with slight and with strong


@dataclass
class ModelArguments:
    """The judge."""

    image_size: int = field(default=64, metadata={"help": "Side of a picture in px."})
    widths: list[int] = field(default_factory=lambda: [16, 24, 48, 80], metadata={"help": "At four sizes."})
    feature_size: int = field(default=128, metadata={"help": "Width of its features."})


@dataclass
class DataArguments:
    """The pictures, which are drawn once into a folder."""

    phantom_cases: int = field(default=12000, metadata={"help": "Pictures to draw and train on."})
    phantom_seed: int = field(default=100, metadata={"help": "Of these; those it is scored on have the next one."})
    passes: int = field(default=10, metadata={"help": "How often each is seen, made worse in another way each time."})
    artefacts: bool = field(
        default=False, metadata={"help": "It also learns to say how badly pictures are damaged, as a rater does."}
    )
    pictures_folder: str | None = field(
        default=None, metadata={"help": "Where drawn pictures are kept and found again. Default: OUTPUT_DIR/pictures."}
    )


@dataclass
class RecipeArguments(ReportRecipeArguments):
    """Trainer's arguments with defaults for the judge."""

    output_dir: str = "runs/picture_judge"
    predict_with_generate: bool = False
    num_train_epochs: float = 1  # `passes` says how often
    evaluation_cases: int = field(default=1500, metadata={"help": "Held-out pictures that it is scored on."})
    compare_with: str | None = field(
        default=None, metadata={"help": "A judge trained apart, shipped or a folder: how often both say the same."}
    )
    clip_steps: int = field(default=1500, metadata={"help": "Of the model of pictures and words; 0: none."})
    clip_batch_size: int = 128
    clip_rate: float = 2e-3


def train(config: str | None, flags: list[str]) -> dict:
    """Train and return the last metrics; see `hf_medreport.training.run`."""
    model_arguments, data, arguments = read_arguments((ModelArguments, DataArguments, RecipeArguments), config, flags)
    check_arguments(data, arguments)
    asked = RunArguments("picture_judge", config, model_arguments, data, arguments)
    other = judge_to_compare(arguments.compare_with, model_arguments.image_size)
    set_seed(arguments.seed)
    asks = questions() | ({ARTEFACT: list(ARTEFACTS)} if data.artefacts else {})
    judge = PictureJudgeModel(PictureJudgeConfig(questions=asks, **vars(model_arguments)))
    drawn, held_out = pictures_of(asked)
    components = PatchComponents.fit(drawn.images[:1000])
    lay_out(judge, arguments.bf16, arguments.fp16)
    records = DamagedPictures if data.artefacts else WorsePictures
    trainer = ReportTrainer(
        model=judge,
        args=arguments,
        data_collator=default_collate,
        train_dataset=records(drawn, components, data.passes, arguments.seed),
    )
    metrics = fit(trainer, asked, [])
    words = train_words(drawn, asked) if arguments.clip_steps else None
    if not trainer.is_world_process_zero():
        return metrics
    folder = asked.output / arguments.model_name
    model = trainer.accelerator.unwrap_model(trainer.model)
    save_weights(model, image_processor(model_arguments.image_size), folder, arguments.half_precision_weights)
    evaluation = {
        "n": len(held_out),
        "seed": data.phantom_seed + 1,
        "command": asked.command,
        "weights": sum(parameter.numel() for parameter in model.parameters()),
        "kinds": score_judge(load_judge(folder), held_out, components),
    }
    if data.artefacts:
        evaluation["artefacts"] = score_artefacts(load_judge(folder), held_out.images)
    if other is not None:
        evaluation["compared"] = compared(load_judge(folder), other, held_out)
    if words is not None:
        save_half(*words, folder / CLIP)
        evaluation["clip"] = score_words(folder / CLIP, held_out)
    write_json(folder / "evaluation.json", evaluation)
    write_judge_card(folder, evaluation, asked)
    accuracies = {
        f"{kind}_{question}": round(score["accuracy"], 4)
        for kind, scores in evaluation["kinds"].items()
        for question, score in scores.items()
    }
    return metrics | accuracies | {"clip": evaluation.get("clip"), "model": str(folder)}


def judge_to_compare(name: str | None, size: int) -> Judge | None:
    """The judge that this one is compared with; refused before any work where it reads pictures of another size."""
    other = None if name is None else load_judge(name)
    if other is not None and other.size != size:
        found, expected = f"a judge of {other.size} px", f"one of {size} px, as `image_size` says"
        raise InputError("compare_with", found, expected, "give another")
    return other


def check_arguments(data: DataArguments, arguments: RecipeArguments) -> None:
    """Refuse, before any work, counts that train or score nothing."""
    for name, count in (("phantom_cases", data.phantom_cases), ("passes", data.passes)):
        if count < 1:
            raise InputError(name, str(count), "at least 1", "correct it")
    if arguments.evaluation_cases < 10:
        raise InputError("evaluation_cases", str(arguments.evaluation_cases), "at least 10", "correct it")
    if arguments.eval_strategy != "no":
        raise InputError("eval_strategy", str(arguments.eval_strategy), "no", "leave it out: it is scored at the end")


def pictures_of(asked: RunArguments) -> tuple[DrawnPictures, DrawnPictures]:
    """Those to train on, and those of other patients in held-out wordings."""
    data, size = asked.data, asked.model.image_size
    folder = Path(data.pictures_folder) if data.pictures_folder else asked.output / "pictures"
    train_set = PictureCorpus(data.phantom_cases, data.phantom_seed, size)
    test_set = PictureCorpus(asked.training.evaluation_cases, data.phantom_seed + 1, size, split="test")
    return cached_pictures(folder / "train", train_set), cached_pictures(folder / "test", test_set)


class WorsePictures(Dataset):
    """Drawn pictures, each `passes` times, made worse and moved in another way each time, with what they show.

    Record k depends on (seed, k) alone.
    """

    def __init__(self, drawn: DrawnPictures, components: PatchComponents, passes: int, seed: int):
        self.images, self.components, self.passes, self.seed = drawn.images, components, passes, seed
        self.labels = torch.from_numpy(labels_of(drawn.facts, questions()))
        self.shares = [CLEAN_SHARE, *[(1 - CLEAN_SHARE) / (len(KINDS) - 1)] * (len(KINDS) - 1)]

    def __len__(self) -> int:
        return self.passes * len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        image, row, _ = self.worse(index)
        return {"pixel_values": pixels_of(image[None])[0], "labels": self.labels[row]}

    def worse(self, index: int) -> tuple[np.ndarray, int, np.random.Generator]:
        """The picture of a record, the row that it was drawn from, and what further chance there is."""
        rng, row = np.random.default_rng((self.seed, index)), index % len(self.images)
        kind = KINDS[rng.choice(len(KINDS), p=self.shares)]
        return shifted(degraded(self.images[row], kind, self.components, rng), rng), row, rng


class DamagedPictures(WorsePictures):
    """The same, some of them with damage, and with one label more: how strong it is."""

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        image, row, rng = self.worse(index)
        level = int(rng.choice(len(ARTEFACTS), p=LEVEL_SHARES))
        if level:
            image = damaged(image, DAMAGES[rng.integers(len(DAMAGES))], ARTEFACTS[level], rng)
        labels = torch.cat([self.labels[row], torch.tensor([level])])
        return {"pixel_values": pixels_of(image[None])[0], "labels": labels}


def score_judge(judge: Judge, held_out: DrawnPictures, components: PatchComponents) -> dict[str, dict]:
    """{kind: its accuracy on held-out pictures made worse so}: what a generator's figures can reach at most."""
    scores = {}
    for kind in KINDS:
        rng = np.random.default_rng(0)
        images = np.stack([degraded(image, kind, components, rng) for image in held_out.images])
        scores[kind] = faithfulness(held_out.facts, judge.look(images).answers)
    return scores


def save_half(model, tokenizer, processor, folder: Path) -> None:
    """A model of transformers' own, in half precision: it needs no code."""
    model.half().save_pretrained(folder)
    for part in (tokenizer, processor):
        part.save_pretrained(folder)
