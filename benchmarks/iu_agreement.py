"""The rule labels of the 3,955 reports of the Indiana University collection, against their experts' MeSH codes.

A second hand's truth for `evaluation/clinical/labeler.py`: the coders read the same reports and wrote down what they
found, as "Pleural Effusion/bilateral/small". Demner-Fushman et al. 2016, "Preparing a collection of radiology
examinations for distribution and retrieval". The reports (CC BY-NC-ND 4.0) are read from the archive that the user
names and never stored; the result holds counts. Reports that the coders did not index, or without findings and
impression, are left out. The labeler was developed with an eye on the odd report numbers; the even ones are its test
and stand in the table beside all. No text of them was read, but two cues of `phantom.scope` were narrowed because their
counts had fallen: they are not wholly blind. The map from codes to observations is ours, and that round opacities are
Lung Lesion was settled on the odd ones too.

Two tables: "stated" counts what the labeler calls positive, "stated_or_possible" what it calls uncertain too. Coders
had no code for doubt and settled it case by case, so that neither table is the fair one for all kinds: they coded most
possible atelectasis and cardiomegaly ("borderline"), and few possible pneumonias.

Where the two hands differ most, from reading the odd reports:

- Pneumonia. The coder takes a pneumonia that the report only suspects, or leaves out one that it is sure of and codes
  the opacity alone. De-identification often took the word of doubt itself ("XXXX" for "likely"): what is left reads as
  a plain statement.
- Lung Lesion. The coder writes Nodule for calcified nodules, which the report and the labeler call granuloma, and
  codes round calcified densities; the labeler takes every "nodular" opacity, also one that projects over a rib and may
  be none. A few codes have no word in the report at all.
- Pleural Other. "Thickening versus fluid" is an alternative for the labeler, a finding for the coder; thickening of a
  fissure is not in the vocabulary.
- Atelectasis (stated). "Atelectasis or infiltrate", "may represent atelectasis": coded, but only possible.
- Edema. Prominent vessels are Pulmonary Congestion for the coder in more wordings than the vocabulary knows.
- Fracture. The surplus is fractures of ribs, scapula and clavicle that are described and not coded.
- Support Devices. De-identification removed the device's name ("right chest XXXX").

    python benchmarks/iu_agreement.py --archive NLMCXR_reports.tgz    # or the torchxrayvision wheel that holds it
"""

import argparse
import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from speed.measure import write_result

from hf_medreport.evaluation.clinical.labeler import Mention, find_mentions
from hf_medreport.evaluation.clinical.observations import OBSERVATIONS, PATHOLOGIES
from hf_medreport.processing.input_error import InputError

