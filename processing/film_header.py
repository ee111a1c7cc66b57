"""What the header of a DICOM film says of the picture: what it is of, and how it lies.

A film that lies otherwise than the standard view shows the patient's sides exchanged, or turned, and a picture of
another kind or part is no chest film; a model sees neither. So `inspected` refuses them, says how to insist, and notes
what cannot be known. Nothing is turned unless it is asked for.

**What it is of.** Modality CR, DX and RG pass; OT, SC and a missing one pass with a note, where the SOP class does not
name another modality; all others are refused: RF too, whose pictures are moments of a fluoroscopy. BodyPartExamined
passes where it names the chest, or nothing.

**How it lies.** PatientOrientation, or else ImageOrientationPatient, names the patient's sides at the right and lower
edge of the picture. The standard view of a frontal film is L, F (the patient's left at the right edge, the feet below),
of a lateral one P, F. A lateral film that faces the other way (A, F) is hung so by many, exchanges no sides, and passes
with a note. Headers of animals' sides, of axial pictures, and of one direction alone, are noted and not used.
"""

import re
from typing import NamedTuple

import numpy as np

from .dicom_elements import as_number, code, frame_groups, values_of
from .input_error import InputError

try:
    import pydicom
except ImportError:
    pydicom = None

ELEMENTS = [
    *("SOPClassUID", "Modality", "BodyPartExamined", "PatientOrientation", "ImageOrientationPatient"),
    *("Laterality", "ImageLaterality", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
]
FILMS, UNSURE = ("CR", "DX", "RG"), ("OT", "SC", "")
# SOP classes of other modalities, below this root; an enhanced class begins as its plain one does.
ROOT = "1.2.840.10008.5.1.4.1.1."
OTHERS = {"1.2": "MG", "1.3": "IO", "2": "CT", "3.1": "US", "4": "MR", "6": "US", "12.1": "XA", "12.2": "RF"}
OTHERS |= {"20": "NM", "66.4": "SEG", "77.1": "XC", "128": "PT", "130": "PT", "481.2": "RTDOSE"}
CHEST = re.compile(r"CHEST|TH?[OÓ]RAX|THORACIC$|TORACE|\bLUNGS?\b|\bCXR\b|BRUSTKORB|POITRINE")
NO_PART = ("", "UNKNOWN", "UNSPECIFIED", "OTHER", "NONE", "N/A")
LENGTH = 24  # of a header's value in a message

AXES = {"L": 0, "R": 0, "P": 1, "A": 1, "H": 2, "F": 2}
OPPOSITE = dict(zip("LRPAHF", "RLAPFH", strict=True))
SIDES = re.compile(r"[LRPAHF]{1,3}")
STANDARD = {0: ("L", "F"), 1: ("P", "F")}  # by the axis that lies across: frontal, lateral
OTHER_WAY = ("A", "F")
ORIENTS = (None, "header", "stored")


class Inspected(NamedTuple):
    """Notes, and the sides of the picture from which it has to be turned to the standard view; None as it is."""

    notes: tuple[str, ...]
    turned_from: tuple[str, str] | None


def inspected(
    header: "pydicom.Dataset", frame: int, name: str, orient: str | None = None, any_modality: bool = False
) -> Inspected:
    """What must be known of a film by its header.

    Args:
        header: with the `ELEMENTS`.
        frame: which one, counted from 0.
        name: what messages call the film.
        orient: None refuses a film that does not lie as the standard view, "header" turns it, "stored" takes it as it
            is stored.
        any_modality: take what is no chest film too.

    Raises:
        InputError: no chest film, or one that lies otherwise, and nobody insisted.
    """
    notes = [*_of_what(header, name, any_modality), *_lateralities(header, frame, name)]
    lies, source, problem = _lies(header, frame, name)
    if problem and lies is not None and orient != "stored":  # two that contradict each other
        raise InputError(name, problem, "one orientation", 'pass `orient="stored"` to read it as it is stored')
    if problem:
        notes.append(f"{problem}: left and right are not checked")
        return Inspected(tuple(notes), None)
    if lies is None:
        if orient == "header":
            notes.append("the header does not say how the film lies: read as it is stored")
        return Inspected(tuple(notes), None)
    axes = {AXES[side] for side in lies}
    if AXES["F"] not in axes:
        notes.append(f"the header states an axial picture ({source}): left and right are not checked")
        return Inspected(tuple(notes), None)
    standard = STANDARD[min(axes)]
    if lies == standard:
        return Inspected(tuple(notes), None)
    what = f"a {_way(lies, standard)} film ({source})"
    if orient == "header":
        notes.append(f"the header states {what}: turned to the standard view, as asked")
        return Inspected(tuple(notes), lies)
    if lies == OTHER_WAY:
        notes.append(f"the header states a lateral film that faces the other way ({source}): read as it is stored")
        return Inspected(tuple(notes), None)
    if orient == "stored":
        notes.append(f"the header states {what}: read as it is stored, as asked; left and right may be exchanged")
        return Inspected(tuple(notes), None)
    expected = f"rows that run to {standard[0]} and columns that run to {standard[1]}, the standard view"
    remedy = 'pass `orient="header"` to turn it, or `orient="stored"` where the header is wrong'
    raise InputError(name, what, expected, remedy)


def turned(picture: np.ndarray, lies: tuple[str, str]) -> np.ndarray:
    """A picture (rows, columns, ...) whose edges lie so, as the standard view."""
    across, down = lies
    if AXES[across] == AXES["F"]:
        picture, across, down = np.swapaxes(picture, 0, 1), down, across
    if across != STANDARD[AXES[across]][0]:
        picture = picture[:, ::-1]
    return picture[::-1] if down != "F" else picture


# --- what it is of ----------------------------------------------------------------------------------------------------


def _of_what(header: "pydicom.Dataset", name: str, any_modality: bool) -> list[str]:
    """Notes on modality and body part."""
    notes = []
    modality, part = _modality(header, name), _codes(header, "BodyPartExamined", name)
    if modality not in (*FILMS, *UNSURE):
        _insist(any_modality, name, f"Modality {modality}", "a chest film (Modality CR, DX or RG)")
        notes.append(f"Modality {modality}: no chest film, read as one, as asked")
    elif modality not in FILMS:
        found = f"Modality {modality}" if modality else "no Modality"
        notes.append(f"{found}: the header does not say that this is a chest film")
    if part in NO_PART[1:]:
        notes.append(f"BodyPartExamined {part}: the header does not say that this is a chest film")
    elif part and not CHEST.search(part):
        _insist(any_modality, name, f"BodyPartExamined {part}", "a film of the chest or thorax")
        notes.append(f"BodyPartExamined {part}: no chest film, read as one, as asked")
    return notes


def _insist(asked: bool, name: str, found: str, expected: str) -> None:
    if not asked:
        raise InputError(name, found, expected, "give a chest film, or pass `any_modality` to read it all the same")


def _modality(header: "pydicom.Dataset", name: str) -> str:
    """That of a SOP class which is no film's, else Modality."""
    class_uid = str(header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID") or "")
    branch = class_uid.removeprefix(ROOT) + "."
    modality = _codes(header, "Modality", name)
    return next((other for root, other in OTHERS.items() if branch.startswith(f"{root}.")), modality)


def _codes(header: "pydicom.Dataset", keyword: str, name: str) -> str:
    """All codes of an element as one word, cut to what a message has room for."""
    found = [str(value).strip(" \0").upper() for value in values_of(header, keyword, name)]
    return "\\".join(filter(None, found))[:LENGTH]


def _lateralities(header: "pydicom.Dataset", frame: int, name: str) -> list[str]:
    """A note where the elements that name a side name different ones."""
    anatomy = frame_groups(header, frame, name, ("FrameAnatomySequence",))[:-1]
    told = {keyword: code(header, keyword, name) for keyword in ("Laterality", "ImageLaterality")}
    told |= {"FrameLaterality": next((code(group, "FrameLaterality", name) for group in anatomy), "")}
    told = {keyword: value[:LENGTH] for keyword, value in told.items() if value}
    if len(set(told.values())) < 2:
        return []
    words = " and ".join(f"{keyword} {value}" for keyword, value in told.items())
    return [f"{words} contradict each other: the side of this film is not sure"]


# --- how it lies ------------------------------------------------------------------------------------------------------


def _lies(header: "pydicom.Dataset", frame: int, name: str) -> tuple[tuple[str, str] | None, str, str]:
    """The patient's sides at the right and lower edge (None where it is not said), where that is said, and what is
    wrong with it."""
    groups = frame_groups(header, frame, name, ("PlaneOrientationSequence",))
    cosines = next(filter(None, (values_of(group, "ImageOrientationPatient", name) for group in groups)), [])
    letters = [str(value).strip(" \0").upper() for value in values_of(header, "PatientOrientation", name)]
    by_letters, by_cosines = _sides_of_letters(letters), _sides_of_cosines(cosines, name)
    told = {"PatientOrientation": by_letters, "ImageOrientationPatient": by_cosines}
    told = {keyword: sides for keyword, sides in told.items() if sides is not None}
    words = [f"{keyword} {sides[0]}\\{sides[1]}" for keyword, sides in told.items()]
    if len(set(told.values())) == 2:
        return by_letters, "", " and ".join(words) + ", which contradict each other"
    if told:
        return next(iter(told.values())), words[0], ""
    if any(letters):
        found = "\\".join(letters)[:LENGTH]
        return None, "", f"PatientOrientation {found} does not say how the film lies"
    if cosines:
        return None, "", "ImageOrientationPatient does not say how the film lies"
    return None, "", ""


def _sides_of_letters(letters: list[str]) -> tuple[str, str] | None:
    """(across, down) of PatientOrientation, whose first letter of each direction is its main one."""
    if len(letters) != 2 or not all(SIDES.fullmatch(each) for each in letters):
        return None
    across, down = letters[0][0], letters[1][0]
    return None if AXES[across] == AXES[down] else (across, down)


def _sides_of_cosines(cosines: list, name: str) -> tuple[str, str] | None:
    """(across, down) of ImageOrientationPatient: rows and columns along x (to L), y (to P) and z (to H)."""
    try:
        vectors = np.array([as_number(value, "ImageOrientationPatient", name) for value in cosines]).reshape(2, 3)
    except ValueError:  # not six numbers; an InputError is one too
        return None
    axes = np.abs(vectors).argmax(axis=1)
    if axes[0] == axes[1] or not np.abs(vectors).max(axis=1).all():
        return None
    main = vectors[[0, 1], axes]
    return tuple("LPH"[axis] if value > 0 else OPPOSITE["LPH"[axis]] for axis, value in zip(axes, main, strict=True))


def _way(lies: tuple[str, str], standard: tuple[str, str]) -> str:
    """Mirrored, turned or both, in relation to the standard view."""
    quarter = AXES[lies[0]] == AXES["F"]
    across, down = lies[::-1] if quarter else lies
    mirrored = quarter ^ (across != standard[0]) ^ (down != "F")
    is_turned = quarter or down != "F"
    return " and ".join(["mirrored"] * mirrored + ["turned"] * is_turned)
