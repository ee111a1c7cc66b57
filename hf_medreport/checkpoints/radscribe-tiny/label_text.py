"""The label string of RadScribe's tables: CheXpert names, each in single quotes, joined by commas.

    parse_labels("'Cardiomegaly', 'Edema'")  # ["Cardiomegaly", "Edema"]
    label_text(["Cardiomegaly", "Edema"])    # "'Cardiomegaly', 'Edema'"

Read too: names without quotes or in double ones, a list in brackets, and the three ways in which a film without labels
is written (`""`, `"''"`, `"'No Finding'"`). "No Finding" is the absence of labels: beside others (CheXpert gives it
together with "Support Devices") it says nothing more and is left out, so a list of labels never holds it.
"""

import difflib
import re
from collections.abc import Iterable

from .input_error import InputError

# In CheXbert's order.
LABELS = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    "No Finding",
)
NO_FINDING = "No Finding"
# No name holds a comma or a quote, so commas part the names and a quote inside one is a broken quote.
NAME = re.compile(r"""\s*(['"]?)\s*([^'"]*?)\s*\1\s*""")


def parse_labels(text: str, where: str = "labels") -> list[str]:
    """The names in a label string, in its order.

    Args:
        text: the string.
        where: what messages call it.

    Raises:
        InputError: a quote that does not end, or a name that CheXpert does not have.
    """
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    names = []
    for part in text.split(","):
        match = NAME.fullmatch(part)
        if match is None:
            found = f"broken quotes at {part.strip():.30}"
            raise InputError(where, found, "each name in quotes, commas between", "mend the label")
        names.append(match[2])
    return checked_labels(filter(None, names), where)


def read_labels(value: object, where: str = "labels") -> list[str]:
    """The names in a value of either form: a list of names, or a label string.

    Raises:
        InputError: another type, or what `parse_labels` raises.
    """
    if isinstance(value, str):
        return parse_labels(value, where)
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value):
        return checked_labels(value, where)
    expected = "a list of CheXpert's names, or these in quotes with commas between"
    raise InputError(where, f"labels {value!r:.20}", expected, "correct them")


def checked_labels(names: Iterable[str], where: str = "labels") -> list[str]:
    """The same names without repetition and without "No Finding".

    Raises:
        InputError: a name that CheXpert does not have.
    """
    names = list(dict.fromkeys(names))
    for name in names:
        if name not in LABELS:
            nearest = difflib.get_close_matches(str(name), LABELS, n=1)
            remedy = f"did you mean '{nearest[0]}'?" if nearest else f"known are {', '.join(LABELS)}"
            raise InputError(where, f"unknown label '{name!s:.30}'", "one of CheXpert's 14 names", remedy)
    return [name for name in names if name != NO_FINDING]


def label_text(names: Iterable[str], where: str = "labels") -> str:
    """The label string of some names, as RadScribe writes it; an empty string of none.

    Raises:
        InputError: a name that CheXpert does not have.
    """
    return ", ".join(f"'{name}'" for name in checked_labels(names, where))
