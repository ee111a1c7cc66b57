"""What a description asks for, read from its words, as far as a picture of it can be checked.

    read_asked("chest x-ray: severe left pneumothorax, no cardiomegaly")
    # Asked(modality='cxr', findings=('pneumothorax',), denied=('cardiomegaly',), side='left', grade='severe', ...)

Whether a finding is stated or denied is read by the scopes that read reports (`phantom.scope`). What is not understood
is left open (None), and then is not checked: two sides, a doubt, a finding that no modality here has.
"""

import re
from dataclasses import dataclass

from hf_medreport.phantom.chest.parser import Named, clauses, named_in, pieces
from hf_medreport.phantom.chest.vocabulary import sentences
from hf_medreport.phantom.picture.facts import MODALITIES, NO_FINDING
from hf_medreport.phantom.scope import said_of

__all__ = ["Asked", "read_asked", "read_modality"]


def _words(words: str) -> re.Pattern:
    return re.compile(rf"\b(?:{words})\b")


MODALITY_WORDS = {
    "cxr": _words(r"cxr|x ?rays?|radiographs?|chest films?|films? of the chest|chest radiography"),
    "ct": _words(r"ct|cat scan|computed tomogra\w+"),
    "mri": _words(r"mri?|magnetic resonance(?: \w+)?"),
    "oct": _words(r"oct|optical coherence tomogra\w+"),
    "fundus": _words(r"fundus|fundoscop\w+|retinal (?:photograph|image)s?|cfp"),
}
OTHER_ORGANS = _words(r"breast|mammo\w*|knee|abdom\w*|pelvi\w*|hands?|feet|foot|spine|prostate|liver")
# The findings of all modalities by the words that ask for them; an edema is one of the lung or of the macula.
FINDING_WORDS = {
    "cardiomegaly": _words(r"cardiomegaly|(?:enlarged|large|big) (?:heart|cardiac silhouette)|cardiac enlargement"),
    "pleural effusion": _words(r"(?:pleural )?effusions?|pleural fluid"),
    "pneumothorax": _words(r"pneumothora(?:x|ces)"),
    "consolidation": _words(r"consolidations?"),
    "nodule": _words(r"nodules?"),
    "interstitial edema": _words(r"(?:interstitial|pulmonary|lung) o?edema"),
    "elevated diaphragm": _words(
        r"(?:elevated|raised) (?:\w+ )?(?:hemi ?)?diaphragm|elevation of the (?:\w+ )?(?:hemi ?)?diaphragm"
    ),
    "pacemaker": _words(r"pacemakers?"),
    "emphysema": _words(r"emphysema"),
    "mass": _words(r"mass|masses|tumou?rs?"),
    "infarct": _words(r"infarct(?:s|ion)?|(?:ischa?emic )?stroke"),
    "white matter lesions": _words(r"white matter (?:lesions?|foci|hyperintensities)"),
    "hydrocephalus": _words(r"hydrocephalus"),
    "subdural hematoma": _words(r"subdural (?:ha?ematoma|ha?emorrhage)"),
    "drusen": _words(r"drusen"),
    "cystoid edema": _words(r"(?:cystoid )?macular o?edema|cystoid o?edema"),
    "subretinal fluid": _words(r"subretinal fluid"),
    "epiretinal membrane": _words(r"epiretinal membrane"),
    "macular hole": _words(r"macular hole"),
    "hemorrhages": _words(r"(?:retinal )?ha?emorrhages?"),
    "hard exudates": _words(r"(?:hard )?exudates?"),
    "cotton wool spots": _words(r"cotton wool spots?"),
    "optic disc cupping": _words(r"(?:optic dis[ck] )?cupping"),
}
NORMAL_HEART = _words(
    r"normal(?: sized?| size of the)? (?:heart|cardiac)(?: size| silhouette)?|(?:heart|cardiac)(?: size| silhouette)? "
    r"(?:is |of )?(?:within )?normal(?: size| limits)?|heart (?:is )?not enlarged"
)
NORMAL = _words(r"normal|no (?:abnormal )?findings?|nothing abnormal|no abnormalit(?:y|ies)|unremarkable|healthy")
SIDE = re.compile(r"\b(right|left)\b")
BOTH_SIDES = _words(r"bilateral(?:ly)?|both")
GRADE_WORDS = {
    "mild": _words("mild|small|slight|few|minimal|tiny"),
    "moderate": _words("moderate|medium"),
    "severe": _words("severe|large|many|marked|massive|numerous"),
}