MEMBER = "NLMCXR_reports.tgz"
# Kinds that are no CheXpert observation; the labeler finds them all the same.
OTHERS = ("calcified_granuloma", "hyperinflation", "scoliosis", "elevated_diaphragm")
# Head of a code -> what it says; heads that need a qualifier stand in `QUALIFIED`.
HEADS = {
    "cardiomegaly": "Cardiomegaly",
    "aortic aneurysm": "Enlarged Cardiomediastinum",
    "opacity": "Lung Opacity",
    "infiltrate": "Lung Opacity",
    "pulmonary fibrosis": "Lung Opacity",
    "fibrosis": "Lung Opacity",
    "lung diseases, interstitial": "Lung Opacity",
    "nodule": "Lung Lesion",
    "cavitation": "Lung Lesion",
    "pulmonary edema": "Edema",
    "pulmonary congestion": "Edema",
    "heart failure": "Edema",
    "consolidation": "Consolidation",
    "airspace disease": "Consolidation",
    "pneumonia": "Pneumonia",
    "pulmonary atelectasis": "Atelectasis",
    "pneumothorax": "Pneumothorax",
    "hydropneumothorax": "Pneumothorax",
    "hemopneumothorax": "Pneumothorax",
    "pleural effusion": "Pleural Effusion",
    "hemothorax": "Pleural Effusion",
    "pleura": "Pleural Other",
    "fractures, bone": "Fracture",
    "catheters, indwelling": "Support Devices",
    "tube, inserted": "Support Devices",
    "implanted medical device": "Support Devices",
    "medical device": "Support Devices",
    "surgical instruments": "Support Devices",
    "stents": "Support Devices",
    "sutures": "Support Devices",
    "spinal fusion": "Support Devices",
    "calcified granuloma": "calcified_granuloma",
    "granuloma": "calcified_granuloma",
    "granulomatous disease": "calcified_granuloma",
    "scoliosis": "scoliosis",
}
# (head, one of these qualifiers, what it says)
QUALIFIED = (
    ("cardiac shadow", {"enlarged"}, "Cardiomegaly"),
    ("heart", {"enlarged"}, "Cardiomegaly"),
    ("aorta", {"tortuous", "enlarged"}, "Enlarged Cardiomediastinum"),
    ("aorta, thoracic", {"tortuous", "enlarged"}, "Enlarged Cardiomediastinum"),
    ("mediastinum", {"enlarged", "prominent"}, "Enlarged Cardiomediastinum"),
    ("markings", {"interstitial", "prominent"}, "Lung Opacity"),
    ("cicatrix", {"lung"}, "Lung Opacity"),
    ("mass", {"lung"}, "Lung Lesion"),
    ("thickening", {"pleura"}, "Pleural Other"),
    ("calcinosis", {"pleura"}, "Pleural Other"),
    ("cicatrix", {"pleura"}, "Pleural Other"),
    ("lung", {"hyperdistention"}, "hyperinflation"),
    ("diaphragm", {"elevated"}, "elevated_diaphragm"),
)


def coded(code: str) -> tuple[set[str], set[str]]:
    """(kinds, sides) of one MeSH code, as "Opacity/lung/base/left"."""
    head, *qualifiers = (" ".join(part.lower().split()) for part in code.split("/"))
    kinds = {HEADS[head]} if head in HEADS else set()
    kinds |= {kind for name, needed, kind in QUALIFIED if name == head and needed & set(qualifiers)}
    if head in ("density", "opacity") and "lung" in qualifiers:
        kinds = {"Lung Lesion" if "round" in qualifiers else "Lung Opacity"}
    if head in ("hydropneumothorax", "hemopneumothorax"):
        kinds.add("Pleural Effusion")
    sides = {side for side in ("right", "left") if {side, "bilateral"} & set(qualifiers)}
    return kinds, sides


def read_reports(archive: Path) -> Iterator[tuple[int, str, list[str]]]:
    """(number, findings and impression under their headings, MeSH major codes) of every report."""
    data = archive.read_bytes()
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as wheel:
            names = [name for name in wheel.namelist() if name.endswith(MEMBER)]
            if not names:
                raise InputError(str(archive), f"no {MEMBER} inside", "the reports' archive", "name another archive")
            data = wheel.read(names[0])
    with tarfile.open(fileobj=io.BytesIO(data)) as reports:
        for member in reports:
            if member.name.endswith(".xml"):
                root = ElementTree.fromstring(reports.extractfile(member).read())
                parts = {part.get("Label"): part.text or "" for part in root.iter("AbstractText")}
                text = "\n\n".join(f"{name}: {parts[name]}" for name in ("FINDINGS", "IMPRESSION") if parts.get(name))
                yield int(Path(member.name).stem), text, [code.text for code in root.iter("major")]


def by_coders(codes: list[str]) -> dict[str, set[str]]:
    """Kind -> sides, as the codes of a report have it."""
    found: dict[str, set[str]] = {}
    for kinds, sides in map(coded, codes):
        for kind in kinds:
            found[kind] = found.get(kind, set()) | sides
    return found


