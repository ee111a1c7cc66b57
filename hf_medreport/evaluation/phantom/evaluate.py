"""Score a report model on drawn images of what it reads: one table, from what is read to what scores it."""

from dataclasses import dataclass

from hf_medreport.evaluation.phantom.keeping import Keeper, in_one_line
from hf_medreport.evaluation.phantom.labels import scored_labels
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import named, system_of

__all__ = ["check_options", "drawn_table", "evaluate_drawn"]


@dataclass(frozen=True)
class Scorer:
    """What scores models that read one kind of image, as `"module:function"`.

    Args:
        score, table: figures of drawn images, and their lines of text.
        evidence, evidence_table: the same of the evidence; None where it cannot be scored, and `no_evidence` says why.
        options: which of `size`, `mpp` and `labels` `score` takes; `evidence` takes them too.
        batched_evidence: whether `evidence` takes a batch size.
    """

    score: str
    table: str
    options: tuple[str, ...]
    evidence: str | None = None
    evidence_table: str | None = None
    batched_evidence: bool = False


FILMS, SLIDES = "hf_medreport.evaluation.phantom.films", "hf_medreport.evaluation.phantom.slides"
EVIDENCE, FAITHFULNESS = "hf_medreport.evaluation.phantom.evidence", "hf_medreport.evaluation.phantom.faithfulness"
SCORERS = {
    "film": Scorer(
        score=f"{FILMS}:evaluate_phantom",
        table=f"{FILMS}:score_table",
        options=("labels",),
        evidence=f"{EVIDENCE}:evaluate_evidence",
        evidence_table=f"{EVIDENCE}:evidence_table",
        batched_evidence=True,
    ),
    # The maps of a pair lie on the cropped film and on a second one: no evidence.
    "pair": Scorer(score=f"{FILMS}:evaluate_phantom", table=f"{FILMS}:score_table", options=("labels",)),
    "slide": Scorer(
        score=f"{SLIDES}:evaluate_slides",
        table=f"{SLIDES}:slide_score_table",
        options=("size", "mpp"),
        evidence=f"{FAITHFULNESS}:evaluate_faithfulness",
        evidence_table=f"{FAITHFULNESS}:faithfulness_table",
    ),
}


def evaluate_drawn(
    pipe: MedicalReportPipeline,
    *,
    evidence: bool = False,
    prevalence: str | None = None,
    batch_size: int = 50,
    progress: bool = True,
    run: Keeper | None = None,
    **options,
) -> dict:
    """The figures of a model on drawn images of what it reads, with its baselines; with `evidence` that is scored too.

    Args:
        pipe: from `hf_medreport.inference.loading.load`.
        evidence: score where each sentence came from, on balanced findings unless told otherwise.
        prevalence: `"natural"` or `"balanced"`; None is the split's.
        batch_size: images a pass.
        run: keeps what is written of each image, so that a run that ends early goes on behind it; evidence and other
            tasks are done anew.
        options: `n`, `seed`, `split` of the corpus, and those that the kind of image has, see `check_options`.

    Raises:
        InputError: as `check_options`, or what the corpus refuses.
        CaseError: the model fails on some image, see `keeping.written_of`.
    """
    check_options(pipe, evidence=evidence, **options)
    scorer = SCORERS[system_of(pipe.model).reads]
    options = {name: value for name, value in options.items() if value is not None} | {"progress": progress}
    scores = named(scorer.score)(pipe, **options, prevalence=prevalence, batch_size=batch_size, run=run)
    if evidence:
        batches = {"batch_size": batch_size} if scorer.batched_evidence else {}
        score = named(scorer.evidence)
        with in_one_line("evidence"):
            scores["evidence"] = score(pipe, **options, **batches, prevalence=prevalence or "balanced")
    return scores


def check_options(pipe: MedicalReportPipeline, *, evidence: bool = False, **options) -> None:
    """InputError for evidence that cannot be scored, labels that the model cannot be scored with, or options of another
    kind of image: `size` and `mpp` are of slides, `labels` of films."""
    scorer = SCORERS[system_of(pipe.model).reads]
    scored_labels(pipe, options.get("labels"))
    if evidence and scorer.evidence is None:
        raise InputError("evidence", "a model of film pairs", "one of single films or slides", "leave it out")
    for name in ("size", "mpp"):
        if options.get(name) is not None and name not in scorer.options:
            found = f"{options[name]:g} for a model of films"
            raise InputError(name, found, "none", "leave it out: films are drawn at the model's size")


def drawn_table(pipe: MedicalReportPipeline, scores: dict) -> str:
    """The figures of `evaluate_drawn`, and of the baselines beside them, as lines of text."""
    row = system_of(pipe.model)
    scorer = SCORERS[row.reads]
    tables = [named(scorer.table)(scores)]
    if "tasks" in scores:
        tables.append(named(row.tasks[1])(scores["tasks"]))
    if "evidence" in scores:
        tables.append(named(scorer.evidence_table)(scores["evidence"]))
    return "\n\n".join(tables)
