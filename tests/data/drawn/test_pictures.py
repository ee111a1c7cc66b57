"""Known-truth pictures on disk: what readers see, the same bytes for any number of workers, going on after a cut."""

import json

import numpy as np
import pytest
from PIL import Image

from hf_medreport.data.drawn.pictures import write_pictures
from hf_medreport.files.rows import read_rows
from hf_medreport.phantom.picture.corpus import PictureCorpus
from hf_medreport.phantom.picture.facts import PictureFact
from hf_medreport.processing.input_error import InputError

CORPUS = PictureCorpus(10, 3, 32, split="test")


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_table_names_pictures_and_prompts(tmp_path):
    manifest = write_pictures(tmp_path / "out", CORPUS, "csv", workers=1)
    rows = read_rows(tmp_path / "out" / "pictures.csv")
    assert [(row["text"], row["modality"]) for row in rows] == [(case.prompt, case.fact.modality) for case in CORPUS]
    metadata = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()]
    for row, known, case in zip(rows, metadata, CORPUS, strict=True):
        assert (np.asarray(Image.open(tmp_path / "out" / row["path"])) == case.image).all()
        assert (np.asarray(Image.open(tmp_path / "out" / known["mask_file_name"])) == case.mask).all()
        assert PictureFact(**{name: known[name] for name in PictureFact.__dataclass_fields__}) == case.fact
    assert len(manifest["files"]) == 2 * 10 + 3 and "drawn by a program" in manifest["statement"]


@pytest.mark.parametrize("format", ["png", "parquet"])
def test_workers_change_nothing_and_datasets_reads_it(tmp_path, format):
    datasets = pytest.importorskip("datasets")
    write_pictures(tmp_path / "one", CORPUS, format, workers=1)
    write_pictures(tmp_path / "two", CORPUS, format, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    data = datasets.load_dataset(str(tmp_path / "one"), cache_dir=tmp_path / "cache")["test"]
    rows = sorted(data, key=lambda row: row["id"].rsplit("-", 1)[-1])
    for row, case in zip(rows, CORPUS, strict=True):
        assert (np.asarray(row["image"]) == case.image).all() and row["prompt"] == case.prompt
        assert (np.asarray(row["mask"]) == case.mask).all()


def test_a_run_that_was_cut_goes_on(tmp_path):
    def cut(cases):
        yield from (case for _, case in zip(range(4), cases, strict=False))
        raise KeyboardInterrupt

    write_pictures(tmp_path / "whole", CORPUS, "csv", workers=1)
    with pytest.raises(KeyboardInterrupt):
        write_pictures(tmp_path / "cut", CORPUS, "csv", workers=1, progress=cut)
    assert len(list((tmp_path / "cut" / "images").iterdir())) == 4
    with pytest.raises(InputError, match="cut: found an unfinished run"):
        write_pictures(tmp_path / "cut", CORPUS, "csv", workers=1)
    write_pictures(tmp_path / "cut", CORPUS, "csv", workers=1, resume=True)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_format_and_workers_that_do_not_exist(tmp_path):
    with pytest.raises(InputError, match="format: found 'tiff'; expected one of png, csv, parquet;"):
        write_pictures(tmp_path / "out", CORPUS, "tiff")
    with pytest.raises(InputError, match="workers: found 0; expected at least 1 process; leave it out for one a core"):
        write_pictures(tmp_path / "out", CORPUS, workers=0)
    assert not (tmp_path / "out").exists()
