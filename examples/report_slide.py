"""A report for a drawn slide, whose truth is known: `make report`.

python examples/report_slide.py --out reports
"""

import argparse
from pathlib import Path

from transformers.utils import logging

from hf_medreport import ReportFolder, load, report_slides
from hf_medreport.data.drawn.slides import write_slides
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.phantom.slide.parser import parse_slide_report

SEED, SIZE_PX, MPP = 3, 2048, 1.0  # a slide with a tumor


def words(fact: tuple) -> str:
    """A (field, value) as words: `size cm: 1.5`."""
    field, value = fact
    return f"{field.replace('_', ' ')}: {'/'.join(map(str, value)) if field == 'nodes' else value}"


def ticked(text: str, truth: frozenset) -> list[tuple[str, str]]:
    """Every fact of a report, correct or wrong, and every one that it missed."""
    stated = parse_slide_report(text)
    facts = [("correct" if fact in truth else "wrong", words(fact)) for fact in sorted(stated, key=str)]
    unsaid = sorted((fact for fact in truth if fact[0] not in dict(stated)), key=str)
    return sorted(facts) + [("missed", words(fact)) for fact in unsaid]


def main(out: Path, overwrite: bool) -> None:
    corpus = SlideCorpus(n=1, seed=SEED, size=SIZE_PX, mpp=MPP, split="test")
    case, drawn = corpus[0], out / "drawn_slide"
    write_slides(drawn, corpus, workers=1, overwrite=overwrite)

    logging.disable_progress_bar()
    (report,) = report_slides([drawn / "slides" / f"{case.case_id}.tiff"], load("histgen-tiny"))
    facts = ticked(report.text, case.facts.facts)
    with ReportFolder(out / "slides", overwrite=overwrite) as folder:
        folder.add(report, facts)
        folder.finish()
    print(f"\n{report.film}\n  {report.text}")
    for state, fact in facts:
        print(f"  [{state}] {fact}")
    print(f"\n({report.statement})\nPicture and report.json: {out / 'slides'}/")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("reports"))
    parser.add_argument("--overwrite", action="store_true", help="In place of an older run's files.")
    arguments = parser.parse_args()
    main(arguments.out, arguments.overwrite)
