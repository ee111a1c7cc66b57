"""The run of a recipe that learns from ratings: read and split them, train, fit the scores, save, score, write a card.

A system's own recipe says how its model is built. Whatever trained it, by `calibration` ratings the scores are made
probabilities: logit -> a * logit + b, of least cross-entropy. Ratings weigh more the higher they are, which lifts every
score, and pairs say nothing of the level at all. The line is folded into the last layer.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPProcessor, ViTImageProcessorPil, set_seed

from hf_medreport.data.ratings.pairs import pairs_of
from hf_medreport.data.ratings.table import Rating, read_ratings, refuse_one_class
from hf_medreport.evaluation.pictures.reward_models import RewardModel, load_reward
from hf_medreport.files.writing import write_json
from hf_medreport.processing.input_error import InputError
from hf_medreport.training.precision import lay_out
from hf_medreport.training.recipe import RunArguments, fit, save_weights
from hf_medreport.training.reward_models.arguments import RewardModelArguments
from hf_medreport.training.reward_models.card import write_reward_card
from hf_medreport.training.reward_models.figures import among_raters, reward_figures
from hf_medreport.training.reward_models.rated_pictures import (
    PairBatches,
    Parts,
    RatingBatches,
    RatingRecords,
    read_pictures,
    split,
)
from hf_medreport.training.reward_models.trainers import RatingTrainer

__all__ = ["calibrate", "go_on_from", "train_on_ratings"]

# Of a ViT: what an adapter is put on; the head is trained as it is.
LORA_LAYERS = r"vision\.layers\..*(q_proj|k_proj|v_proj|o_proj|fc1|fc2)"
SLOPES = (0.02, 50.0)  # of a fitted line


def train_on_ratings(asked: RunArguments, build: Callable[[], tuple]) -> dict:
    """Train, and return the last metrics, the figures and the folder as `model`.

    Args:
        asked: with the three dataclasses of `arguments`, checked.
        build: makes (model, tokenizer); the tokenizer is None of a model that reads no prompt.
    """
    data, arguments = asked.data, asked.training
    set_seed(arguments.seed)
    model, tokenizer = build()
    table = read_ratings(data.ratings, image_root=data.image_root)
    size = model.config.vision_config.image_size
    pictures = read_pictures([rating.image for rating in table.ratings], size)
    ratings = [rating for rating in table.ratings if rating.image in pictures]
    parts = split(ratings, data.held_out, data.calibration, data.held_out_raters, data.split_seed)
    refuse_one_class(parts.train)
    if arguments.lora_rank:
        model = _adapted(model, arguments.lora_rank)
    lay_out(model, arguments.bf16, arguments.fp16)
    trainer = _trainer(asked, model, tokenizer, parts, pictures)
    metrics = fit(trainer, asked, [Path(data.ratings)])
    if not trainer.is_world_process_zero():
        return metrics
    model = trainer.accelerator.unwrap_model(trainer.model)
    model = (model.merge_and_unload() if arguments.lora_rank else model).float().eval()
    if parts.calibration:
        calibrate(RewardModel(model, tokenizer, arguments.model_name), parts.calibration, pictures)
    folder = asked.output / arguments.model_name
    save_weights(model, processor_of(size, tokenizer), folder, arguments.half_precision_weights)
    evaluation = evaluate(load_reward(folder), parts, pictures) | {
        "command": asked.command,
        "method": arguments.method,
        "problems": len(table.problems) + len(table.ratings) - len(ratings),
    }
    write_json(folder / "evaluation.json", evaluation)
    write_reward_card(folder, evaluation, asked)
    told = {name: evaluation["model"][name] for name in ("auc", "pairwise", "calibration_error")}
    return metrics | (told if parts.held_out else {}) | {"model": str(folder)}


def go_on_from(asked: RewardModelArguments, model_type: str, settings: dict) -> RewardModel:
    """A trained model to go on from, on the processor.

    Args:
        asked: whose `model` names it.
        model_type: the system that it must be of.
        settings: fields of its configuration that are given anew.

    Raises:
        InputError: none, or one of another system.
    """
    reward = load_reward(asked.model, "cpu")
    if reward.kind != model_type:
        found = f"a {reward.kind} in {Path(asked.model).name}"
        raise InputError("model", found, f"a {model_type}", "name another folder")
    config = type(reward.model.config).from_dict({**reward.model.config.to_dict(), **settings})
    reward.model.config.update({name: getattr(config, name) for name in settings})  # checked by the line above
    return reward


def processor_of(size: int, tokenizer):
    """What turns pictures of any size into (3, size, size) in [0, 1], and prompts into tokens."""
    side = {"height": size, "width": size}
    pictures = ViTImageProcessorPil(size=side, do_normalize=False, do_convert_rgb=True)
    return pictures if tokenizer is None else CLIPProcessor(pictures, tokenizer)


def _adapted(model, rank: int):
    from peft import LoraConfig, get_peft_model

    targets = {"target_modules": LORA_LAYERS, "modules_to_save": ["hidden", "score"]}
    return get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, **targets))


def _trainer(asked: RunArguments, model, tokenizer, parts: Parts, pictures: dict[Path, np.ndarray]):
    data, arguments = asked.data, asked.training
    length = 0 if tokenizer is None else model.config.max_text_tokens
    if arguments.method == "pairs":
        from hf_medreport.training.reward_models.pairs import pair_trainer  # imports TRL

        pairs = pairs_of(parts.train, most=data.most_pairs, seed=arguments.seed)
        batches = PairBatches(pairs, pictures, data.shift, arguments.seed, tokenizer, length)
        return pair_trainer(model, batches, data.passes, arguments)
    return RatingTrainer(
        model=model,
        args=arguments,
        data_collator=RatingBatches(tokenizer, length),
        train_dataset=RatingRecords(parts.train, pictures, data.passes, data.shift, arguments.seed),
    )


def scores_of(
    reward: RewardModel, ratings: list[Rating], pictures: dict[Path, np.ndarray], prompts: list[Rating] | None = None
) -> np.ndarray:
    """The score of each rated picture with its prompt, or with those of other ratings: float32 (n,)."""
    prompts = ratings if prompts is None else prompts
    images = np.stack([pictures[rating.image] for rating in ratings])
    return reward.score(images, [one.prompt for one in prompts], [one.modality for one in prompts])


def calibrate(reward: RewardModel, ratings: list[Rating], pictures: dict[Path, np.ndarray]) -> tuple[float, float]:
    """Fold the line of least cross-entropy from logits to ratings into the model's last layer; returns its two numbers.

    Platt, 1999, "Probabilistic outputs for support vector machines", with ratings as shares. A line that would fall is
    left flat: order is never turned round.
    """
    images = np.stack([pictures[rating.image] for rating in ratings])
    prompts, modalities = [rating.prompt for rating in ratings], [rating.modality for rating in ratings]
    outputs = reward.outputs(images, prompts, modalities, 100)
    logits = torch.cat([output.logits[:, 0] for output in outputs]).double().cpu()
    wanted = torch.tensor([rating.normalized for rating in ratings], dtype=torch.float64)
    spread = float(logits.std(correction=0).clamp(min=1e-6))
    line = torch.tensor([0.0, 0.0], dtype=torch.float64, requires_grad=True)  # log of the slope a spread, and level
    middle = float(logits.mean())
    optimizer = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        optimizer.zero_grad()
        fitted = line[0].exp() * (logits - middle) / spread + line[1]
        value = torch.nn.functional.binary_cross_entropy_with_logits(fitted, wanted)
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    slope = float(np.clip(line[0].exp().item() / spread, *SLOPES))
    level = line[1].item() - slope * middle
    with torch.no_grad():
        reward.model.score.weight.mul_(slope)
        reward.model.score.bias.mul_(slope).add_(level)
    return slope, level


def evaluate(reward: RewardModel, parts: Parts, pictures: dict[Path, np.ndarray], seed: int = 0) -> dict:
    """The figures on held-out prompts, beside a constant and a model that sees or reads something else.

    Blinded is a policy whose prompts, and a selector whose pictures are shuffled.
    """
    weights = {"weights": sum(parameter.numel() for parameter in reward.model.parameters())}
    counts = {name: len(getattr(parts, name)) for name in ("train", "calibration", "held_out")}
    if not parts.held_out:
        return {"ratings": counts, "n": 0, "model": dict.fromkeys(("auc", "pairwise", "calibration_error"))} | weights
    ratings, rng = parts.held_out, np.random.default_rng(seed)
    scores = scores_of(reward, ratings, pictures)
    shuffled = rng.permutation(len(ratings))
    if reward.tokenizer is None:
        blinded = scores[shuffled]
    else:
        blinded = scores_of(reward, ratings, pictures, [ratings[number] for number in shuffled])
    mean = float(np.mean([rating.normalized for rating in parts.train]))
    images = np.stack([pictures[rating.image] for rating in ratings])
    return {
        "ratings": counts,
        "n": len(ratings),
        "prompts": len({rating.prompt for rating in ratings}),
        "rejected_by_gates": float(1 - reward.passes(images).mean()),
        "model": reward_figures(scores, ratings),
        "constant": reward_figures(np.full(len(ratings), mean), ratings),
        "blinded": reward_figures(blinded, ratings),
        "among_raters": among_raters(ratings),
        "reads_prompts": reward.tokenizer is not None,
    } | weights
