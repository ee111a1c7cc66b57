"""Reports for a phantom film, whose truth is known, and for a real one: `make report`.

python examples/report_two_films.py --out reports
"""

import argparse
from pathlib import Path

from PIL import Image
from transformers.utils import logging

from hf_medreport import load, report_films, save_reports
from hf_medreport.phantom.corpus import ChestCorpus
from hf_medreport.phantom.parser import parse_report

REAL_FILM = Path(__file__).parent / "films" / "nih_00000001_000.png"
CASE, SEED = 6, 1


def words(fact) -> str:
    """A fact as words: `severe pleural effusion, left`."""
    finding = " ".join(part for part in (fact.severity, fact.kind.replace("_", " ")) if part)
    place = " ".join(part for part in (fact.side, fact.zone and f"{fact.zone} zone") if part)
    return f"{finding}, {place}" if place else finding


def main(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    case = ChestCorpus(n=CASE + 1, seed=SEED, size=512, split="test")[CASE]
    phantom_film = out / "phantom_film.png"
    Image.fromarray(case.image).save(phantom_film)

    logging.disable_progress_bar()
    pipe = load()
    reports, failures = report_films([phantom_film, REAL_FILM], pipe)
    stated, truth = parse_report(reports[0].text), set(case.facts)
    ticked = [("right" if fact in truth else "wrong", words(fact)) for fact in sorted(stated, key=str)]
    ticked += [("missed", words(fact)) for fact in sorted(truth - stated)]
    save_reports(reports, failures, out, pipe, facts={phantom_film.name: ticked})

    for report in reports:
        print(f"\n{report.film}\n  {report.text}")
        if report is reports[0]:
            print(*(f"  [{state}] {fact}" for state, fact in ticked or [("right", "no finding")]), sep="\n")
    print(f"\n({reports[0].statement})")
    print(f"Pictures and report.json: {out}/")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("reports"))
    main(parser.parse_args().out)
