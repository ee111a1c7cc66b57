"""The Indiana University chest X-rays (Demner-Fushman et al. 2016) -> pairs of films with report and classification.

The multi-task chest X-ray was trained on this collection, cleaned in steps that its notebook names but does not define.
Here each step is a rule that can be chosen, and the funnel says how many studies each one left. The reports are
CC BY-NC-ND 4.0: they are read from the user's own download, and what is written stays with the user.

    hf-medreport prepare iu-xray --reports-csv indiana_reports.csv --projections-csv indiana_projections.csv \
        --images images/images_normalized --out iu

writes `train`, `validation` and `test.parquet`, `funnel.json` (studies left at each step, which were left out, what was
wrong with others), a card, and `manifest.json` with the digests of what was read and written.
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

from hf_medreport.dataset_scripts.parts.iu_xray_sources import Sources, Study
from hf_medreport.dataset_scripts.parts.lung_crop import crop_lungs, png
from hf_medreport.dataset_scripts.parts.patient_split import read_split, split_of
from hf_medreport.files.items import why
from hf_medreport.files.run_folder import RunFolder, refuse_older
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError

__all__ = ["LUNG_TERMS", "PARTS", "CleaningRules", "Labeled", "clean", "prepare", "table_features"]

PARTS = {"train": "train", "val": "validation", "test": "test"}  # as `split_of` and as `datasets` call them
PAIR_STEP = "one frontal and one lateral"
ROWS_A_GROUP = 16  # what a reader takes at once and the writer holds: 32 films
PACKAGES = ("datasets", "numpy", "pillow", "pyarrow", "torch")  # what decides about bytes
TOKEN = "XXXX"
# Beginnings of a code's head or qualifier that speak of lungs, airways or pleura. Opacity, Nodule, Markings and the
# like stand without: where they mean the lung, the coders wrote it ("Opacity/lung/base").
LUNG_TERMS = (
    *("lung", "pulmonary", "pleura", "bronch", "pneumonia", "pneumonectomy", "airspace disease", "infiltrate"),
    *("consolidation", "atelectasis", "volume loss", "emphysema", "bullous emphysema", "costophrenic angle"),
    *("pneumothorax", "hemothorax", "hydropneumothorax", "hemopneumothorax", "granuloma", "calcified granuloma"),
    *("cavitation", "cystic fibrosis", "tuberculosis"),
)
STATEMENT = (
    "Indiana University Chest X-ray Collection (Demner-Fushman et al., JAMIA 2016, doi 10.1093/jamia/ocv080), "
    "CC BY-NC-ND 4.0: for non-commercial use with attribution; do not hand this folder on."
)


@dataclass(frozen=True)
class CleaningRules:
    """What a study must be to stay, and what makes it normal.

    Args:
        normal_rule: "mesh" (default: the experts' word) is the code `normal` alone; "no_lung" also calls studies normal
            whose codes all speak of other organs, as a classification on the lungs alone would.
        unindexed: studies that no expert coded: "drop" (default: nobody knows what they show), or "normal", as the
            published counts suggest that the multi-task chest X-ray had it, or "abnormal".
        lung_rule: abnormal studies that stay: "any" (default) has a code of the lungs, so that a sick lung with a bent
            spine stays, "every" has no other, "off" is all of them.
        lung_terms: how a code's head or a qualifier begins that speaks of the lungs. `LUNG_TERMS` has diseases that are
            coded without the word; ("lung",) is the count that the system's description replays.
        xxxx_policy: the mark XXXX that de-identification left: "keep" (default: the original writes it too),
            "drop_token" takes it out of the texts, whose sentences it breaks, "drop_report" leaves the study out.
    """

    normal_rule: str = "mesh"
    unindexed: str = "drop"
    lung_rule: str = "any"
    lung_terms: tuple[str, ...] = LUNG_TERMS
    xxxx_policy: str = "keep"

    def __post_init__(self):
        choices = {"normal_rule": ("mesh", "no_lung"), "unindexed": ("drop", "normal", "abnormal")}
        choices |= {"lung_rule": ("any", "every", "off"), "xxxx_policy": ("keep", "drop_token", "drop_report")}
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise InputError(name, f"'{value}'", ", ".join(known), "choose one of them")
        terms = tuple(term.strip().lower() for term in self.lung_terms)
        if not terms or not all(terms):
            found = "an empty term" if terms else "none"
            raise InputError("lung_terms", found, "words like lung", "name at least one, or set lung_rule to off")
        object.__setattr__(self, "lung_terms", terms)

    def speaks_of_lungs(self, code: str) -> bool:
        """Whether a MeSH code does, in its head or a qualifier."""
        return any(part.lower().startswith(self.lung_terms) for part in code.split("/"))

    def label(self, study: Study) -> int:
        """0 normal, 1 abnormal."""
        if not indexed(study):
            return int(self.unindexed == "abnormal")
        if self.normal_rule == "no_lung":
            return int(any(map(self.speaks_of_lungs, study.mesh)))
        return int(study.mesh != ("normal",))

    def stays(self, study: Study) -> bool:
        """Whether the lung rule keeps a study; it asks nothing of normal ones and of those without codes."""
        if not self.label(study) or not indexed(study) or self.lung_rule == "off":
            return True
        return {"any": any, "every": all}[self.lung_rule](map(self.speaks_of_lungs, study.mesh))

    def texts(self, study: Study) -> Study:
        """The study with the texts that the policy leaves of it."""
        if self.xxxx_policy != "drop_token":
            return study
        return replace(study, findings=without_token(study.findings), impression=without_token(study.impression))


@dataclass(frozen=True)
class Labeled:
    """A study that was kept; label 0 is normal, 1 abnormal."""

    study: Study
    label: int

    def film(self, view: str) -> str:
        """The file name of its frontal or lateral film."""
        return next(name for name, its_view in self.study.images if its_view == view)


def indexed(study: Study) -> bool:
    """Whether somebody coded the study's findings."""
    return bool(study.mesh) and study.mesh != ("No Indexing",)


def without_token(text: str) -> str:
    """The text without the marks of de-identification; "x-XXXX" leaves "x", a text of marks alone leaves nothing."""
    text = " ".join(re.sub(rf"-?{TOKEN}", " ", text).split())
    text = re.sub(r" (?=[.,;:])", "", text)
    return text if re.search(r"\w", text) else ""


def clean(studies: Iterable[Study], rules: CleaningRules) -> tuple[list[Labeled], dict]:
    """The studies that the rules keep, and the funnel.

    Returns:
        the studies in their order; and `{"steps": {step: studies left}, "left_out": {step: uids}}`. Where no film's
        view is known, the step of the pair says None and leaves nobody out.
    """
    left = [rules.texts(study) for study in studies]
    steps: dict[str, int | None] = {"read": len(left)}
    left_out = {}
    for step, test in _steps(rules):
        if step == PAIR_STEP and left and not any(view for study in left for _, view in study.images):
            steps[step] = None
            continue
        left_out[step] = [study.uid for study in left if not test(study)]
        left = [study for study in left if test(study)]
        steps[step] = len(left)
    labeled = [Labeled(study, rules.label(study)) for study in left]
    steps["normal"] = sum(not case.label for case in labeled)
    steps["abnormal"] = len(labeled) - steps["normal"]
    return labeled, {"steps": steps, "left_out": left_out}


def _steps(rules: CleaningRules) -> list[tuple[str, Callable[[Study], bool]]]:
    """Name and test of each step that the rules ask for, in order."""
    steps = [
        ("exactly two images", lambda study: len(study.images) == 2),
        (PAIR_STEP, lambda study: {view for _, view in study.images} == {"frontal", "lateral"}),
        ("with impression", lambda study: bool(study.impression)),
    ]
    if rules.unindexed == "drop":
        steps.append(("indexed", indexed))
    if rules.lung_rule != "off":
        steps.append((f"normal, or {rules.lung_rule} code of the lungs", rules.stays))
    if rules.xxxx_policy == "drop_report":
        steps.append((f"without {TOKEN}", lambda study: TOKEN not in study.findings + study.impression))
    return steps


def prepare(
    sources: Sources,
    images: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    rules: CleaningRules | None = None,
    *,
    split: str = "7:1:2",
    seed: int = 0,
    embed: bool = True,
    segmenter=None,
    margin: float = 0.05,
    workers: int = 1,
    progress: Callable[[Iterable, int], Iterable] = lambda items, total: items,
    resume: bool = False,
    overwrite: bool = False,
) -> dict:
    """Write the tables, funnel, card and manifest to `out`; without `out`, only count.

    Args:
        sources: where reports and views lie.
        images: folder of the films. Each is read once to the end before it goes in.
        out: new or empty; see `RunFolder`.
        rules: of the cleaning; None is `CleaningRules()`.
        split: parts of train, validation and test.
        seed: of the split. A patient's part depends on nothing else.
        embed: films inside the tables, DICOM as 8-bit PNG; else their absolute paths.
        segmenter, margin: crop frontal films, see `crop_lungs`.
        workers: films read at once; the bytes do not depend on it.
        progress: wraps the studies of a part as they are read.
        resume, overwrite: of `RunFolder`. A part that is whole is not read again.

    Returns:
        the funnel: `steps`, `left_out`, rows by part (`parts`), and `problems`, one line a bad row, report or film.

    Raises:
        InputError: an argument is wrong, a source or a folder cannot be used, or no study is left to write.
    """
    rules, parts, problems = rules or CleaningRules(), read_split(split), []
    images = None if images is None else Path(images)
    _check(images, out, embed, segmenter, margin, workers)
    if out is not None:
        refuse_older(out, resume, overwrite)
    cases, funnel = clean(sources.read(images, problems), rules)
    described = {**asdict(rules), "lung_terms": list(rules.lung_terms)}
    arguments = {"sources": sources.digests(), "rules": described, "split": split, "seed": seed, "embed": embed}
    arguments |= {"segmenter": segmenter and segmenter.name, "margin": segmenter and margin}
    if out is None:
        return {**funnel, "problems": problems}
    if funnel["steps"][PAIR_STEP] is None:
        raise InputError("views", "no film whose view is known", "a table of views, or DICOM films", "give `views`")
    if not cases:
        raise InputError("rules", "no study left", "at least one", "see the funnel with `out=None`")

    by_part = {part: [case for case in cases if split_of(case.study.uid, parts, seed) == part] for part in PARTS}
    with (
        RunFolder(out, "prepare iu-xray", arguments, resume=resume, overwrite=overwrite, alone=True) as folder,
        ThreadPoolExecutor(workers) as pool,
    ):
        if folder.finished() is not None:
            return json.loads((folder.path / "funnel.json").read_text(encoding="utf-8"))
        folder.total, funnel["parts"] = len(cases), {}
        for part, its_cases in by_part.items():
            record, name = folder.done(part), f"{PARTS[part]}.parquet"
            if record is None:
                reader = _Reader(images, embed, segmenter, margin, [])
                rows = reader.rows(progress(its_cases, len(its_cases)), pool, workers)
                count = _write_table(folder, name, rows, segmenter is not None)
                record = {"rows": count, "problems": reader.problems}
                folder.add(part, record, [name], count=count)
            folder.failed_items += len(record["problems"])
            funnel["parts"][PARTS[part]] = record["rows"]
            problems += record["problems"]
        funnel["steps"]["readable films"] = sum(funnel["parts"].values())
        funnel = {**funnel, "problems": problems, "arguments": folder.run["arguments"]}
        folder.write_json("funnel.json", funnel)
        folder.write("README.md", _card(funnel).encode())
        folder.finish(STATEMENT, PACKAGES)
    return funnel


def _check(images: Path | None, out, embed: bool, segmenter, margin: float, workers: int) -> None:
    """What can be known to be wrong before anything is read."""
    if workers < 1:
        raise InputError("workers", str(workers), "at least 1", "leave it out for 1")
    if images is not None and not images.is_dir():
        found = "a file" if images.is_file() else "no such folder"
        raise InputError(images.name, found, "the folder of the films", "check `images`")
    if not 0 <= margin <= 0.5:
        raise InputError("margin", f"{margin:g}", "0 to 0.5, a fraction of the film", "0.05 is usual")
    if out is None:
        return
    if images is None:
        raise InputError("images", "none", "the folder of the films", "give `images`, or only count with `out=None`")
    if segmenter is not None and not embed:
        raise InputError("embed", "paths with a crop", "films inside the tables", "leave out `embed` or `segmenter`")
    if find_spec("datasets") is None:
        raise InputError("datasets", "not installed", "datasets 4 or later", "pip install 'hf-medreport[train]'")


@dataclass
class _Reader:
    """Turns cases into rows; what is wrong with a film goes to `problems`, and its study is left out."""

    images: Path
    embed: bool
    segmenter: object
    margin: float
    problems: list[str]

    def rows(self, cases: Iterable[Labeled], pool: ThreadPoolExecutor, workers: int) -> Iterator[dict]:
        """Rows in the cases' order; a few films a worker are read ahead."""
        waiting = iter(cases)
        while batch := list(islice(waiting, 4 * workers)):
            for row in pool.map(self.row, batch):
                if isinstance(row, str):
                    self.problems.append(row)
                elif self.segmenter is not None:
                    yield crop_lungs(row, self.segmenter, self.margin)
                else:
                    yield row

    def row(self, case: Labeled) -> dict | str:
        """The row of a case, or what is wrong with a film of it."""
        study, films = case.study, {}
        try:
            for view in ("frontal", "lateral"):
                films[view] = self.film(case.film(view))
        except Exception as error:
            return why(f"uid {study.uid}", error)
        if self.embed and films["frontal"]["bytes"] == films["lateral"]["bytes"]:
            found = f"{films['frontal']['path']} and {films['lateral']['path']} with the same bytes"
            return str(InputError(f"uid {study.uid}", found, "two views", "copy the films again"))
        texts = {"findings": study.findings, "impression": study.impression}
        return {"uid": study.uid, **films, **texts, "mesh": list(study.mesh), "label": case.label}

    def film(self, name: str) -> dict:
        """A film as `datasets` stores it, once it has been read."""
        path = self.images / name
        film = read_image(path)
        if not self.embed:
            return {"bytes": None, "path": str(path.absolute())}
        if path.suffix.lower() == ".dcm":
            return {"bytes": png(film), "path": f"{path.stem}.png"}
        return {"bytes": path.read_bytes(), "path": path.name}


def table_features(cropped: bool):
    """The columns as `datasets` types them; `cropped` adds mask and box."""
    from datasets import ClassLabel, Features, Image, List, Value

    text = Value("string")
    columns = {"uid": text, "frontal": Image(), "lateral": Image(), "findings": text, "impression": text}
    columns |= {"mesh": List(text), "label": ClassLabel(names=["normal", "abnormal"])}
    return Features(columns | ({"mask": Image(), "box": List(Value("float32"), length=4)} if cropped else {}))


def _write_table(folder: RunFolder, name: str, rows: Iterator[dict], cropped: bool) -> int:
    """Write rows as they come; returns how many they were."""
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema, count = table_features(cropped).arrow_schema, 0
    with folder.open(name) as file, ParquetWriter(file, schema) as table:
        while group := list(islice(rows, ROWS_A_GROUP)):
            table.write_table(pyarrow.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _card(funnel: dict) -> str:
    """The text of README.md."""
    steps = "\n".join(f"| {step} | {count} |" for step, count in funnel["steps"].items())
    rules = funnel["arguments"]["rules"] | {"lung_terms": ", ".join(funnel["arguments"]["rules"]["lung_terms"])}
    rules = "\n".join(f"- {name}: {value}" for name, value in rules.items())
    parts = "\n".join(
        f"  - split: {part}\n    path: {part}.parquet" for part, count in funnel["parts"].items() if count
    )
    split = ", ".join(f"{part} {count}" for part, count in funnel["parts"].items())
    return f"""---
pretty_name: Indiana University chest X-rays, pairs
license: cc-by-nc-nd-4.0
language: en
task_categories: [image-to-text, image-classification]
tags: [medical, radiology, chest-x-ray]
configs:
- config_name: default
  data_files:
{parts}
---

# Indiana University chest X-rays, pairs

{STATEMENT}

A row is one patient's study: `uid`, `frontal` and `lateral` film, `findings`, `impression`, the experts' codes (`mesh`)
and `label` (0 normal, 1 abnormal). By patient: {split} (seed {funnel["arguments"]["seed"]}).

| step | studies left |
|---|---|
{steps}

Rules:

{rules}

Made by `hf-medreport prepare iu-xray`. `funnel.json` names the studies that each step left out, `manifest.json` holds
the digests of what was read and written.
"""
