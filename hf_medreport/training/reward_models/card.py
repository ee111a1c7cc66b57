"""The card of a model that learned from ratings, from its `evaluation.json`."""

from pathlib import Path

from huggingface_hub import ModelCardData

from hf_medreport.files.writing import write_text
from hf_medreport.training.recipe import RunArguments

__all__ = ["write_reward_card"]

COLUMNS = {"model": "this model", "constant": "a constant", "blinded": "blinded"}
USE = {
    False: """processor = AutoProcessor.from_pretrained("{name}", trust_remote_code=True)
model(**processor(images=picture, return_tensors="pt")).scores  # 0 of a picture that a gate rejects""",
    True: """processor = AutoProcessor.from_pretrained("{name}", trust_remote_code=True)
inputs = processor(images=picture, text=[prompt], return_tensors="pt", truncation=True, max_length={length})
model(**inputs).scores""",
}
WHAT = {
    False: "Scores how good a picture is, from 0 to 1, without its prompt; noise and what has no contrast is 0.",
    True: "Scores how well a picture fits its prompt, from 0 to 1.",
}


def write_reward_card(folder: Path, evaluation: dict, asked: RunArguments) -> Path:
    """Write README.md of a reward model's folder; returns its path."""
    name, reads = asked.training.model_name, "prompt" in _given(asked.system)
    metadata = ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="image-classification",
        tags=["medical-imaging", "reward-model", "hf-medreport", "custom_code"],
    )
    counts = evaluation["ratings"]
    method = "TRL's RewardTrainer, on pairs" if evaluation["method"] == "pairs" else "weighted regression on ratings"
    use = USE[reads].format(name=name, length=getattr(asked.model, "max_text_tokens", 0))
    text = f"""---
{metadata}
---

# {name}

{WHAT[reads]}
It learned from ratings of pictures, most of them drawn by programs, and is meant to sort such pictures.
**It is no measure of clinical quality, and it repeats what its raters liked.**

- Weights: {evaluation["weights"]:,}
- Trained by {method}: {counts["train"]} ratings of `{Path(asked.data.ratings).name}`, and
  {counts["calibration"]} to make its scores probabilities
- License: apache-2.0

## Use

```python
from transformers import AutoModel, AutoProcessor

model = AutoModel.from_pretrained("{name}", trust_remote_code=True)
{use}
```

## How far it is right

{_figures(evaluation)}
Trained and scored with:

```bash
{asked.command}
```

## Limits

- A generator that is tuned on this score learns to please it. What it gained is to be measured by another judge.
- The figures hold for pictures and raters like those of its table.
"""
    return write_text(folder / "README.md", text)


def _given(system: str) -> tuple[str, ...]:
    from hf_medreport.registry import system as row_of

    return row_of(system).given


def _figures(evaluation: dict) -> str:
    if not evaluation["n"]:
        return "Not run: no prompt was held out.\n"
    blinded = "its prompts" if evaluation["reads_prompts"] else "its pictures"
    rows = [f"| | {' | '.join(COLUMNS.values())} |", "|---|---:|---:|---:|"]
    for label, key in (("rated 3 above rated 1 (AUC)", "auc"), ("better of two of a prompt", "pairwise")):
        cells = [_cell(evaluation[column][key], evaluation[column][f"{key}_interval"]) for column in COLUMNS]
        rows.append(f"| {label} | {' | '.join(cells)} |")
    errors = [_cell(evaluation[column]["calibration_error"]) for column in COLUMNS]
    rows.append(f"| calibration error | {' | '.join(errors)} |")
    for rater in evaluation["model"]["raters"]:
        told = [evaluation[column]["raters"][rater] for column in COLUMNS]
        cells = [_cell(one["kappa"], one["interval"]) for one in told]
        rows.append(f"| kappa with {rater or 'the raters'} | {' | '.join(cells)} |")
    bins = ["| score | ratings | mean score | mean rating |", "|---|---:|---:|---:|"]
    for one in evaluation["model"]["reliability"]:
        bounds = f"{one['from']:.1f} to {one['to']:.1f}"
        bins.append(f"| {bounds} | {one['n']} | {one['score']:.3f} | {one['rating']:.3f} |")
    among = [
        f"- {pair}: {_cell(told['kappa'], told['interval'])} on {told['n']} pictures"
        for pair, told in evaluation["among_raters"].items()
    ]
    lines = "\n".join(among) or "- there is one rater alone"
    scored, rejected = f"{evaluation['n']} ratings of {evaluation['prompts']} prompts", evaluation["rejected_by_gates"]
    return f"""{scored} that it was not trained on; blinded: {blinded} are shuffled.
In brackets 95 % intervals. Gates rejected {rejected:.1%} of the pictures. Kappa has
quadratic weights; the score is cut at 1/4 and 3/4.

{chr(10).join(rows)}

Kappa of the raters among themselves, on the same pictures:

{lines}

Whether a score can be taken at its word (ratings 1 to 3 as 0 to 1):

{chr(10).join(bins)}
"""


def _cell(value: float | None, interval: list | None = None) -> str:
    if value is None:
        return "none"
    return f"{value:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")
