"""Does a model look at what it speaks of? Evidence maps of true sentences against the masks of their findings.

A sentence of a generated report counts if, read alone, it states a fact whose key (kind, side, zone, severity) is true
of the film. Its region is the patches that the masks of these facts touch. Two figures:

- pointing: share of the sentences whose map has its maximum in the region, or in a patch next to it (diagonals too):
  the pointing game of Zhang et al. (2016, arXiv 1608.00507) with a tolerance of one patch.
- mass: mean share of the map's sum that lies in the region itself, without tolerance.

A map of zeros counts as 0 in both. Beside each stand `chance`, what a map knowing nothing would get (the region's
share of the film's patches, widened by one patch for pointing), and `randomized`: the same sentences and films with
all trained weights but the segmenter's drawn anew (the sanity check of Adebayo et al., 2018, arXiv 1810.03292). A
map that does no better than either says nothing of what the model learned: the shape of the attention prior alone may
lift `randomized` above chance.
"""

import copy

import numpy as np
import torch
from scipy.ndimage import binary_dilation
from tqdm import tqdm

from hf_medreport.evaluation.phantom.labels import scored_labels
from hf_medreport.evaluation.significance import bootstrap_interval
from hf_medreport.inference.loading import model_name
from hf_medreport.phantom.chest.corpus import ChestCase, ChestCorpus
from hf_medreport.phantom.chest.findings import KINDS, Fact, observations
from hf_medreport.phantom.chest.parser import parse_report
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import system_of

__all__ = ["COUNTS", "evaluate_evidence", "evidence_counts", "evidence_table"]

FIGURES, SOURCES = ("pointing", "mass"), ("model", "randomized", "chance")
# The last axis of the counts.
COUNTS = ("sentences", *(f"{figure}.{source}" for figure in FIGURES for source in SOURCES))
# The axis before it. A sentence that states two kinds counts once in the first row and once for each of them.
ROWS = ("all", *KINDS)


def evidence_counts(
    pipe: MedicalReportPipeline,
    corpus: ChestCorpus,
    *,
    labels: str | None = None,
    batch_size: int = 25,
    weights_seed: int = 0,
    progress: bool = True,
) -> np.ndarray:
    """Sums over the true sentences of each film; for `bootstrap_interval` and `paired_randomisation`.

    Args:
        pipe: from `hf_medreport.inference.loading.load`; a model that has no segmenter is given the true masks.
        corpus: films at the model's image size; those without facts stay rows of zeros.
        labels: that the model is given, as in `phantom.evaluate_phantom`.
        batch_size: films a pass.
        weights_seed: of the randomized weights.

    Returns:
        (films, rows, counts), as in `ROWS` and `COUNTS`: sentences, and the sums of their figures.

    Raises:
        InputError: a model of pairs, whose maps lie on a cropped film and on a second one.
    """
    if system_of(pipe.model).reads == "pair":
        raise InputError(model_name(pipe), "a model of film pairs", "one of single films", "leave its evidence out")
    told = scored_labels(pipe, labels)
    random_model = randomized(pipe.model, weights_seed)
    counts = np.zeros((len(corpus), len(ROWS), len(COUNTS)))
    for start in tqdm(range(0, len(corpus), batch_size), desc="evidence of phantom films", disable=not progress):
        drawn = {index: corpus[index] for index in range(start, min(start + batch_size, len(corpus)))}
        cases = {index: case for index, case in drawn.items() if case.facts}
        if cases:
            sentences = _sentences(pipe, random_model, list(cases.values()), told)
            for (index, case), of_case in zip(cases.items(), sentences, strict=True):
                for text, maps in of_case:
                    _count_sentence(counts[index], case, text, maps)
    return counts


def evaluate_evidence(
    pipe: MedicalReportPipeline,
    *,
    n: int = 200,
    seed: int = 1,
    split: str = "test",
    prevalence: str = "balanced",
    labels: str | None = None,
    batch_size: int = 25,
    progress: bool = True,
) -> dict:
    """Score the evidence maps of a report model on phantom films whose findings' places are known.

    Args:
        pipe: from `hf_medreport.inference.loading.load`.
        n, seed, split, prevalence: of `ChestCorpus`; balanced by default, for a film without facts tells nothing here.
        labels: that the model is given, as in `phantom.evaluate_phantom`.
        batch_size: films a pass.

    Returns:
        `{"pointing": {"model", "randomized", "chance"}, "mass": {...}}` as the module says; the same with the number
        of `sentences` in `by_kind`; `intervals`: {"pointing.model": [low, high], ...}, the 95 % bootstrap over films;
        and `n`, `films` (with at least one true sentence), `sentences`, `seed`, `split`, `prevalence`, `model`, and the
        `command` that prints the same. A figure of no sentences is None.

    Raises:
        InputError: an unknown split or prevalence, or a number of films below 1.
    """
    size = pipe.processor.image_processor.size
    corpus = ChestCorpus(n=n, seed=seed, size=size, split=split, prevalence=prevalence)
    counts = evidence_counts(pipe, corpus, labels=labels, batch_size=batch_size, progress=progress)
    overall, *of_kinds = map(_figures, counts.sum(axis=0))
    intervals = {
        f"{figure}.{source}": bootstrap_interval(counts[:, 0], _share(f"{figure}.{source}"))
        for figure in FIGURES
        for source in ("model", "randomized")
    }
    flags = f"--n {n} --seed {seed} --split {split} --prevalence {prevalence}" + (f" --labels {labels}" * bool(labels))
    return {
        "n": n,
        "films": int(np.count_nonzero(counts[:, 0, 0])),
        **overall,
        "by_kind": dict(zip(KINDS, of_kinds, strict=True)),
        "intervals": {name: interval and list(interval) for name, interval in intervals.items()},
        "seed": seed,
        "split": split,
        "prevalence": prevalence,
        "model": model_name(pipe),
        "command": f"hf-medreport evaluate phantom --model {model_name(pipe)} {flags} --evidence --json",
    }


