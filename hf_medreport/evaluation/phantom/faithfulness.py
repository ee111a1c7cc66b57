"""Do the tiles that evidence names matter to the report, and do they show what it speaks of? Asked of drawn slides.

- deletion: the total log-probability of a report falls by so much when the tenth of the tiles with the most evidence
  (summed over the sentences) is taken out of the bag, against a random tenth (mean of several draws). Evidence
  that does no more than chance names tiles that do not matter (Samek et al., 2017, arXiv 1509.06321).
- tumor: the share of the evidence of sentences that state the true diagnosis of a tumor that lies on tiles of which
  more than half is tumor, against the share of such tiles in the bag.

Beside the model stands `randomized` in both: the evidence that a model of random weights gives for the same report
(Adebayo et al., 2018, arXiv 1810.03292); its tiles are taken from the trained model's bag.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from hf_medreport.evaluation.phantom.evidence import randomized
from hf_medreport.evaluation.phantom.slides import MPP, SIZE, slide_bags
from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.inference.loading import model_name
from hf_medreport.phantom.counting import ratio
from hf_medreport.phantom.slide.corpus import SlideCase, SlideCorpus
from hf_medreport.phantom.slide.findings import BENIGN
from hf_medreport.phantom.slide.parser import parse_slide_report
from hf_medreport.processing.feature_files import PatchFeatures
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline

__all__ = ["evaluate_deletion", "evaluate_faithfulness", "faithfulness_table", "tumor_mass"]

MOSTLY = 0.5  # of a tile must be tumor for it to count as one
SOURCES = ("model", "randomized", "chance")


@dataclass(frozen=True)
class Explained:
    """A report of one bag and which tiles spoke for it.

    Attributes:
        features: (1, tiles, width).
        ids: (1, text) of the report, the start token first.
        sentences: their texts.
        evidence, randomized: (sentences, tiles), of the model and of one of random weights.
    """

    features: torch.Tensor
    ids: torch.Tensor
    sentences: list[str]
    evidence: np.ndarray
    randomized: np.ndarray


def explain(pipe: MedicalReportPipeline, bag: PatchFeatures, random_model) -> Explained:
    """Report a bag, with both models' evidence for that report."""
    outputs = pipe.forward(pipe.preprocess({"slides": [bag]}), generate_kwargs={}, return_evidence=True)
    ids, sentence_of_token = (outputs[name][:, 0].to(pipe.device) for name in ("ids", "sentence_of_token"))
    features = torch.as_tensor(np.asarray(bag.features, np.float32), device=pipe.device)[None]
    _, of_random = random_model.sentence_evidence(ids, sentence_of_token, patch_features=features)
    evidence = outputs["evidence"][0, 0].numpy()  # (1, 1, sentences, tiles) -> (sentences, tiles)
    sentences = [sentence["text"] for sentence in pipe.postprocess(outputs, True)[0]["sentences"]]
    return Explained(features, ids, sentences, evidence, of_random[0].cpu().numpy())


@torch.inference_mode()
def log_probabilities(model, features: torch.Tensor, ids: torch.Tensor) -> np.ndarray:
    """Total natural log-probability of one report for each of several bags.

    Args:
        features: (bags, tiles, width).
        ids: (1, text), the start token first.
    """
    labels = ids[:, 1:].expand(len(features), -1)
    logits = model(patch_features=features, labels=labels).logits.float()
    return logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0].sum(-1).cpu().numpy()


