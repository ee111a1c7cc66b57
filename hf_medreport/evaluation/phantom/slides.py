"""Score a slide model on drawn slides whose truth is known, beside two reporters that see nothing.

`constant_report` says of every slide what is most frequent among these very slides, field by field: the best that a
report without a slide can do. `blinded` is the model itself, shown noise in place of each bag of features. A model's
figure says how well it sees only beside these.
"""

from collections import Counter
from collections.abc import Iterator
from functools import cache, partial

import numpy as np

from hf_medreport.data.drawn.bags import each_case, tiles_of
from hf_medreport.evaluation.phantom.films import score_table
from hf_medreport.evaluation.phantom.keeping import Keeper, written_of
from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.inference.loading import model_name
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.phantom.slide.findings import FIELDS, SlideFacts
from hf_medreport.phantom.slide.parser import parse_slide_report
from hf_medreport.phantom.slide.score import measure_slides, slide_counts, slide_figures
from hf_medreport.processing.feature_files import PatchFeatures
from hf_medreport.processing.feature_origin import made_with
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline

__all__ = ["INTERVALS", "constant_facts", "evaluate_slides", "slide_bags", "slide_score_table"]

SIZE, MPP = 2048, 1.0  # of a drawn slide: what the shipped model was trained on
TILES_A_PASS = 64
# The figures that get an interval.
INTERVALS = ("exact.f1", "diagnosis_accuracy", "grade_accuracy", "number_exactness", "size_error_cm")
INTERVALS += ("hallucination_rate",)
# The figures that `slide_score_table` shows.
SHOWN = (
    *(f"exact.{name}" for name in ("precision", "recall", "f1", "macro.f1")),
    *("diagnosis_accuracy", "grade_accuracy", "number_exactness", "size_exact", "nodes_exact"),
    *("size_error_cm", "mitoses_error", "hallucination_rate"),
    *(f"exact.by_field.{field}.f1" for field in FIELDS),
)


def slide_bags(
    pipe: MedicalReportPipeline, corpus: SlideCorpus, workers: int | None = None, progress: bool = True
) -> Iterator[PatchFeatures]:
    """Draw and tile slides in other processes and encode them in this one, in the order of the corpus.

    Args:
        pipe: from `hf_medreport.inference.loading.load`; its processor tiles and encodes.
        corpus: the slides.
        workers: processes that draw; None is one a core, 1 draws in this process.

    Yields:
        features (tiles, width), coordinates, and in `info` the tiles' side, `level0_px`, and what made them.
    """
    encoder, settings = pipe.processor.patch_encoder, pipe.processor.image_processor
    info = made_with(encoder.revision, settings, settings.mpp or corpus.mpp)
    encoder.model.to(pipe.device)
    drawn = each_case(corpus, partial(_tiles, settings=settings), workers, "drawing slides" if progress else None)
    for tiles, coordinates, side in drawn:
        parts = np.split(tiles, range(TILES_A_PASS, len(tiles), TILES_A_PASS))
        features = np.concatenate([encoder.encode(part, settings) for part in parts])
        yield PatchFeatures(features, coordinates, {**info, "level0_px": str(side)})


def _tiles(corpus: SlideCorpus, index: int, settings: TileImageProcessor) -> tuple[np.ndarray, np.ndarray, int]:
    """Tiles of a slide in the encoder's size, where they lie, and their side in level-0 px; runs in a worker."""
    tiles, coordinates, side = tiles_of(corpus[index], settings)
    return np.stack([settings.resized(tile) for tile in tiles]), coordinates, side


def noise_bags(bags: list[PatchFeatures], seed: int) -> Iterator[PatchFeatures]:
    """For each bag as many patches of noise, each feature with its mean and deviation over all bags together.

    A bag's own mean would tell: averaged features name the organ.
    """
    patches = np.concatenate([bag.features for bag in bags])
    mean, deviation = patches.mean(axis=0), patches.std(axis=0)
    for index, bag in enumerate(bags):
        noise = np.random.default_rng((seed, index)).normal(mean, deviation, bag.features.shape)
        yield PatchFeatures(noise.astype(np.float32), bag.coordinates, bag.info)


