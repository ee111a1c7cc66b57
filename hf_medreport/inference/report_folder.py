"""The folder of a run of reports: `FILM_report.png` for each and `report.json`, each whole or not there at all."""

import os
from dataclasses import asdict
from pathlib import Path

from hf_medreport.files.writing import output_folder, unique_stem, write_json, write_whole
from hf_medreport.inference.report import Failure, Report


class ReportFolder:
    """Args:
    out: the folder, made when absent.
    """

    def __init__(self, out: str | os.PathLike):
        self.folder, self.used = output_folder(out), set()

    def add(self, report: Report, facts: list[tuple[str, str]] | None = None) -> Path:
        """Draw one report; `facts` as in `report_figure`."""
        figure = report.figure(facts)
        picture = self.folder / f"{unique_stem(report.name, self.used)}_report.png"
        return write_whole(picture, lambda path: figure.savefig(path, format="png"))

    def finish(self, results: list[Report | Failure]) -> Path:
        """Write `report.json`."""
        return write_json(self.folder / "report.json", to_json(results))


def to_json(results: list[Report | Failure]) -> dict:
    """What `report.json` and a screen's JSON hold."""
    return {
        "reports": [result.to_json() for result in results if isinstance(result, Report)],
        "failures": [asdict(result) for result in results if isinstance(result, Failure)],
    }