def drops(model, explained: Explained, share: float, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How far the log-probability falls without some tiles: (3,), by evidence, by random weights' evidence, at random.

    Where several tiles have equal evidence, or none has any, the first are taken.
    """
    tiles = explained.features.shape[1]
    count = min(tiles - 1, max(1, round(share * tiles)))
    deleted = [
        np.argsort(-evidence.sum(axis=0), kind="stable")[:count]
        for evidence in (explained.evidence, explained.randomized)
    ]
    deleted += [rng.choice(tiles, count, replace=False) for _ in range(draws)]
    kept = torch.as_tensor(np.stack([np.delete(np.arange(tiles), gone) for gone in deleted]))  # (bags, tiles left)
    whole = log_probabilities(model, explained.features, explained.ids)
    fall = whole - log_probabilities(model, explained.features[0, kept.to(explained.features.device)], explained.ids)
    return np.array([fall[0], fall[1], fall[2:].mean()])


def evaluate_deletion(
    pipe: MedicalReportPipeline, bags: Iterable[PatchFeatures], *, share: float = 0.1, draws: int = 5, seed: int = 0
) -> dict:
    """The deletion test over bags; those of a single tile are left out.

    Args:
        pipe: from `hf_medreport.inference.loading.load`, with a model that reads slides.
        share: of a bag's tiles, deleted; one tile at least.
        draws: random sets of tiles a bag.
        seed: of these and of the random weights.

    Returns:
        mean falls of the log-probability (in nats): `top` (the tiles of the most evidence), `random`, `randomized`;
        `difference` = top - random with its `interval`, the 95 % bootstrap over slides; `n` slides.

    Raises:
        InputError: no bag of two tiles or more, a share outside (0, 1), or no draw.
    """
    _check_deletion(share, draws)
    random_model, rng = randomized(pipe.model, seed), np.random.default_rng(seed)
    rows = [
        drops(pipe.model, explain(pipe, bag, random_model), share, draws, rng) for bag in bags if len(bag.features) > 1
    ]
    return _deletion(rows)


def _check_deletion(share: float, draws: int) -> None:
    if not 0 < share < 1:
        raise InputError("share", f"{share:g}", "a share between 0 and 1", "0.1 deletes a tenth of the tiles")
    if draws < 1:
        raise InputError("draws", str(draws), "at least 1", "5 are usual")


def _deletion(rows: list[np.ndarray]) -> dict:
    if not rows:
        raise InputError("bags", "none of two tiles or more", "at least one", "give larger slides")
    top, of_random, at_random = np.stack(rows).T
    return {
        "n": len(rows),
        "top": float(top.mean()),
        "random": float(at_random.mean()),
        "randomized": float(of_random.mean()),
        "difference": float((top - at_random).mean()),
        "interval": list(bootstrap_interval(top - at_random)),
    }


def tumor_mass(case: SlideCase, bag: PatchFeatures, explained: Explained) -> np.ndarray:
    """Sums over the sentences that state a slide's true diagnosis: how many, and what of each lies on tumor.

    Returns:
        (4,): sentences, then the evidence on tumor of the model, of random weights, and by chance (the tiles' share).
        Zeros where the slide has no tumor, or no tile that is mostly tumor.
    """
    counts, diagnosis = np.zeros(1 + len(SOURCES)), ("diagnosis", case.facts.diagnosis)
    if case.facts.diagnosis == BENIGN:
        return counts
    side, size = int(bag.info["level0_px"]), case.size
    corners = bag.coordinates.tolist()
    shares = [case.drawing.truth(x, y, min(side, size - x), min(side, size - y))["tumor"] for x, y in corners]
    on_tumor = np.array(shares) > MOSTLY
    if not on_tumor.any():
        return counts
    for sentence, text in enumerate(explained.sentences):
        if diagnosis in parse_slide_report(text):
            masses = [maps[sentence][on_tumor].sum() for maps in (explained.evidence, explained.randomized)]
            counts += [1, *masses, on_tumor.mean()]
    return counts


def evaluate_faithfulness(
    pipe: MedicalReportPipeline,
    *,
    n: int = 100,
    seed: int = 1,
    split: str = "test",
    prevalence: str = "balanced",
    size: int = SIZE,
    mpp: float = MPP,
    share: float = 0.1,
    draws: int = 5,
    workers: int | None = None,
    progress: bool = True,
) -> dict:
    """Both tests on drawn slides.

    Args:
        pipe: from `hf_medreport.inference.loading.load`, with a model that reads slides and its patch encoder.
        n, seed, split, prevalence, size, mpp: of `SlideCorpus`; balanced by default, for a slide without tumor tells
            little here.
        share, draws: of `evaluate_deletion`.
        workers: processes that draw; None is one a core.

    Returns:
        `deletion`: as `evaluate_deletion` returns it; `tumor`: {"model", "randomized", "chance"}, the number of
        `sentences` and `slides` that these are means of, and `interval`, the 95 % bootstrap over slides of model -
        chance; None where no sentence states a true diagnosis of a tumor. Beside them `n`, `seed`, `split`,
        `prevalence`, `model` and the `command` that prints the same.

    Raises:
        InputError: an argument out of range, no patch encoder, or slides too small for a tile.
    """
    _check_deletion(share, draws)
    corpus = SlideCorpus(n, seed, size, mpp, split, prevalence)
    random_model, rng = randomized(pipe.model, 0), np.random.default_rng(0)
    falls, masses = [], []
    for index, bag in enumerate(slide_bags(pipe, corpus, workers, progress)):
        explained = explain(pipe, bag, random_model)
        if len(bag.features) > 1:
            falls.append(drops(pipe.model, explained, share, draws, rng))
        masses.append(tumor_mass(corpus[index], bag, explained))
    flags = f"--n {n} --seed {seed} --split {split} --prevalence {prevalence}"
    flags += (f" --size {size}" if size != SIZE else "") + (f" --mpp {mpp:g}" if mpp != MPP else "")
    return {
        "deletion": _deletion(falls),
        "tumor": _tumor(np.stack(masses)),
        "n": n,
        "seed": seed,
        "split": split,
        "prevalence": prevalence,
        "model": model_name(pipe),
        "command": f"hf-medreport evaluate phantom --model {model_name(pipe)} {flags} --evidence --json",
    }


def _tumor(masses: np.ndarray) -> dict:
    """Means over sentences of (slides, 4) sums."""
    sentences = masses[:, 0].sum()
    means = [float(total / sentences) if sentences else None for total in masses[:, 1:].sum(axis=0)]
    interval = bootstrap_interval(masses, lambda rows: ratio(rows[..., 1] - rows[..., 3], rows[..., 0]))
    return {
        **dict(zip(SOURCES, means, strict=True)),
        "interval": interval and list(interval),
        "sentences": int(sentences),
        "slides": int(np.count_nonzero(masses[:, 0])),
    }


def faithfulness_table(scores: dict) -> str:
    """The figures of `evaluate_faithfulness` as lines of text."""
    deletion, tumor = scores["deletion"], scores["tumor"]
    low, high = deletion["interval"]
    falls = " / ".join(f"{deletion[name]:.3f}" for name in ("top", "random", "randomized"))
    lines = [
        f"{'deletion':24}fall of log-probability: top tenth of the tiles / random tenth / random weights' tenth",
        f"{deletion['n']:>4} slides{'':13}{falls}, top - random {deletion['difference']:.3f} [{low:.3f}, {high:.3f}]",
        f"{'evidence on tumor':24}sentences of the diagnosis: model / random weights / chance",
    ]
    if tumor["sentences"]:
        low, high = tumor["interval"]
        shares = " / ".join(f"{tumor[source]:.3f}" for source in SOURCES)
        lines.append(f"{tumor['sentences']:>4} sentences{'':10}{shares}, model - chance [{low:.3f}, {high:.3f}]")
    else:
        lines.append(f"{0:>4} sentences{'':10}undefined")
    return "\n".join(lines)
