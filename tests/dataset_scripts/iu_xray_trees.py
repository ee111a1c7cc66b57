"""Made-up copies of the Indiana University collection in its two forms, with small films. No report here is real."""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

HEADER = ("uid", "MeSH", "Problems", "image", "indication", "comparison", "findings", "impression")


def film(number: int, size: tuple[int, int] = (24, 20)) -> Image.Image:
    """A small picture of its own, (width, height) `size`."""
    pixels = np.random.default_rng(number).integers(0, 256, size[::-1], dtype=np.uint8)
    return Image.fromarray(pixels)


def write_csv(path: Path, rows) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def report_row(uid, mesh="normal", findings="Clear lungs.", impression="No acute disease.") -> tuple:
    heads = ";".join(code.split("/")[0] for code in mesh.split(";"))
    return (uid, mesh, heads, "Xray Chest PA and Lateral", "Cough", "None.", findings, impression)


def names_of(uid) -> tuple[str, str]:
    return f"{uid}_IM-{int(uid):04}-1001.dcm.png", f"{uid}_IM-{int(uid):04}-2001.dcm.png"


def write_kaggle(folder: Path, codes: dict[int, str], reports=None, projections=None) -> dict[str, Path]:
    """Tables and films of studies by their codes; `reports` and `projections` in place of the rows made from them."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    views = ("Frontal", "Lateral")
    if reports is None:
        reports = [report_row(uid, mesh) for uid, mesh in codes.items()]
    if projections is None:
        projections = [(uid, name, view) for uid in codes for name, view in zip(names_of(uid), views, strict=True)]
    for uid in codes:
        for number, name in enumerate(names_of(uid)):
            film(2 * uid + number).save(folder / "images" / name)
    return {
        "reports_csv": write_csv(folder / "indiana_reports.csv", [HEADER, *reports]),
        "projections_csv": write_csv(
            folder / "indiana_projections.csv", [("uid", "filename", "projection"), *projections]
        ),
    }


def ids_of(uid) -> list[str]:
    return [f"CXR{uid}_IM-{int(uid):04}-1001", f"CXR{uid}_IM-{int(uid):04}-2001"]


def xml(uid, codes=("normal",), ids=None, findings="Clear lungs.", impression="No acute disease.") -> str:
    """One report as Open-i writes it."""
    texts = {"COMPARISON": "None.", "INDICATION": "Cough", "FINDINGS": findings, "IMPRESSION": impression}
    parts = "".join(f'<AbstractText Label="{name}">{text}</AbstractText>' for name, text in texts.items())
    heads = "".join(f"<major>{code}</major>" for code in codes)
    images = "".join(f'<parentImage id="{name}"><figureId>F1</figureId></parentImage>' for name in ids or ids_of(uid))
    body = f'<uId id="CXR{uid}"/><Abstract>{parts}</Abstract><MeSH>{heads}<automatic>x</automatic></MeSH>{images}'
    return f'<?xml version="1.0" encoding="utf-8"?>\n<eCitation>{body}</eCitation>'


def write_tgz(path: Path, reports: dict[str, str | tarfile.TarInfo]) -> Path:
    """An archive of reports by member name; a TarInfo stands for itself."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in reports.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content.encode())
            tar.addfile(member, io.BytesIO(content.encode()))
    return path
