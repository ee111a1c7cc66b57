"""Reports for a phantom film, whose truth is known, and for a real one: `make report`.

python examples/report_two_films.py --out reports
"""

import argparse
from pathlib import Path

from PIL import Image
from transformers.utils import logging

from hf_medreport import ReportFolder, load, report_films
from hf_medreport.phantom.chest.corpus import ChestCorpus
from hf_medreport.phantom.chest.parser import parse_report

REAL_FILM = Path(__file__).parent / "films" / "nih_00000001_000.png"
SEED, FILMS = 1, 50


def words(fact) -> str:
    """A fact as words: `severe pleural effusion, left`."""
    finding = " ".join(part for part in (fact.severity, fact.kind.replace("_", " ")) if part)
    where = " ".join(part for part in (fact.side, fact.zone and f"{fact.zone} zone") if part)
    return f"{finding}, {where}" if where else finding


def ticked(text: str, truth: tuple) -> list[tuple[str, str]]:
    """Every fact of a report, correct or wrong, and every one that it missed."""
    stated, true = ({fact.key: words(fact) for fact in facts} for facts in (parse_report(text), truth))
    facts = [("correct" if key in true else "wrong", words) for key, words in stated.items()]
    return sorted(facts) + [("missed", words) for key, words in true.items() if key not in stated]


def main(out: Path, overwrite: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    corpus = ChestCorpus(n=FILMS, seed=SEED, size=512, split="test")
    case = next(case for case in map(corpus.__getitem__, range(FILMS)) if len(case.facts) >= 3)
    phantom_film = out / "phantom_film.png"
    Image.fromarray(case.image).save(phantom_film)

    logging.disable_progress_bar()
    pipe = load()
    with ReportFolder(out, overwrite=overwrite) as folder:
        for report in report_films([phantom_film, REAL_FILM], pipe):
            facts = ticked(report.text, case.facts) if report.film == phantom_film.name else None
            folder.add(report, facts)
            print(f"\n{report.film}\n  {report.text}")
            for state, fact in facts or ():
                print(f"  [{state}] {fact}")
        folder.finish()
    print(f"\n({report.statement})\nPictures and report.json: {out}/")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--overwrite", action="store_true", help="In place of an older run's files.")
    arguments = parser.parse_args()
    main(arguments.out, arguments.overwrite)
