"""What a loop leaves: the adapter with its card, and the figures before and after as a table."""

import importlib.metadata
import shutil
from pathlib import Path

from safetensors import safe_open

from hf_medreport.files.writing import write_json
from hf_medreport.rlhf.rounds.loop_settings import LoopSettings
from hf_medreport.systems.diffusion.card import write_generator_card
from hf_medreport.systems.diffusion.recipe import RUN, shown

__all__ = ["before_and_after", "write_final"]

COMMAND = "hf-medreport rlhf"
PACKAGES = ("torch", "diffusers", "transformers", "peft")
QUESTIONS = ("modality", "finding", "side", "zone", "grade", "all")


def write_final(
    folder: Path, adapter: Path, settings: LoopSettings, ratings: int, modalities: list[str], after: dict | None
) -> list[Path]:
    """Copy an adapter, with `run.json` and its card; returns the files.

    Args:
        folder: which is there.
        adapter: the last one.
        settings: of the loop.
        ratings: how many it learned from.
        modalities: that the generator knows.
        after: its figures by the judge that scores, with the "command"; None where it was not scored.
    """
    for file in sorted(adapter.iterdir()):
        shutil.copyfile(file, folder / file.name)
    name = shown(settings.generator)
    described = {
        "command": COMMAND,
        "base": name,
        "data": f"{ratings} ratings of its own pictures, in {settings.rounds} rounds of {settings.update}",
        "rows": ratings,
        "steps": settings.rounds,
        "settings": {"model": {"lora_rank": rank_of(adapter)}, "training": {"seed": settings.seed}},
        "modalities": modalities,
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "history": [],
        "model_name": f"{name}-rlhf",
    }
    write_json(folder / RUN, described)
    if after is not None:
        write_json(folder / "evaluation.json", after)
    write_generator_card(folder, evaluation=after, evaluated_by=COMMAND)
    return [path for path in folder.iterdir() if path.is_file()]


def rank_of(adapter: Path) -> int:
    """Of an adapter's weights."""
    with safe_open(adapter / "pytorch_lora_weights.safetensors", "pt") as file:
        names = [name for name in file.keys() if ".lora_A" in name or ".lora.down" in name]  # noqa: SIM118
        return int(file.get_slice(names[0]).get_shape()[0])


def before_and_after(evaluation: dict) -> str:
    """The faithfulness by the scoring judge, diversity and KID, before and after, as lines of text."""
    before, after = evaluation["before"], evaluation["after"]
    lines = [f"{'by the scoring judge':<22}{'before':>9}  {'95 % interval':<16}{'after':>9}  {'95 % interval':<16}"]
    for question in QUESTIONS:
        cells = []
        for scores in (before, after):
            one = scores["faithfulness"][question]
            if one["n"]:
                low, high = one["interval"]
                cells.append(f"{one['accuracy']:>9.3f}  {f'{low:.3f} to {high:.3f}':<16}")
        if cells:
            lines.append(f"{question:<22}{''.join(cells)}")
    for name, values in other_figures(before, after).items():
        lines.append(f"{name:<22}{values[0]:>9.3f}  {'':<16}{values[1]:>9.3f}")
    return "\n".join(line.rstrip() for line in lines)


def other_figures(before: dict, after: dict) -> dict[str, tuple[float, float]]:
    """Of sets of pictures: lower is better for both; MS-SSIM of pairs is low where pictures differ."""

    def diversity(scores: dict) -> float:
        values = [one["diversity"]["generated"] for one in scores["look"].values()]
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else float("nan")

    def kid(scores: dict) -> float:
        figures = scores["distribution"]["all"]
        return float("nan") if figures is None else figures["kid"]

    return {
        "MS-SSIM of pairs": (diversity(before), diversity(after)),
        "KID": (kid(before), kid(after)),
    }
