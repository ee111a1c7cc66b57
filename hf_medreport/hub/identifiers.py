"""Whether a text that is to be published reads as if it named a patient, or a place on somebody's machine.

It looks for what cards, settings and manifests carry by mistake: names as DICOM writes them, numbers of patients and
studies, dates of birth, absolute paths. It finds such forms, not every name: who publishes reads the card himself.
"""

import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["identifiers_in"]

DATE = r"(?:\d{4}[-./]?\d{2}[-./]?\d{2}|\d{1,2}[-./]\d{1,2}[-./]\d{2,4}|\d{1,2}\.? [A-Z][a-z]{2,8}\.? \d{4})"
GAP = r"[\"'`*|:=#\s]{1,6}"  # between a name and its value, in prose, a table, JSON or YAML
ROOTS = "home|Users|root|mnt|media|Volumes|data|scratch|srv|var|tmp|private|work|workspace|nfs|gpfs|lustre"
PATTERNS = {
    "a patient's name": re.compile(r"\b[^\W\d_][\w'-]+\^[^\W\d_][\w'-]*"),
    "the number of a patient or study": re.compile(
        r"\b(?:MRN|med(?:ical)?[ _-]?rec(?:ord)?[ _-]?(?:number|no\.?|id)?|patient[ _-]?(?:id|number|no\.?)"
        rf"|accession[ _-]?(?:number|no\.?|id)?|case[ _-]?number){GAP}[A-Z]{{0,4}}[-_]?\d{{4,}}",
        re.IGNORECASE,
    ),
    "a date of birth": re.compile(
        rf"\b(?:DOB|D\.O\.B\.|date[ _-]?of[ _-]?birth|birth[ _-]?date|PatientBirthDate|born(?: on)?){GAP}{DATE}",
        re.IGNORECASE,
    ),
    "a path of a machine": re.compile(
        rf"(?<![\w.:/~-])/(?:{ROOTS})/[^\s\"'`<>|)\]]+|(?<!\w)[A-Za-z]:\\+[^\s\"'`<>|]+|(?<!\w)\\\\\w[\w.-]*\\\w"
    ),
}


def identifiers_in(text: str) -> Iterator[tuple[int, str]]:
    """(line, what it reads like) of each line that one of the forms stands in; never what stands there."""
    home = str(Path.home())
    for number, line in enumerate(text.splitlines(), start=1):
        for what, pattern in PATTERNS.items():
            if pattern.search(line):
                yield number, what
                break
        else:
            if len(home) > 5 and home in line:  # not of "/root", which the forms have
                yield number, "a path of a machine"