@dataclass(frozen=True)
class Asked:
    """What a description asks for; None or empty where it does not say, or not so that it is understood.

    Attributes:
        modality: of `MODALITIES`.
        findings: those that the picture is to show.
        denied: those that it is not to show.
        normal: whether it is to show none at all.
        side: of the patient; of an eye, which one.
        grade: of the one finding.
        normal_heart: whether the heart is to be of normal size.
    """

    modality: str | None = None
    findings: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    normal: bool = False
    side: str | None = None
    grade: str | None = None
    normal_heart: bool = False


def read_modality(words: str) -> str | None:
    """The one modality that a name or a text speaks of, by any of the names in `MODALITY_WORDS`."""
    plain = _split(words)
    if OTHER_ORGANS.search(plain):
        return None
    found = [name for name, pattern in MODALITY_WORDS.items() if pattern.search(plain)]
    return found[0] if len(found) == 1 else None


def read_asked(prompt: str, modality: str | None = None) -> Asked:
    """Read a description.

    Args:
        prompt: free words.
        modality: as it was named beside the words, by any name; it beats what they say.
    """
    modality = read_modality(modality if modality is not None else prompt)
    stated, denied, about = [], [], []
    for sentence in sentences(prompt.replace(":", ". ")):
        named = [one for one in named_in(sentence, FINDING_WORDS) if _seen_in(one, modality)]
        for clause, here in clauses(sentence, named) or [(sentence, [])]:
            said = {one: said_of(clause, one[:2], [other[:2] for other in here]) for one in here}
            stated += [one[2] for one, says in said.items() if says == "stated"]
            denied += [one[2] for one, says in said.items() if says == "denied"]
            parts = pieces(clause, here) or [(clause, [])]
            about += [words for words, those in parts if not those or "stated" in map(said.get, those)]
    plain = " ".join(_split(prompt).split())
    normal_heart = bool(NORMAL_HEART.search(plain)) or "cardiomegaly" in denied
    findings = tuple(dict.fromkeys(stated))
    normal = not findings and bool(NORMAL.search(NORMAL_HEART.sub(" ", plain)))
    of_an_eye = modality is not None and MODALITIES[modality].of_an_eye
    words = plain if of_an_eye else " ".join(about)
    sided = of_an_eye or len(findings) == 1 and _takes("sides", findings[0], modality)
    graded = len(findings) == 1 and _takes("grades", findings[0], modality)
    return Asked(
        modality,
        findings,
        tuple(dict.fromkeys(denied)),
        normal,
        _side(words) if sided else None,
        _grade(FINDING_WORDS[findings[0]].sub(" ", words)) if graded else None,
        (normal_heart or normal) and "cardiomegaly" not in findings,
    )


def _split(words: str) -> str:
    """In lower case, joined names ("ChestCT") and hyphens taken apart."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", words)
    return re.sub(r"[-_/:]", " ", words).lower()


def _seen_in(one: Named, modality: str | None) -> bool:
    """Whether a modality has the finding; of one that is not known, whether any has."""
    return modality is None or one[2] in MODALITIES[modality].findings


def _takes(attribute: str, finding: str, modality: str | None) -> bool:
    """Whether the finding has a side, or grades: in this modality, or in all that know it."""
    rows = [one.findings[finding] for one in MODALITIES.values() if finding in one.findings]
    rows = rows if modality is None else [MODALITIES[modality].findings[finding]]
    return all(getattr(row, attribute) for row in rows)


def _side(words: str) -> str | None:
    sides = set(SIDE.findall(words))
    return sides.pop() if len(sides) == 1 and not BOTH_SIDES.search(words) else None


def _grade(words: str) -> str | None:
    grades = [grade for grade, pattern in GRADE_WORDS.items() if pattern.search(words)]
    return grades[0] if len(grades) == 1 else None


def expected_finding(asked: Asked) -> str | None:
    """What a judge that names one finding is to answer, in words; None where it cannot be said."""
    if asked.findings:
        return " or ".join(asked.findings)
    if asked.normal:
        return NO_FINDING
    return f"anything but {' or '.join(asked.denied)}" if asked.denied else None
