"""The card of a generator's folder, from the `run.json` that its training left there and, where there is one, from the
JSON of `hf-medreport evaluate images`. What they do not say, the card says nobody measured.
"""

import re
from importlib.resources import files
from pathlib import Path

from huggingface_hub import ModelCard, ModelCardData

from hf_medreport.evaluation.pictures.card_rows import card_rows
from hf_medreport.files.settings import read_settings
from hf_medreport.files.writing import write_json, write_text
from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.diffusion.row import BIBTEX

__all__ = ["check_run", "write_evaluated", "write_generator_card"]

EVALUATION = "evaluation.json"
RUN, SCRATCH = "run.json", "random weights"  # what a run says that began without a base
LINES = 10  # of the table of losses
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
# A row of the card -> where `evaluate images` has it among its scores of all pictures.
FIGURES = {
    "pictures, real": "n_real",
    "pictures, drawn": "n_fake",
    "FID": "fid",
    "KID": "kid",
    "inception score": "inception_score",
    "CLIP score": "clip_score",
    "MS-SSIM diversity, drawn": "diversity_fake",
    "MS-SSIM diversity, real": "diversity_real",
}


def write_generator_card(
    folder: str | Path,
    *,
    model_name: str | None = None,
    license: str | None = None,
    evaluation: dict | None = None,
    evaluated_by: str = "hf-medreport evaluate images",
) -> Path:
    """Write README.md into a folder with a `run.json`, and return its path.

    Args:
        folder: of the generator, as its recipe saved it.
        model_name: the repository id it is to be published under; default: the run's own name.
        license: the Hub's short name of the license of the weights; default: apache-2.0 of weights that began at
            random, `other` of those that began as a base's, whose license holds for them.
        evaluation: what `evaluate phantom --json` or `evaluate images --json` printed of its pictures.
        evaluated_by: the command that printed it.

    Raises:
        InputError: no folder, or no `run.json` of a run in it.
    """
    folder = Path(folder)
    run = check_run(folder)
    name = model_name or run.get("model_name") or folder.resolve().name
    base, facts = str(run["base"]), _facts(run)
    license = license or ("apache-2.0" if base == SCRATCH else "other")
    card = ModelCard.from_template(
        ModelCardData(
            license=license,
            language="en",
            library_name="diffusers",
            pipeline_tag="text-to-image",
            base_model=base if REPOSITORY.fullmatch(base) else None,
            tags=["medical-imaging", "text-to-image", "synthetic", "hf-medreport", "custom_code"],
        ),
        template_str=files("hf_medreport.model_cards").joinpath("generator.md").read_text(encoding="utf-8"),
        adapter=facts["adapter of rank"] is not None,
        base=_shown(base),
        citation=BIBTEX,
        command=run["command"],
        data=run["data"],
        evaluated_by=evaluated_by,
        features=_features(evaluation or {}),
        facts={name: value for name, value in facts.items() if value not in (None, "")},
        figures=_figures(evaluation or {}),
        license=license,
        losses=_losses(run.get("history", [])),
        model_name=name,
        modalities=run.get("modalities", []),
        versions=", ".join(f"{package} {version}" for package, version in run["versions"].items()),
    )
    return write_text(folder / "README.md", str(card))


def check_run(folder: Path) -> dict:
    """What a folder says of its training, which a card needs.

    Raises:
        InputError: no folder, or no `run.json` of a run in it.
    """
    if not (folder / RUN).is_file():
        found = f"no {RUN}" if folder.is_dir() else "no such folder"
        raise InputError(
            folder.name, found, "a folder of a training run", "train the generator, or write the card by hand"
        )
    run = read_settings(folder / RUN, f"{folder.name}/{RUN}")
    if missing := [name for name in ("command", "base", "data", "steps", "settings", "versions") if name not in run]:
        raise InputError(
            f"{folder.name}/{RUN}", f"no '{missing[0]}'", "the record of a run", "train the generator again"
        )
    return run


def write_evaluated(folder: Path, scores: dict) -> None:
    """Put what `evaluate phantom` found of a generator into its folder: `evaluation.json`, and its card anew."""
    write_json(folder / EVALUATION, scores)
    write_generator_card(folder, evaluation=scores, evaluated_by=scores["command"])


def _shown(base: str) -> str:
    """A base as it may be published: a repository's id, or a folder's name without where it lies."""
    return base if REPOSITORY.fullmatch(base) else Path(base).name


def _facts(run: dict) -> dict[str, object]:
    """What the run was, in the order of the card."""
    training, noise = run["settings"].get("training", {}), run.get("noise", {})
    stages = [f"{stage['resolution']} px" for stage in run.get("stages", []) if "resolution" in stage]
    adapter = run["settings"].get("model", {}).get("lora_rank")
    return {
        "pictures": run.get("rows"),
        "steps": run["steps"],
        "pictures seen": run.get("samples_seen"),
        "sides": " -> ".join(stages),
        "weights trained": run.get("trained_parameters"),
        "adapter of rank": adapter or None,
        "prediction": noise.get("prediction_type"),
        "noise schedule": noise.get("beta_schedule"),
        "min-SNR gamma": training.get("min_snr_gamma"),
        "learning rate": training.get("learning_rate"),
        "descriptions left out": training.get("prompt_dropout"),
        "average of the weights": training.get("ema_decay"),
        "seed": training.get("seed"),
    }


def _losses(history: list[dict]) -> list[list[str]]:
    """A head and at most LINES rows of what was logged, the last among them; [] where nothing was."""
    names = ["step", *dict.fromkeys(name for line in history for name in line if "loss" in name)]
    by_step: dict[int, dict] = {}
    for line in history:
        by_step.setdefault(line["step"], {}).update(line)
    steps = sorted(step for step, line in by_step.items() if any(name in line for name in names[1:]))
    if not steps:
        return []
    every = -(-len(steps) // LINES)
    chosen = sorted({*steps[::-1][::every]})
    return [names, *([_number(by_step[step].get(name)) for name in names] for step in chosen)]


def _number(value: object) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _features(evaluation: dict) -> str:
    """On what the distances between sets were taken."""
    return (evaluation.get("distribution") or evaluation).get("features", "none")


def _figures(evaluation: dict) -> dict[str, str]:
    """The figures that an evaluation holds: one of prompts whose truth is known, or of folders of pictures."""
    if "faithfulness" in evaluation:
        return card_rows(evaluation)
    scores = evaluation.get("all", {})
    return {name: _number(scores[key]) for name, key in FIGURES.items() if scores.get(key) is not None}
