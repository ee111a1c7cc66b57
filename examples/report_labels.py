"""One drawn film, reported three times: with the labels that the model names itself, with the true ones, and told of
findings that are not there: `make report`. What is given without being seen shows what labels from the reference buy.

python examples/report_labels.py --out reports
"""

import argparse
from pathlib import Path

from PIL import Image
from report_two_films import FILMS, SEED, ticked
from transformers.utils import logging

from hf_medreport import ReportFolder, load, report_films
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.findings import observations

ABSENT = "Pneumothorax, Fracture"


def main(out: Path, model: str, overwrite: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    corpus = ChestCorpus(n=FILMS, seed=SEED, size=512, split="test")
    cases = map(corpus.__getitem__, range(FILMS))
    case = next(
        one for one in cases if len(one.facts) >= 2 and not set(observations(one.facts)) & set(ABSENT.split(", "))
    )
    film = out / "phantom_labels.png"
    Image.fromarray(case.image).save(film)

    logging.disable_progress_bar()
    pipe = load(model)
    for name, labels in (("own", None), ("true", ", ".join(observations(case.facts))), ("absent", ABSENT)):
        (report,) = report_films([film], pipe, labels=None if labels is None else [labels])
        facts = ticked(report.text, case.facts)
        with ReportFolder(out / f"labels_{name}", {"labels": labels}, overwrite=overwrite) as folder:
            folder.add(report, facts)
            folder.finish()
        print(f"\n{report.to_text()}")
        for state, fact in facts:
            print(f"  [{state}] {fact}")
    print(f"\n({report.statement})\nPictures and report.json: {out}/labels_own, labels_true, labels_absent")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--overwrite", action="store_true", help="In place of an older run's files.")
    parser.add_argument("--model", default="radscribe-tiny")
    arguments = parser.parse_args()
    main(arguments.out, arguments.model, arguments.overwrite)
