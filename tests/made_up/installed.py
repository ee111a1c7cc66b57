"""Packages as they lie where they were installed: their code, and beside it what their metadata announces."""

import shutil
from pathlib import Path

SOURCE = Path(__file__).parent / "made_up_report"
# Its row is whole, and what the row names is not there.
HOLLOW = """
from hf_medreport.registry import System

ROWS = (
    System(
        model_type="hollow",
        kind="report",
        config="hollow_report.configuration:HollowConfig",
        model="hollow_report.modeling:Hollow",
        auto_classes=("AutoModel",),
        converters={"hollow": "hollow_report.convert:hollow"},
    ),
)
"""


def announce(folder: Path, package: str) -> None:
    """Write the metadata of a package whose systems are `PACKAGE.row:ROWS`."""
    metadata = folder / f"{package}-0.1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 0.1\n")
    (metadata / "entry_points.txt").write_text(f"[hf_medreport.systems]\n{package} = {package}.row:ROWS\n")


def install(folder: Path) -> Path:
    """Install the made-up package into a folder, which is to stand on the path of a process; returns the folder."""
    shutil.copytree(SOURCE, folder / SOURCE.name, ignore=shutil.ignore_patterns("__pycache__"))
    announce(folder, SOURCE.name)
    return folder


def install_broken(folder: Path) -> None:
    """Install two packages that do not work: one without code, and one whose row names code that is not there."""
    announce(folder, "gone_report")
    (folder / "hollow_report").mkdir()
    (folder / "hollow_report" / "__init__.py").touch()
    (folder / "hollow_report" / "row.py").write_text(HOLLOW)
    announce(folder, "hollow_report")
