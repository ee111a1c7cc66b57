"""A sheet of drawn films: frontal and lateral of one patient, prior and current, both styles, with what each shows.

python examples/phantom_sheet.py --out examples/pictures/phantom_sheet.png
"""

import argparse
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt

from hf_medreport.phantom.chest.frontal import draw_frontal
from hf_medreport.phantom.chest.lateral import draw_lateral
from hf_medreport.phantom.chest.parser import facts_from_text

SIZE = 384
# (title, how it is drawn, visit, findings)
TILES = (
    ("frontal", draw_frontal, {}, "pacemaker left; moderate cardiomegaly; mild right pleural effusion"),
    ("lateral, same patient", draw_lateral, {}, "pacemaker left; moderate cardiomegaly; mild right pleural effusion"),
    ("prior", draw_frontal, {}, "24 mm right upper zone nodule; left lower zone atelectasis"),
    ("current: larger", draw_frontal, {"visit": 1}, "30 mm right upper zone nodule; left lower zone atelectasis"),
    ("frontal", draw_frontal, {}, "right lower zone consolidation; endotracheal tube; right central line"),
    ("frontal", draw_frontal, {}, "moderate left pneumothorax; multiple left rib fractures; tortuous aorta"),
    ("frontal", draw_frontal, {}, "severe right scoliosis; multiple left middle zone calcified granulomas"),
    ("held-back style", draw_frontal, {"style": "held_back"}, "moderate interstitial edema; elevated left diaphragm"),
)
PATIENTS = (1, 1, 2, 2, 3, 4, 5, 6)


def main(out: Path) -> None:
    figure, axes = plt.subplots(2, 4, figsize=(12, 7.2), layout="constrained")
    for axis, patient, (title, draw, how, text) in zip(axes.flat, PATIENTS, TILES, strict=True):
        film = draw(facts_from_text(text), patient, SIZE, **how)
        axis.imshow(film.image, cmap="gray", vmin=0, vmax=255)
        for index, mask in enumerate(film.findings.values()):
            axis.contour(mask, levels=[0.5], colors=f"C{index + 1}", linewidths=0.8)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel(textwrap.fill(text, 44), fontsize=8)
        axis.set_xticks([])
        axis.set_yticks([])
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("phantom_sheet.png"))
    main(parser.parse_args().out)
