"""Does layer-wise anatomical attention help? none, soft and strict priors on the phantom, three seeds each.

    python benchmarks/ablation.py run             # every run that has no result yet; stop and start it at any time
    python benchmarks/ablation.py summarise       # the table and the plot, from the committed results

Every run trains by examples/anatomical_ablation.yaml; only `mask_mode` and `seed` differ. Runs of one seed share the
warmed-up encoder and segmenter, so that they differ in the prior alone. A soft run is scored a second time with
`legacy_decode`, which loses the prior in generation as the published code does. Each result is one JSON in
results/ablation/; scores are on films that no run has seen. The p-values are paired approximate randomisation over
the films, counts summed over seeds, against "none" (legacy_decode: against soft), corrected by Holm.
"""

import json
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from hf_medreport.evaluation.evidence import COUNTS as EVIDENCE
from hf_medreport.evaluation.evidence import evidence_counts
from hf_medreport.evaluation.phantom import phantom_counts
from hf_medreport.evaluation.significance import bootstrap_interval, holm, paired_randomisation
from hf_medreport.inference.loading import load
from hf_medreport.phantom.corpus import ChestCorpus
from hf_medreport.phantom.score import measure
from hf_medreport.training import run as train

MODES, SEEDS = ("none", "soft", "strict"), (0, 1, 2)
CONFIG = "examples/anatomical_ablation.yaml"
RESULTS = Path(__file__).parent / "results" / "ablation"
PICTURE = Path(__file__).parent.parent / "examples" / "pictures" / "ablation.png"
# Films for the facts (natural prevalence) and for the evidence (balanced), both of the test split.
FACT_FILMS, EVIDENCE_FILMS, FILM_SEED = 500, 100, 1
ROWS = (*MODES, "soft, legacy_decode")
FIGURES = ("exact.f1", "kind.f1", "wrong_side_rate", "hallucination_rate")
PLACES = ("pointing.model", "mass.model")

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__.splitlines()[0])


@app.command()
def run(runs: Annotated[Path, typer.Option(help="Folder for the trainings.")] = Path("runs/ablation")):
    """Train and score what has no result yet."""
    for seed in SEEDS:
        for mode in MODES:
            result = RESULTS / f"{mode}-{seed}.json"
            if result.exists():
                continue
            output, start = runs / f"{mode}-{seed}", time.monotonic()
            flags = ["--mask_mode", mode, "--seed", str(seed), "--output_dir", str(output)]
            flags += ["--warm_up_folder", str(runs / "warm-up"), "--resume_from_checkpoint", "true"]
            trained = train("anatomical", CONFIG, flags)
            seconds = time.monotonic() - start
            pipe = load(trained["model"])
            content = {"mode": mode, "seed": seed, "training_seconds": round(seconds), **scores(pipe)}
            if mode == "soft":
                pipe.model.config.legacy_decode = True
                content["legacy_decode"] = scores(pipe)
            RESULTS.mkdir(parents=True, exist_ok=True)
            unfinished = result.with_suffix(".part")
            unfinished.write_text(json.dumps(content) + "\n", encoding="utf-8")
            unfinished.rename(result)
            print(result, file=sys.stderr)


def scores(pipe) -> dict:
    """Counts a film: of the facts of the model and of the blinded model, and of the evidence."""
    size = pipe.processor.image_processor.size
    facts = phantom_counts(pipe, ChestCorpus(FACT_FILMS, FILM_SEED, size, "test"))
    evidence = evidence_counts(pipe, ChestCorpus(EVIDENCE_FILMS, FILM_SEED, size, "test", "balanced"))
    return {
        "facts": facts["model"].sum(axis=1).tolist(),
        "blinded": facts["blinded"].sum(axis=1).tolist(),
        "constant_report": facts["constant_report"].sum(axis=1).tolist(),
        "evidence": evidence[:, 0].round(4).tolist(),
    }
