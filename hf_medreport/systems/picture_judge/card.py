"""The judge's card."""

from pathlib import Path

from huggingface_hub import ModelCardData

from hf_medreport.evaluation.pictures.judging import ARTEFACTS, QUESTIONS
from hf_medreport.files.writing import write_text
from hf_medreport.training.recipe import RunArguments

__all__ = ["write_judge_card"]


def write_judge_card(folder: Path, evaluation: dict, asked: RunArguments) -> Path:
    """Write README.md of a judge's folder from its `evaluation.json`; returns its path."""
    name, data = asked.training.model_name, asked.data
    metadata = ModelCardData(
        license="apache-2.0",
        library_name="transformers",
        pipeline_tag="image-classification",
        tags=["medical-imaging", "hf-medreport", "custom_code"],
    )
    how_bad, role, damage = "", "judges", ""
    if data.artefacts:
        how_bad, role = ", and how badly it is damaged", "stands for a rater, and never scores"
        damage = ", some of them damaged in known ways"
    text = f"""---
{metadata}
---

# {name}

Says what a *drawn* picture of 64 px shows: which of five modalities, which finding, on which side, where and how
severe{how_bad}. It {role} generators that were trained on such pictures.
**It was never shown a real image, and nothing that it says is a clinical statement.**

- Weights: {evaluation["weights"]:,}, from scratch
- Trained on: {data.phantom_cases} drawn pictures (seed {data.phantom_seed}), {data.passes} times each, most of them
  blurred, noisy, compressed or decoded from a few components{damage}
- License: apache-2.0

## Use

```python
from transformers import AutoImageProcessor, AutoModel

judge = AutoModel.from_pretrained("{name}", trust_remote_code=True)
processor = AutoImageProcessor.from_pretrained("{name}")
output = judge(**processor(picture, return_tensors="pt"))
judge.answers(output.logits)  # [{{"modality": "ct", "finding": "nodule", "side": "left", ...}}]
```

An answer means something only where the question was one: the side of a cardiomegaly is none, and the judge names one.

## How often it is right

{evaluation["n"]} drawn pictures of other patients (seed {evaluation["seed"]}), as they are and made worse; what a
generator's pictures can reach by this judge at most. In brackets 95 % intervals (Wilson).

{_table(evaluation["kinds"])}
{_clip(evaluation.get("clip"))}{_artefacts(evaluation.get("artefacts"))}{_compared(evaluation.get("compared"))}
Printed by, and trained with:

```bash
{asked.command}
```

## Limits

- Its features are good for comparing sets of drawn pictures. Distances on them are no FID or KID of any paper.
- It was trained on one finding a picture, and names one whatever it is shown.
- Two judges see differently: figures of two of them cannot be compared. A generator that was tuned against this one is
  to be judged by another, trained apart (other `seed`, `phantom_seed` and `widths` of its recipe).
"""
    return write_text(folder / "README.md", text)


def _table(kinds: dict[str, dict]) -> str:
    lines = [f"| | {' | '.join(kinds)} |", f"|---|{'---:|' * len(kinds)}"]
    for question in (*QUESTIONS, "all"):
        cells = [_cell(scores[question]) for scores in kinds.values()]
        lines.append(f"| {question if question != 'all' else 'all at once'} | {' | '.join(cells)} |")
    for modality in next(iter(kinds.values()))["finding"]["by_modality"]:
        cells = [_cell(scores["finding"]["by_modality"][modality]) for scores in kinds.values()]
        lines.append(f"| finding, {modality} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(score: dict) -> str:
    if not score["n"]:
        return "not asked"
    low, high = score["interval"]
    return f"{score['accuracy']:.3f} ({low:.3f} to {high:.3f})"


def _artefacts(shares: dict | None) -> str:
    if shares is None:
        return ""
    lines = [f"| | {' | '.join(ARTEFACTS)} |", f"|---|{'---:|' * len(ARTEFACTS)}"]
    lines += [
        f"| {name} | {' | '.join(f'{row[answer]:.3f}' for answer in ARTEFACTS)} |" for name, row in shares.items()
    ]
    table = "\n".join(lines)
    return f"""
## Whether it sees damage

It is also asked for artefacts. Shares of its answers to the same pictures, as they were drawn and with known damage:

{table}
"""


def _compared(comparison: dict | None) -> str:
    if comparison is None:
        return ""
    sets = comparison["pictures"]
    lines = [f"| same answers | {' | '.join(sets)} |", f"|---|{'---:|' * len(sets)}"]
    for question in QUESTIONS:
        lines.append(f"| {question} | {' | '.join(_agreement(rows[question]) for rows in sets.values())} |")
    table = "\n".join(lines)
    return f"""
## How far it is like {comparison["other"]}

How often both give the same answer to the same pictures (Wilson's intervals); behind it, how often this one repeats a
wrong answer of the other. A judge that was trained apart may check what was tuned by the other as far as it does not.

{table}
"""


def _agreement(row: dict) -> str:
    if not row["n"]:
        return "not asked"
    low, high = row["interval"]
    return f"{row['same']:.3f} ({low:.3f} to {high:.3f}); repeats {row['same_wrong']} of {row['wrong']}"


def _clip(clip: dict | None) -> str:
    if clip is None:
        return "\n"
    low, high = clip["interval"]
    return f"""
`clip/` holds a small CLIP of drawn pictures and prompts (transformers' own classes), for the CLIP score. On the same
pictures, with their own prompts in wordings that it never read: {clip["score"]:.1f} ({low:.1f} to {high:.1f}); with a
prompt that asks for something else of the same modality: {clip["other_prompt"]:.1f}. Its own prompt fits a picture
better than such a one in {clip["own_is_better"]:.1%} (by chance 50 %).
"""