def constant_facts(truth: list[SlideFacts]) -> frozenset[tuple[str, object]]:
    """The most frequent value of each field, over the slides that have it; of equally frequent ones the first met."""
    values = {field: Counter() for field in FIELDS}
    for facts in truth:
        for field, value in facts.facts:
            values[field][value] += 1
    return frozenset((field, counter.most_common(1)[0][0]) for field, counter in values.items() if counter)


def evaluate_slides(
    pipe: MedicalReportPipeline,
    *,
    n: int = 100,
    seed: int = 1,
    split: str = "test",
    prevalence: str | None = None,
    size: int = SIZE,
    mpp: float = MPP,
    batch_size: int = 25,
    workers: int | None = None,
    progress: bool = True,
    run: Keeper | None = None,
) -> dict:
    """Facts that a model states in its reports of drawn slides, against the facts that these were drawn from.

    Args:
        pipe: from `hf_medreport.inference.loading.load`, with a model that reads slides and its patch encoder.
        n, seed, split, prevalence, size, mpp: of `SlideCorpus`.
        batch_size: bags a pass.
        workers: processes that draw; None is one a core.
        run: keeps what was written of each slide, and knows what an earlier run has written. Features are not kept:
            where one slide is left, all are drawn and encoded again, for noise is drawn like all of them together.

    Returns:
        the figures of `score_slides` and `intervals`: {figure: [low, high]}, the 95 % percentile bootstrap over slides
        (1,000 resamples), None where the figure is. Beside them `seed`, `split`, `prevalence`, `size`, `mpp`, `model`,
        the `command` that prints the same, and the same figures with intervals of `blinded` (the model shown noise) and
        `constant_report` (of each field the most frequent value among these slides).

    Raises:
        InputError: an argument out of range, no patch encoder, or slides too small for a tile.
        CaseError: the model fails on some slide, see `keeping.written_of`.
    """
    corpus = SlideCorpus(n, seed, size, mpp, split, prevalence)
    truth = [corpus[index].facts for index in range(n)]

    @cache
    def bags() -> dict[str, list[PatchFeatures]]:
        shown = list(slide_bags(pipe, corpus, workers, progress))
        return {"model": shown, "blinded": list(noise_bags(shown, seed))}

    def write(indices: list[int]) -> list[dict]:
        texts = [_report(pipe, [shown[index] for index in indices]) for shown in bags().values()]
        return [dict(zip(bags(), of_slide, strict=True)) for of_slide in zip(*texts, strict=True)]

    passes = (range(start, min(start + batch_size, n)) for start in range(0, n, batch_size))
    written = [record for indices in passes for record in written_of(indices, write, run)]
    stated = {name: [parse_slide_report(of[name]) for of in written] for name in ("model", "blinded")}
    stated["constant_report"] = [constant_facts(truth)] * n
    scores = {reporter: _scores(slide_counts(pairs, truth)) for reporter, pairs in stated.items()}
    flags = f"--n {n} --seed {seed} --split {split}" + (f" --prevalence {prevalence}" if prevalence else "")
    flags += (f" --size {size}" if size != SIZE else "") + (f" --mpp {mpp:g}" if mpp != MPP else "")
    return {
        **scores.pop("model"),
        "seed": seed,
        "split": split,
        "prevalence": corpus.prevalence,
        "size": size,
        "mpp": mpp,
        "model": model_name(pipe),
        "command": f"hf-medreport evaluate phantom --model {model_name(pipe)} {flags} --json",
        **scores,
    }


def _report(pipe: MedicalReportPipeline, bags: list[PatchFeatures]) -> list[str]:
    """What the model writes of each bag."""
    return [record["generated_text"] for (record,) in pipe([{"slides": [bag]} for bag in bags], batch_size=len(bags))]


def _scores(counts: np.ndarray) -> dict:
    """`score_slides` of counted slides, with intervals."""
    intervals = {
        name: bootstrap_interval(counts, lambda means, name=name: measure_slides(means, name)) for name in INTERVALS
    }
    return {
        "n": len(counts),
        **slide_figures(counts.sum(axis=0)),
        "intervals": {name: interval and list(interval) for name, interval in intervals.items()},
    }


def slide_score_table(scores: dict) -> str:
    """The figures of `evaluate_slides`, and of its baselines beside them, as lines of text."""
    return score_table(scores, SHOWN, "slides")
