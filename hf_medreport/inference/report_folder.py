"""The folder of a run of reports: `NAME_report.png` and a line of `records.jsonl` for each, at the end `report.json`.

with ReportFolder("reports", overwrite=True) as folder:
    for report in report_any(films, pipe):
        folder.add(report)
    folder.finish()
"""

import os
from collections import ChainMap
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from hf_medreport.files.items import item_stem, item_stems, unlike
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.files.shares import ALL, Share, finish_share
from hf_medreport.inference.batches import failed
from hf_medreport.inference.report import Failure, Report


@dataclass
class DrawnReport:
    """A report as a folder keeps it, its pixels let go of: what a worker sends.

    `name` is what its picture is named after, `fields` its JSON, `picture` a PNG, `text` what a screen shows.
    """

    name: str
    fields: dict
    picture: bytes = field(repr=False)
    text: str = field(repr=False)

    def to_text(self) -> str:
        """What a screen shows."""
        return self.text

    def release(self) -> None:
        """Let go of the picture, once it is written."""
        self.picture = b""


def draw(result: Report | Failure, facts: list[tuple[str, str]] | None = None) -> DrawnReport | Failure:
    """A report with its picture; a failure, also of drawing it, as it is. `facts` as in `report_figure`."""
    if isinstance(result, Failure):
        return result
    try:
        picture = BytesIO()
        result.figure(facts).savefig(picture, format="png")
    except Exception as error:
        return failed(result.name, error)
    return DrawnReport(result.name, result.to_json(), picture.getvalue(), result.to_text())


class ReportFolder:
    """A context manager; see `files.run_folder.RunFolder` for what becomes of a run that ends early.

    Args:
        out: the folder, made when absent.
        arguments: all that the reports depend on beside their images; goes into JSON.
        ids: of all images, see `files.items.item_ids`; by default each is called as its file, as it comes.
        share: of the images, which this process has.
        resume: go on with a run of the same arguments.
        overwrite: remove what an older run wrote.
    """

    def __init__(
        self,
        out: str | os.PathLike,
        arguments: dict | None = None,
        *,
        ids: Iterable[str] = (),
        share: Share = ALL,
        resume: bool = False,
        overwrite: bool = False,
    ):
        options = {"resume": resume, "overwrite": overwrite, "records": "records.jsonl"}
        self.run = RunFolder(out, "report", arguments or {}, **options)
        self.stems = item_stems(ids)
        self.used = set(self.stems.values())
        self.share = share
        self.run.total = len(share.take(list(self.stems)))
        if self.stems:
            self.run.expect(self.stems)
        self.records: dict[str, dict] = {}
        self.failures: dict[str, Failure] = {}

    def __enter__(self) -> "ReportFolder":
        self.run.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self.run.__exit__(*error)

    def kept(self, id: str, digest: str) -> bool:
        """Whether an earlier run has reported an image of this digest."""
        record = self.run.done(id, digest)
        if record is not None:
            self.records[id] = record
        return record is not None

    def add(
        self,
        result: Report | DrawnReport | Failure,
        facts: list[tuple[str, str]] | None = None,
        *,
        id: str | None = None,
        digest: str = "",
        mark: str = "",
    ) -> Path | None:
        """Draw a report and keep its record; or count a failure, also where it cannot be drawn.

        Args:
            result: of one image.
            facts: as in `report_figure`.
            id: of the image; by default its file's name, with #2 for another file of this name, and so on.
            digest: of what the report was made from.
            mark: by which that is known again, see `files.marks`.

        Returns:
            The picture; None of a failure.
        """
        if id is None:
            name = result.film if isinstance(result, Failure) else result.name
            id = unlike(name, ChainMap(self.records, self.failures))
        if id not in self.stems:
            self.stems[id] = item_stem(id, self.used)
        picture = f"{self.stems[id]}_report.png"
        made = result if isinstance(result, DrawnReport) else draw(result, facts)
        if isinstance(made, Failure):
            self.failures[id] = made
            return self.run.fail()
        self.run.write(picture, made.picture)
        self.records[id] = {"id": id, "picture": picture, **made.fields}
        self.run.add(id, self.records[id], [picture], digest, mark=mark)
        return self.run.path / picture

    def outcome(self, id: str) -> dict:
        """What became of an image: its record, or its failure's fields."""
        return self.records[id] if id in self.records else {"id": id, **failure_json(self.failures[id])}

    def finish(self) -> dict:
        """Write what became of the share's images, whose content is returned; of all images `report.json` and the
        manifest, where no other share is missing."""
        ids = list(self.stems)
        results = [self.outcome(id) for id in self.share.take(ids) if id in self.records or id in self.failures]
        finish_share(self.run, self.share, ids, results, lambda all, _: write_reports(self.run, all))
        return sorted_out(results)


def write_reports(run: RunFolder, results: list[dict]) -> dict:
    """Write `report.json`, whose content is returned, and the manifest.

    Args:
        run: the folder.
        results: the record of each image, or the fields of its failure.
    """
    content = sorted_out(results)
    run.write_json("report.json", content)
    statements = {record["statement"] for record in content["reports"]} - {""}
    run.finish("; ".join(sorted(statements)), ("torch", "transformers", "numpy", "pillow", "matplotlib"))
    return content


def sorted_out(results: Iterable[dict]) -> dict:
    """What `report.json` holds: the reports, and the failures, which alone have a message."""
    content = {"reports": [], "failures": []}
    for result in results:
        content["failures" if "message" in result else "reports"].append(result)
    return content


def to_json(ids: Iterable[str], results: Iterable[Report | Failure]) -> dict:
    """What `report.json` holds, of reports that no folder keeps; no pictures."""
    return sorted_out(
        {"id": id, **(failure_json(result) if isinstance(result, Failure) else result.to_json())}
        for id, result in zip(ids, results, strict=True)
    )


def failure_json(failure: Failure) -> dict:
    """A failure's fields."""
    return {"film": failure.film, "message": failure.message}