def evidence_table(evidence: dict) -> str:
    """The figures of `evaluate_evidence`, overall and by kind, as lines of text: model / randomized / chance."""
    lines = [f"{'evidence':24}{'sentences':12}{'pointing':24}mass (each: model / randomized / chance)"]
    for name, row in {"all": evidence, **evidence["by_kind"]}.items():
        if row["sentences"]:
            cells = (" / ".join(f"{row[figure][source]:.3f}" for source in SOURCES) for figure in FIGURES)
            lines.append(
                f"{name.replace('_', ' '):24}{row['sentences']:<12}" + "".join(f"{c:24}" for c in cells).rstrip()
            )
    return "\n".join(lines)


def randomized(model, seed: int):
    """A model of the same configuration with new weights; its segmenter, which no report trains, keeps its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = type(model)(copy.deepcopy(model.config))
    if getattr(twin, "segmenter", None) is not None:  # models of slides have none
        twin.segmenter.load_state_dict(model.segmenter.state_dict())
    return twin.to(device=model.device, dtype=model.dtype).eval()


def _sentences(
    pipe: MedicalReportPipeline, random_model, cases: list[ChestCase], labels: str | None
) -> list[list[tuple[str, dict[str, np.ndarray]]]]:
    """For each case the sentences of its generated report, each with its maps (rows, columns) by source."""
    films = [case.image for case in cases]
    if pipe.model.takes().get("mask") == "required":
        films = [{"frontal": case.image, "mask": case.lungs | case.heart} for case in cases]
    elif labels == "oracle":
        films = [{"frontal": case.image, "labels": observations(case.facts)} for case in cases]
    inputs = pipe.preprocess(films)
    outputs = pipe.forward(inputs, generate_kwargs={}, return_evidence=True)  # each (cases, 1, ...)
    with torch.no_grad():
        ids, sentence_of_token = (outputs[name][:, 0].to(pipe.device) for name in ("ids", "sentence_of_token"))
        inputs = {name: value.to(pipe.device) for name, value in inputs.items()}
        seen = random_model.see(**inputs, evidence=True)
        random_maps = random_model.sentence_evidence(ids, sentence_of_token, seen=seen)[1].cpu().numpy()
    found = []
    for index, of_case in enumerate(random_maps):
        record = pipe.postprocess({name: value[index : index + 1] for name, value in outputs.items()}, True)[0]
        pairs = zip(record["sentences"], of_case, strict=False)  # padded to the batch's longest report
        found.append([(one["text"], {"model": one["evidence"], "randomized": other}) for one, other in pairs])
    return found


def _count_sentence(counts: np.ndarray, case: ChestCase, text: str, maps: dict[str, np.ndarray]) -> None:
    """Add one sentence to a film's (rows, counts), if what it states is true."""
    stated = {one.key for one in parse_report(text) if isinstance(one, Fact)}
    facts = [fact for fact in case.facts if fact.key in stated]
    if not facts:
        return
    region = patches(np.any([case.findings[fact] for fact in facts], axis=0), maps["model"].shape)
    near = binary_dilation(region, np.ones((3, 3)))
    pointing = [*(_points_at(one, near) for one in maps.values()), near.mean()]
    mass = [*(_mass_in(one, region) for one in maps.values()), region.mean()]
    for row in {"all", *(fact.kind for fact in facts)}:
        counts[ROWS.index(row)] += [1, *pointing, *mass]


def patches(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """The patches, bool of the grid's shape, that a mask (height, width) touches."""
    touched = np.zeros(grid, dtype=bool)
    rows, columns = np.nonzero(mask)
    touched[rows * grid[0] // mask.shape[0], columns * grid[1] // mask.shape[1]] = True
    return touched


def _points_at(evidence: np.ndarray, region: np.ndarray) -> bool:
    return bool(evidence.any() and region.flat[evidence.argmax()])


def _mass_in(evidence: np.ndarray, region: np.ndarray) -> float:
    return float(evidence[region].sum() / evidence.sum()) if evidence.any() else 0.0


def _share(name: str):
    """The statistic of mean rows (..., counts): a figure's mean over sentences, nan without any."""

    def statistic(means: np.ndarray) -> np.ndarray:
        sums, sentences = means[..., COUNTS.index(name)], means[..., 0]
        return np.divide(sums, sentences, out=np.full_like(sums, np.nan), where=sentences > 0)

    return statistic


def _figures(sums: np.ndarray) -> dict:
    """The figures of one row of sums (counts,)."""
    sentences = int(sums[0])
    of = {name: float(value / sentences) if sentences else None for name, value in zip(COUNTS, sums, strict=True)}
    figures = {figure: {source: of[f"{figure}.{source}"] for source in SOURCES} for figure in FIGURES}
    return {"sentences": sentences, **figures}
