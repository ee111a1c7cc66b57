"""A sheet of drawn pictures: every finding of four modalities with its mask's outline, and the held-back style.

python examples/phantom_pictures_sheet.py --out examples/pictures/phantom_pictures_sheet.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

from hf_medreport.phantom.picture.corpus import draw_picture
from hf_medreport.phantom.picture.facts import MODALITIES, NO_FINDING, PictureFact
from hf_medreport.phantom.picture.modality import GRADES, SIDES

SIZE = 160


def fact_of(modality: str, finding: str, number: int) -> PictureFact:
    """The finding, of grades, sides and zones that take turns."""
    row = MODALITIES[modality].findings.get(finding)
    sides = SIDES if MODALITIES[modality].of_an_eye else row.sides if row else ()
    values = (sides, row.zones if row else (), row.grades if row else ())
    return PictureFact(modality, finding, *(one[number % len(one)] if one else None for one in values))


def main(out: Path) -> None:
    modalities = [name for name in MODALITIES if name != "cxr"]
    columns = 2 + max(len(MODALITIES[name].findings) for name in modalities)
    figure, axes = plt.subplots(len(modalities), columns, figsize=(2 * columns, 9), layout="constrained")
    for row, name in zip(axes, modalities, strict=True):
        findings = list(MODALITIES[name].findings)
        shown = [(NO_FINDING, "standard"), *((one, "standard") for one in findings), (findings[0], "held_back")]
        for number, (axis, (finding, style)) in enumerate(zip(row, shown, strict=False)):
            fact = fact_of(name, finding, number + len(GRADES))
            picture = draw_picture(fact, 20 + number, SIZE, style)
            axis.imshow(picture.image, cmap="gray", vmin=0, vmax=255)
            if picture.mask.any():
                axis.contour(picture.mask, levels=[0.5], colors="lime", linewidths=0.8)
            words = (fact.grade, fact.side, fact.zone, finding, f"({style.replace('_', ' ')})" * (style != "standard"))
            axis.set_title(f"{name}\n{' '.join(word for word in words if word)}", fontsize=7)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=75)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("phantom_pictures_sheet.png"))
    main(parser.parse_args().out)