def by_rule(mentions: list[Mention], statuses: tuple[str, ...]) -> dict[str, set[str]]:
    """Kind -> sides, as the labeler reads the report with these statuses."""
    found: dict[str, set[str]] = {}
    for one in mentions:
        if one.status in statuses:
            for kind in {one.observation, one.concept} & {*OBSERVATIONS, *OTHERS}:
                found[kind] = found.get(kind, set()) | ({one.side} - {None})
    return found


def with_no_finding(found: dict[str, set[str]]) -> dict[str, set[str]]:
    return found if set(PATHOLOGIES) & set(found) else {**found, "No Finding": set()}


def agreement(pairs: list[tuple[dict, dict]], kind: str) -> dict[str, float | int | None]:
    """How often the two hands agree on a kind: counts, precision, recall, F1, Cohen's kappa, and sides if both give
    any."""
    both = sum(kind in rule and kind in coders for rule, coders in pairs)
    rule, coders = (sum(kind in pair[hand] for pair in pairs) for hand in (0, 1))
    n = len(pairs)
    agreed, chance = (n - rule - coders + 2 * both) / n, (rule * coders + (n - rule) * (n - coders)) / n**2
    sided = [(one[kind], two[kind]) for one, two in pairs if one.get(kind) and two.get(kind)]
    return {
        "coders": coders,
        "rule": rule,
        "both": both,
        "precision": both / rule if rule else None,
        "recall": both / coders if coders else None,
        "f1": 2 * both / (rule + coders) if rule + coders else None,
        "kappa": (agreed - chance) / (1 - chance) if chance < 1 else None,
        "same_side": sum(one == two for one, two in sided) / len(sided) if sided else None,
    }


def rounded(row: dict) -> dict:
    return {name: round(figure, 3) if isinstance(figure, float) else figure for name, figure in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--archive", type=Path, required=True, help=f"{MEMBER}, or the torchxrayvision wheel")
    archive = parser.parse_args().archive
    if not archive.is_file():
        parser.error(str(InputError("--archive", f"no file {archive}", MEMBER, "name the archive or the wheel")))
    reports = [row for row in read_reports(archive) if row[1] and row[2] != ["No Indexing"]]
    mentions = {number: find_mentions(text) for number, text, _ in reports}
    coders = {number: with_no_finding(by_coders(codes)) for number, _, codes in reports}
    tables = {}
    for name, statuses in (("stated", ("positive",)), ("stated_or_possible", ("positive", "uncertain"))):
        rule = {number: with_no_finding(by_rule(found, statuses)) for number, found in mentions.items()}
        for part, numbers in (("all", list(rule)), ("even", [number for number in rule if number % 2 == 0])):
            pairs = [(rule[number], coders[number]) for number in numbers]
            kinds = {kind: rounded(agreement(pairs, kind)) for kind in (*OBSERVATIONS, *OTHERS)}
            tables.setdefault(name, {})[part] = {"reports": len(pairs), **kinds}
    write_result("iu_agreement", {"command": "python benchmarks/iu_agreement.py", **tables})
    print_table(tables)


def print_table(tables: dict) -> None:
    """All reports, what is stated; beside it the F1 of the even reports, and of all if possible findings count."""
    columns = ("coders", "rule", "both", "precision", "recall", "f1", "kappa", "same_side")
    stated, possible = tables["stated"], tables["stated_or_possible"]["all"]
    print(f"{'':28}" + "".join(f"{name:>10}" for name in (*columns, "even f1", "poss. f1")))
    for kind in (*OBSERVATIONS, *OTHERS):
        row = [*(stated["all"][kind][name] for name in columns), stated["even"][kind]["f1"], possible[kind]["f1"]]
        print(f"{kind:28}" + "".join(f"{'-' if cell is None else cell:>10}" for cell in row))
    for kinds in (OBSERVATIONS, (*OBSERVATIONS, *OTHERS)):
        even = [stated["even"][kind]["f1"] or 0.0 for kind in kinds]
        print(f"mean even f1 of {len(kinds)} kinds: {sum(even) / len(even):.3f}")


if __name__ == "__main__":
    main()
