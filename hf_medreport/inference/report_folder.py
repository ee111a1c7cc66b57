"""The folder of a run of reports: `NAME_report.png` and a line of `records.jsonl` for each, at the end `report.json`.

with ReportFolder("reports", overwrite=True) as folder:
    for report in report_any(films, pipe):
        folder.add(report)
    folder.finish()
"""

import os
from collections import ChainMap
from collections.abc import Iterable
from pathlib import Path

from hf_medreport.files.items import item_stem, item_stems, unlike
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.inference.batches import failed
from hf_medreport.inference.report import Failure, Report


class ReportFolder:
    """A context manager; see `files.run_folder.RunFolder` for what becomes of a run that ends early.

    Args:
        out: the folder, made when absent.
        arguments: all that the reports depend on beside their images; goes into JSON.
        ids: of all images, see `files.items.item_ids`; by default each is called as its file, as it comes.
        resume: go on with a run of the same arguments.
        overwrite: remove what an older run wrote.
    """

    def __init__(
        self,
        out: str | os.PathLike,
        arguments: dict | None = None,
        *,
        ids: Iterable[str] = (),
        resume: bool = False,
        overwrite: bool = False,
    ):
        options = {"resume": resume, "overwrite": overwrite, "records": "records.jsonl"}
        self.run = RunFolder(out, "report", arguments or {}, **options)
        self.stems = item_stems(ids)
        self.used = set(self.stems.values())
        self.run.total = len(self.stems)
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
        result: Report | Failure,
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
        if not isinstance(result, Failure):
            try:
                figure = result.figure(facts)
                self.run.write(picture, lambda file: figure.savefig(file, format="png"))
            except OSError:  # of the disk, which the next report would meet too
                raise
            except Exception as error:
                result = failed(result.name, error)
        if isinstance(result, Failure):
            self.failures[id] = result
            return self.run.fail()
        self.records[id] = {"id": id, "picture": picture, **result.to_json()}
        self.run.add(id, self.records[id], [picture], digest, mark=mark)
        return self.run.path / picture

    def finish(self) -> dict:
        """Write `report.json`, whose content is returned, and the manifest."""
        content = {
            "reports": [self.records[id] for id in self.stems if id in self.records],
            "failures": [{"id": id, **failure_json(failure)} for id, failure in self.failures.items()],
        }
        self.run.write_json("report.json", content)
        statements = {record["statement"] for record in self.records.values()} - {""}
        self.run.finish("; ".join(sorted(statements)), ("torch", "transformers", "numpy", "pillow", "matplotlib"))
        return content


def to_json(ids: Iterable[str], results: Iterable[Report | Failure]) -> dict:
    """What `report.json` holds, of reports that no folder keeps; no pictures."""
    content = {"reports": [], "failures": []}
    for id, result in zip(ids, results, strict=True):
        if isinstance(result, Failure):
            content["failures"].append({"id": id, **failure_json(result)})
        else:
            content["reports"].append({"id": id, **result.to_json()})
    return content


def failure_json(failure: Failure) -> dict:
    """A failure's fields."""
    return {"film": failure.film, "message": failure.message}
