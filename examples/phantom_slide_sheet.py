"""A sheet of drawn slides: tissue of every diagnosis by grade, normal tissue, and whole slides with what each shows.

python examples/phantom_slide_sheet.py --out examples/pictures/phantom_slide_sheet.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from hf_medreport.phantom.slide.drawing import SlideDrawing
from hf_medreport.phantom.slide.findings import BENIGN, DIAGNOSES, SlideFacts

TILE, SIZE, MPP = 320, 2048, 1.0
TUMORS = [(site, name) for site, names in DIAGNOSES.items() for name in names if name != BENIGN]
# (title, style, pen, facts) of the whole slides
WHOLE = (
    ("margin positive, 1 of 3 nodes", "standard", False, {"margin": "positive", "nodes": (1, 3)}),
    ("margin negative, marked inflammation", "standard", False, {"margin": "negative", "inflammation": "marked"}),
    ("5 cm, extensive necrosis", "standard", False, {"size_cm": 5.0, "necrosis": "extensive", "grade": 3}),
    ("1 cm, pen stroke", "standard", True, {"size_cm": 1.0, "nodes": (0, 2)}),
    ("held-back style", "held_back", False, {"nodes": (2, 5), "necrosis": "focal"}),
    ("no malignancy", "standard", False, None),
)


def tumor(site: str, diagnosis: str, **changes) -> SlideFacts:
    facts = {"grade": 2, "mitoses": 12, "margin": "negative", "size_cm": 3.0} | changes
    positive, examined = facts.pop("nodes", (0, 0))
    return SlideFacts(site, diagnosis, **facts, nodes_positive=positive, nodes_examined=examined)


def tile(facts: SlideFacts, patient: int) -> np.ndarray:
    """A piece from the middle of the tumor, or of the section."""
    drawing = SlideDrawing(facts, patient, SIZE, MPP)
    maps = drawing.truth_map(64)
    rows, columns = np.nonzero(maps["tissue"] if facts.grade is None else maps["tumor"] & ~maps["necrosis"])
    x, y = (int(places.mean() * SIZE / 64) - TILE // 2 for places in (columns, rows))
    return drawing.region(x, y, TILE, TILE)


def main(out: Path) -> None:
    figure, axes = plt.subplots(5, len(TUMORS), figsize=(14, 12.5), layout="constrained")
    for column, (site, diagnosis) in enumerate(TUMORS):
        for row, grade in enumerate((1, 2, 3)):
            axes[row, column].imshow(tile(tumor(site, diagnosis, grade=grade, mitoses=10 * grade), 10 * grade + column))
            axes[row, column].set_title(f"{site}, grade {grade}\n{diagnosis}", fontsize=8)
        axes[3, column].imshow(tile(SlideFacts(site, BENIGN, inflammation="mild"), column))
        axes[3, column].set_title(f"{site}, {BENIGN}", fontsize=8)
        title, style, pen, changes = WHOLE[column]
        facts = SlideFacts(site, BENIGN) if changes is None else tumor(site, diagnosis, **changes)
        whole = SlideDrawing(facts, 70 + column, SIZE, MPP, style, pen).region(0, 0, SIZE, SIZE)
        axes[4, column].imshow(whole.reshape(SIZE // 4, 4, SIZE // 4, 4, 3).mean((1, 3)).astype(np.uint8))
        axes[4, column].set_title(title, fontsize=8)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=75)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("phantom_slide_sheet.png"))
    main(parser.parse_args().out)
