"""The words of the 14 CheXpert observations, on top of the phantom's vocabulary of kinds.

A *concept* is what words name; most belong to an observation. The phantom's 16 kinds are concepts with the words that
`phantom.vocabulary` gives them; this module adds what the phantom does not draw. Where two concepts name overlapping
words, the longer one holds, so that a "mediastinal mass" (no observation) hides a "mass" (Lung Lesion).

What belongs where follows Irvin et al. 2019, "CheXpert: a large chest radiograph dataset with uncertainty labels and
expert comparison". The choices that another labeler may make otherwise:

- airspace disease is Consolidation and not also Lung Opacity: no observation implies another; airspace opacity is Lung
  Opacity;
- infiltrate, density, scar and interstitial markings are Lung Opacity, pulmonary fibrosis too;
- vascular congestion and heart failure are Edema; infection is Pneumonia;
- a tortuous aorta is Enlarged Cardiomediastinum;
- granuloma, hyperinflation, scoliosis, a raised diaphragm and degenerative bones are no observation;
- Lung Lesion is of the lung: breast, bone and mediastinal masses are no observation;
- clear lungs deny Lung Opacity, clear pleural spaces Pleural Effusion and Pneumothorax, intact bones Fracture, a normal
  heart Cardiomegaly, a normal mediastinum Enlarged Cardiomediastinum, a normal cardiomediastinal silhouette both; what
  is not normal, clear or intact is stated.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hf_medreport.phantom.chest.findings import KINDS, SIDES, ZONES
from hf_medreport.phantom.chest.vocabulary import KIND_WORDS
from hf_medreport.processing.label_text import LABELS

__all__ = ["CONCEPTS", "CONTRARY", "FIVE", "OBSERVATIONS", "PATHOLOGIES", "STATUSES", "Concept"]

OBSERVATIONS = LABELS  # in CheXbert's order; its five are those of the CheXpert competition
FIVE = ("Cardiomegaly", "Edema", "Consolidation", "Atelectasis", "Pleural Effusion")
# Of these any one, stated or possible, rules out No Finding.
PATHOLOGIES = OBSERVATIONS[:12]
# As CheXbert numbers its classes, 0 to 3.
STATUSES = ("absent", "positive", "negative", "uncertain")


@dataclass(frozen=True)
class Concept:
    """What some words name.

    Attributes:
        words: for sentences as `phantom.vocabulary.plain` leaves them.
        observation: that it belongs to; None: none, the concept only hides shorter ones.
        status: what the words say by themselves ("normal heart size" denies); None: it depends on the sentence.
        contrary: of words that deny, what they say with a "not" in them ("heart size is not normal"); None: nothing.
        sides, zones: the places it may have.
    """

    words: re.Pattern
    observation: str | None
    status: str | None = None
    contrary: str | None = "positive"
    sides: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()


def _words(pattern: str) -> re.Pattern:
    return re.compile(rf"\b(?:{pattern})\b")


def _in_lung(pattern: str, observation: str) -> Concept:
    return Concept(_words(pattern), observation, sides=SIDES, zones=ZONES)


def _on_side(pattern: str, observation: str) -> Concept:
    return Concept(_words(pattern), observation, sides=SIDES)


def _denies(pattern: str, observation: str, **options) -> Concept:
    return Concept(_words(pattern), observation, "negative", **options)


def _hides(pattern: str) -> Concept:
    return Concept(_words(pattern), None)


# "is", and what a list of normal structures may hold; nothing that says the structure is not normal.
_STRUCTURES = (
    r"(?:,? (?!(?:is|are|but|no|not|enlarged|clear|cannot|stable|borderline|prominent|wide\w*)\b)[\w,]+){0,12}?"
)
_NOT = r"(?:(?:not|no longer|far from) (?:(?:\w+ly|quite|of|appear|look|seem|have|an?|all) ){0,2})?"
_NORMAL = (
    r"(?:,? (?:is|are|remains?|appears?|appearing|appearance|stable|overall|grossly|again|also|both|and|to be|at|in"
    rf"|all|the|upper|top|limits of|within|size))*,? (?:{_NOT}(?:(?:ab)?normal|unremarkable|within (?:\w+ )?limits)"
    r"|not enlarged)"
)
_HEART = r"(?:heart|cardiac|cardio(?:vascular|pericardial)?(?: and |,? )?(?=mediastin)|cardiomediastinal)"
_MEDIASTINUM = r"(?:(?:cardio ?)?mediastin(?:al|um))"
_WIDE = r"(?:widen(?:ed|ing)|wide|enlarge(?:d|ment)|prominen(?:t|ce))"
_OF_THE_HEART = r"(?:cardiac|heart|cardiomediastinal)(?: (?:size|silhouette|shadow|contours?))?"
_CLEAR_PLEURA = rf"pleural spaces?(?: (?:is|are|appear|remain|both))* {_NOT}(?:clear|normal)"
_NOT_OF_THE_LUNG = (
    r"mediastinal|breast|bone|bony|osseous|osteolytic|lytic|sclerotic|blastic|skin|soft tissue|thyroid|paratracheal"
    r"|vertebral|rib|abdominal|axillary|chest wall|anterior mediastinal"
)

# What makes the contrary of words that deny.
CONTRARY = re.compile(
    r"\b(?:not|no longer|far from)(?: \w+){0,2} (?:normal|unremarkable|clear|well|intact|within)\b|\babnormal"
)

CONCEPTS: Mapping[str, Concept] = {
    **{kind: Concept(KIND_WORDS[kind], row.chexpert, sides=row.sides, zones=row.zones) for kind, row in KINDS.items()},
    # heart and mediastinum
    "borderline_heart": Concept(
        _words(
            rf"borderline(?: \w+)? (?:cardiomegaly|{_OF_THE_HEART}|enlarged (?:heart|cardiac)(?: \w+)?)"
            rf"|{_OF_THE_HEART}(?: (?:is|are|remains|appears))?(?: \w+)? borderline(?: (?:in size|enlarge\w+))?"
            r"|borderline enlargement of the (?:heart|cardiac)(?: \w+)?"
        ),
        "Cardiomegaly",
        "uncertain",
    ),
    "normal_heart": _denies(
        rf"{_HEART}{_STRUCTURES}{_NORMAL}|(?:normal|unremarkable)(?: (?:in|the|size|sized|appearing|of))*"
        rf"(?: \w+ and)? {_HEART}",
        "Cardiomegaly",
    ),
    "normal_mediastinum": _denies(
        rf"{_MEDIASTINUM}{_STRUCTURES}{_NORMAL}"
        rf"|(?:normal|unremarkable)(?:,? (?!(?:is|are|but|no|not)\b)\w+){{0,5}}?,? {_MEDIASTINUM}",
        "Enlarged Cardiomediastinum",
    ),
    "wide_mediastinum": Concept(
        _words(
            rf"{_WIDE}(?: (?!heart|cardiac|hil)\w+){{0,3}} {_MEDIASTINUM}"
            rf"|{_MEDIASTINUM}(?: (?!and\b|hil|heart)\w+){{0,4}} {_WIDE}"
        ),
        "Enlarged Cardiomediastinum",
    ),
    # lungs
    "opacity": _in_lung(
        r"opacit(?:y|ies)|opacifications?|opacified|infiltrat(?:es?|ions?|ive)|densit(?:y|ies)"
        r"|scar(?:ring|s|red)?|fibrosis|fibrotic(?: \w+)?|honeycombing|reticul(?:ar|ations?|onodular)(?: \w+)?"
        r"|interstitial (?:lung )?(?:disease|patterns?|changes?|thickening|abnormalit(?:y|ies)|prominence)"
        r"|(?:increased|prominent|prominence of|coarse|coarsened|coarsening of)(?: (?!and)\w+){0,3} markings"
        r"|interstitial (?:lung )?markings(?: (?:is|are|appear|remain))?(?: \w+)? (?:increased|prominent|coarse\w*)"
        r"|(?:coarse|chronic|diffuse|bilateral|irregular|abnormal) interstitial markings",
        "Lung Opacity",
    ),
    "clear_lungs": _denies(
        r"clear(?:,? (?:and|well|\w+ed))* lungs?(?! bases)"
        rf"|(?:(?:right|left|both) )?lungs?(?: (?!no\b|not\b)\w+| ?,){{0,6}}? {_NOT}(?:clear|well aerated)"
        rf"|lungs(?: (?:is|are|both|appear))* {_NOT}(?:normal|unremarkable)",
        "Lung Opacity",
        sides=SIDES,
    ),
    "lesion": _in_lung(
        r"(?:lung |pulmonary |cavitary |parenchymal |hilar |suspicious |spiculated )*"
        r"(?:(?:mass )?lesions?|neoplasms?|tumou?rs?|malignanc(?:y|ies)|carcinomas?|cancer"
        r"|metasta(?:sis|ses|tic disease))"
        r"|nodular (?:\w+ )?(?:opacit(?:y|ies)|densit(?:y|ies)|infiltrates?)|cavitations?",
        "Lung Lesion",
    ),
    "not_in_the_lung": _hides(
        r"(?:bone|bony|osseous|soft tissue|calcific|calcified|metallic|breast) (?:\w+ )?densit(?:y|ies)"
        rf"|(?:{_NOT_OF_THE_LUNG}) (?:\w+ )?(?:lesions?|mass(?:es)?|metastas[ei]s|neoplasms?|opacit(?:y|ies)|nodules?)"
        r"|(?:lesions?|mass(?:es)?) (?:in|of|within) the (?:\w+ )?(?:mediastinum|breast|bones?|clavicle|humer\w+|ribs?)"
        r"|nipple shadows?(?: \w+){0,2} nodules?"
    ),
    "congestion": Concept(
        _words(
            r"(?:vascular|pulmonary|venous) (?:congestion|engorgement)|(?:congestive )?(?:heart|cardiac) failure"
            r"|congestive (?:failure|changes?)|chf|failure|cephali[sz]ation|(?:volume|fluid) overload"
            r"|vascular (?:prominence|redistribution)|prominen(?:t|ce of the)(?: \w+){0,2} (?:vasculature|vascularity)"
            r"|(?:vasculature|vascularity|vessels)(?: \w+){0,3} (?:prominent|engorged|indistinct)"
        ),
        "Edema",
    ),
    "pneumonia": _in_lung(r"(?:broncho ?)?pneumoni(?:as?|tis)|infecti(?:ons?|ous)(?: \w+)?", "Pneumonia"),
    # pleura
    "effusion": _on_side(
        r"(?:hydro ?pneumo|hemo ?pneumo|hydro|hemo|haemo)thorax|empyema"
        r"|fluid(?: \w+){0,2} (?:the |both )?(?:\w+ )?fissures?|fissural fluid",
        "Pleural Effusion",
    ),
    "air_and_fluid": _on_side(r"(?:hydro ?pneumo|hemo ?pneumo)thorax", "Pneumothorax"),
    "no_fluid": _denies(_CLEAR_PLEURA, "Pleural Effusion"),
    "no_air": _denies(_CLEAR_PLEURA, "Pneumothorax", contrary=None),
    "pleural_change": _on_side(
        r"pleural(?: \w+){0,2} (?:thickening|plaques?|scar(?:s|ring)?|calcifications?|fibrosis)"
        r"|(?:scarring|thickening|calcification) of the (?:\w+ )?pleura|fibrothorax|apical cap(?:ping)?",
        "Pleural Other",
    ),
    # bones
    "fracture": _on_side(r"fractur(?:es?|ed)", "Fracture"),
    "intact_bones": _denies(
        r"(?:bones?|ribs?|skeleton|(?:bony|osseous|skeletal) (?:structures?|thorax|elements))"
        r"(?: \w+){0,4} intact",
        "Fracture",
    ),
    # devices
    "device": _on_side(
        r"(?:chest|thoracostomy|pleural|feeding|nasogastric|orogastric|gastric|enteric|ng|og|dobb?hoff|tracheostomy"
        r"|gastrostomy|peg|drainage|pigtail|nasoenteric|support) (?:\w+ )?(?:tubes?|catheters?|drains?)|tubes?"
        r"|(?:central |monitoring )?lines (?:or|and) tubes|catheters?|tracheostomy|cannulas?"
        r"|swan ganz(?: catheter)?|balloon pumps?|ecmo|(?:sternotomy|sternal|cerclage) (?:\w+ )?(?:wires?|sutures?)"
        r"|(?:surgical|mediastinal|cabg|vascular|hilar|cholecystectomy|axillary) (?:\w+ )?(?:clips?|staples?|sutures?)"
        r"|clips?|staples|prosthe(?:sis|ses|tic)(?: \w+){0,2}(?: valves?)?|(?:valve|joint|shoulder|hip|mitral|aortic)"
        r" (?:valve )?(?:replacements?|prosthes[ie]s|arthroplasty)|valvuloplasty|stents?|stimulators?|loop recorder"
        r"|(?:orthopedic|fusion|fixation|surgical|spinal|metallic)(?: \w+)? hardware|hardware|arthroplasty"
        r"|(?:fixation|surgical) (?:plates?|screws?|rods?)|support devices?|medical devices?|generators?|leads?"
        r"|(?:ventriculoperitoneal|vp) shunts?|ports?|(?:ivc )?filters?|(?:embolization )?coils?|sutures?|occluders?"
        r"|(?:bone|suture) anchors?|(?:cardiac|closure|implant\w+)(?: \w+)? devices?"
        r"|(?:spin\w+|cervical|thoracic|lumbar)(?: spine)? fusion",
        "Support Devices",
    ),
}
