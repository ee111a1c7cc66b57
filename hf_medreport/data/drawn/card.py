"""The card of a known-truth corpus: README.md with the header that the Hub and `load_dataset` read."""

from hf_medreport.data.drawn.formats import FORMATS
from hf_medreport.phantom.chest.corpus import ChestCorpus

__all__ = ["STATEMENT", "dataset_card"]

STATEMENT = "These films are drawn by a program: nobody was imaged, and no clinical claim follows from them."
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
COLUMNS = {
    "parquet": "`image`, `lungs`, `heart` and `finding_masks` (one a fact) are pictures inside the table.",
    "png": "`metadata.jsonl` names the pictures of each row: the film, `lungs`, `heart` and one mask a fact.",
    "dicom": "`reports.jsonl` names the files of each row. The films are in `films/`, as DICOM (DX).",
    "radscribe": "Rows as RadScribe reads them, and an archive with the films that `img` names.",
}


def dataset_card(format: str, corpus: ChestCorpus, arguments: dict) -> str:
    """The text of README.md.

    Args:
        format: a key of `FORMATS`.
        corpus: what was drawn.
        arguments: of the run, listed as they are.
    """
    size = next((name for bound, name in SIZES if corpus.n < bound), "n>1M")
    listed = "\n".join(f"- {name}: {value}" for name, value in arguments.items())
    return f"""---
pretty_name: Known-truth chest films
license: apache-2.0
language: en
task_categories: [image-to-text, image-segmentation]
tags: [medical, radiology, chest-x-ray, synthetic]
size_categories: [{size}]
configs:
- config_name: default
  data_files:
  - split: {corpus.split}
    path: "{FORMATS[format].data_files.format(split=corpus.split)}"
---

# Known-truth chest films

{STATEMENT} They test whether a report model says what a film shows: each was drawn from the list of
facts beside it, so what a report states can be checked fact by fact. Sides are the patient's.

{COLUMNS[format]}

Made by `hf-medreport phantom chest` with

{listed}

`manifest.json` holds the versions and the SHA-256 of every file; the same arguments and versions give the same bytes.
"""
