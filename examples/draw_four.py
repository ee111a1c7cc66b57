"""Four pictures of four modalities by the shipped generator, each beside what the judge sees on it: `make report`.

python examples/draw_four.py --out reports
"""

import argparse
from pathlib import Path

import numpy as np
from transformers.utils import logging

from hf_medreport import load_generator
from hf_medreport.evaluation.pictures.judging import load_judge
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.inference.asked_pictures import AskedPicture
from hf_medreport.inference.generators import generator_revision
from hf_medreport.inference.synthesize import PictureFolder, Source, fill
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.phantom.picture.prompts import write_prompt
from hf_medreport.registry import default_model

SEED, STEPS = 4, {"num_inference_steps": 20}
FACTS = (
    PictureFact("cxr", "pleural effusion", "left", grade="severe"),
    PictureFact("ct", "consolidation", "right", "posterior"),
    PictureFact("mri", "subdural hematoma", "left", grade="severe"),
    PictureFact("fundus", "hemorrhages", "right", "superior", "severe"),
)


def compared(fact: PictureFact, seen: dict[str, str]) -> list[str]:
    """`[right] finding: consolidation` of everything that was asked for."""
    asked = {name: value for name, value in vars(fact).items() if value is not None}
    return [
        f"[right] {name}: {value}" if seen[name] == value else f"[wrong] {name}: {value} asked, {seen[name]} seen"
        for name, value in asked.items()
    ]


def main(out: Path, overwrite: bool) -> None:
    logging.disable_progress_bar()
    pipe, judge, wording = load_generator(), load_judge(), np.random.default_rng(SEED)
    pipe.set_progress_bar_config(disable=True)
    prompts = [write_prompt(fact, wording, "held_out") for fact in FACTS]  # phrases that it was not trained on
    asked = [
        AskedPicture(fact.modality, prompt, SEED, fact.modality) for fact, prompt in zip(FACTS, prompts, strict=True)
    ]
    source = Source(default_model("prompt"), generator_revision(pipe), STEPS)
    with RunFolder(out / "drawn_four", "draw four", STEPS, overwrite=overwrite) as run:
        folder = PictureFolder(run, [picture.id for picture in asked], source)
        drawn = [picture for _, picture in fill(folder, asked, pipe, **STEPS)]
        folder.finish()
    seen = judge.look(np.stack([np.asarray(picture) for picture in drawn])).answers
    for fact, prompt, answers in zip(FACTS, prompts, seen, strict=True):
        print("\n  ".join([f"\n{prompt}", *compared(fact, answers)]))
    print(f"\n(synthetic: drawn by a model, of no patient)\nPictures: {out / 'drawn_four' / 'contact_sheet.png'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--overwrite", action="store_true", help="In place of an older run's files.")
    arguments = parser.parse_args()
    main(arguments.out, arguments.overwrite)
