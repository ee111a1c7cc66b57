"""Every reader refuses what is no regular file at once: it would wait for a pipe without end."""

import os
import signal
from pathlib import Path

import pytest

from hf_medreport.data.tables import ReportDataset
from hf_medreport.evaluation.clinical.linkers import _lines
from hf_medreport.evaluation.images.features import _read_weights
from hf_medreport.files.marks import quick_mark
from hf_medreport.files.rows import read_rows, read_text
from hf_medreport.files.settings import read_settings, read_yaml
from hf_medreport.files.writing import sha256
from hf_medreport.hub.checkpoint import read_checkpoint
from hf_medreport.processing.dicom_series import instance
from hf_medreport.processing.feature_files import read_features, read_info
from hf_medreport.processing.film_reading import read_film
from hf_medreport.processing.image_reading import read_image, read_mask
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.regular_file import open_regular
from hf_medreport.processing.slide_reading import open_slide, slide_fingerprint
from hf_medreport.systems.histgen.convert_dinov2 import read_teacher

READERS = {
    "bytes": lambda path: open_regular(path, "a file"),
    "film": read_film,
    "picture": read_image,
    "mask": read_mask,
    "slide": open_slide,
    "slide's fingerprint": slide_fingerprint,
    "features": read_features,
    "table": read_rows,
    "reports": ReportDataset,
    "text": lambda path: read_text(path, "text"),
    "JSON": lambda path: read_settings(path, path.name),
    "YAML": lambda path: read_yaml(str(path)),
    "terms": _lines,
    "digest": sha256,
    "mark": lambda path: quick_mark([path]),
    "checkpoint": read_checkpoint,
    "weights of features": _read_weights,
    "teacher": read_teacher,
}
SUFFIXES = {"table": ".csv", "reports": ".jsonl", "weights of features": ".safetensors"}


@pytest.fixture(autouse=True)
def in_time():
    """A reader that waits for a pipe is interrupted, for nothing else would."""

    def late(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_is_refused(kind, tmp_path):
    path = tmp_path / f"given{SUFFIXES.get(kind, '')}"
    os.mkfifo(path)
    with pytest.raises(InputError, match="found a device or pipe; expected .*; save it as a file first"):
        READERS[kind](path)


def test_so_is_a_device_and_a_link_to_one(tmp_path):
    (tmp_path / "film.png").symlink_to("/dev/zero")
    for path in (Path("/dev/zero"), tmp_path / "film.png"):
        with pytest.raises(InputError, match=f"{path.name}: found a device or pipe"):
            read_image(path)


def test_where_nothing_is_asked_a_pipe_tells_nothing(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert read_info(tmp_path / "pipe") == {} and instance(tmp_path / "pipe") is None
