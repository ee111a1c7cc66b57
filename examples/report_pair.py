"""Reports for a drawn pair of films, whose truth is known, and for a real frontal film alone: `make report`.

python examples/report_pair.py --out reports
"""

import argparse
from pathlib import Path

from PIL import Image
from report_two_films import FILMS, REAL_FILM, SEED, ticked
from transformers.utils import logging

from hf_medreport import ReportFolder, load, report_pairs
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.registry import default_model


def main(out: Path, model: str, overwrite: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    corpus = ChestCorpus(n=FILMS, seed=SEED, size=512, split="test", lateral=True)
    case = next(case for case in map(corpus.__getitem__, range(FILMS)) if len(case.facts) >= 3)
    frontal, lateral = out / "phantom_pair.png", out / "phantom_pair_lateral.png"
    Image.fromarray(case.image).save(frontal)
    Image.fromarray(case.lateral.image).save(lateral)

    logging.disable_progress_bar()
    with ReportFolder(out / "pairs", overwrite=overwrite) as folder:
        for report in report_pairs([(frontal, lateral), (REAL_FILM, None)], load(model)):
            facts = ticked(report.text, case.facts) if report.film == frontal.name else None
            folder.add(report, facts)
            print(f"\n{report.to_text()}")
            for state, fact in facts or ():
                print(f"  [{state}] {fact}")
        folder.finish()
    print(f"\n({report.statement})\nPictures and report.json: {out / 'pairs'}/")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--overwrite", action="store_true", help="In place of an older run's files.")
    parser.add_argument("--model", default=default_model("pair"))
    arguments = parser.parse_args()
    main(arguments.out, arguments.model, arguments.overwrite)
