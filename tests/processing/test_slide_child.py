"""OpenSlide in a process of its own: the same pixels, its death is one error, and nothing of it stays behind."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import openslide
import psutil
import pytest
from pydicom import Dataset, Sequence

from hf_medreport.processing import slide_child
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_child import ChildSlide, detect_format, known_to_crash
from hf_medreport.processing.slide_reading import open_slide
from tests.processing.slide_files import write_slide_dicom, write_tiff

NOISE = np.random.default_rng(0).integers(0, 256, (600, 700, 3), np.uint8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_tiff(tmp_path_factory.mktemp("child") / "noise.tiff", NOISE, (1, 4))


def child_of(slide):
    return slide._reader.process.pid


def test_it_reads_what_openslide_reads(path):
    with openslide.OpenSlide(path) as own:
        slide = ChildSlide(path)
        assert detect_format(path) == own.detect_format(path) == "generic-tiff"
        assert [tuple(size) for size in slide.level_dimensions] == list(own.level_dimensions)
        assert list(slide.level_downsamples) == list(own.level_downsamples)
        assert slide.properties == dict(own.properties)
        for place, level, size in [((40, 30), 0, (64, 48)), ((0, 0), 1, (175, 150)), ((0, 0), 0, (700, 600))]:
            expected = np.asarray(own.read_region(place, level, size))
            np.testing.assert_array_equal(slide.read_region(place, level, size), expected[..., :3])
        over = slide.read_region((690, 590), 0, (20, 20))  # beyond the edge it is transparent
        np.testing.assert_array_equal(over, np.asarray(own.read_region((690, 590), 0, (20, 20))))
        # More than the shared memory, and less again.
        large = slide.read_region((-1000, -1000), 0, (3000, 2000))
        np.testing.assert_array_equal(large[1000:1600, 1000:1700, :3], NOISE)
        assert slide.read_region((40, 30), 0, (64, 48)).shape == (48, 64, 3)
        slide.close()


def test_where_the_system_has_no_files_in_memory(path, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(slide_child, "_idle", [])
    slide = ChildSlide(path)
    np.testing.assert_array_equal(slide.read_region((40, 30), 0, (64, 48)), NOISE[30:78, 40:104])
    slide._reader.end()


def test_what_openslide_refuses_is_refused_in_its_words(tmp_path):
    (tmp_path / "a.tiff").write_bytes(b"II*\0 no slide")
    assert detect_format(tmp_path / "a.tiff") is None
    with pytest.raises(openslide.OpenSlideError, match="Unsupported or missing image file"):
        ChildSlide(tmp_path / "a.tiff")


def test_the_next_slide_has_the_same_process_and_two_at_once_have_two(path):
    first, second = ChildSlide(path), ChildSlide(path)
    pids = {child_of(first), child_of(second)}
    assert len(pids) == 2 and os.getpid() not in pids
    first.close()
    second.close()
    third = ChildSlide(path)
    assert child_of(third) in pids
    del third  # never closed: its process waits for the next all the same
    fourth = ChildSlide(path)
    assert child_of(fourth) in pids
    fourth.close()


def test_a_crash_is_that_slides_error_and_the_next_is_read(path):
    with open_slide(path) as slide:
        os.kill(child_of(slide._source._handle), signal.SIGSEGV)
        with pytest.raises(InputError, match="OpenSlide crashed on it: SIGSEGV"):
            slide.read(0, 0, 0, 10, 10)
        np.testing.assert_array_equal(slide.read(3, 2, 0, 10, 10), NOISE[2:12, 3:13])  # opened anew
    with open_slide(path) as other:
        assert other.read(0, 0, 0, 10, 10).shape == (10, 10, 3)


def test_a_forked_process_has_a_reader_of_its_own(path):
    slide = ChildSlide(path)
    before = slide.read_region((0, 0), 0, (50, 50))
    pid = os.fork()
    if pid == 0:
        same = np.array_equal(slide.read_region((0, 0), 0, (50, 50)), before)
        os._exit(0 if same else 1)
    assert os.waitpid(pid, 0)[1] == 0
    np.testing.assert_array_equal(slide.read_region((0, 0), 0, (50, 50)), before)
    slide.close()


def position(column, row):
    place, group = Dataset(), Dataset()
    place.ColumnPositionInTotalImagePixelMatrix, place.RowPositionInTotalImagePixelMatrix = column, row
    group.PlanePositionSlideSequence = Sequence([place])
    return group


@pytest.mark.parametrize(("placed", "reason"), [(0, True), (3, True), (4, False)])
def test_sparse_frames_without_positions_never_reach_openslide(tmp_path, placed, reason):
    sparse = {"DimensionOrganizationType": "TILED_SPARSE"}
    if placed:
        groups = [position(1 + 16 * (index % 2), 1 + 16 * (index // 2)) for index in range(placed)]
        sparse["PerFrameFunctionalGroupsSequence"] = Sequence(groups)
    path = write_slide_dicom(tmp_path / "a.dcm", NOISE[:32, :32], 16, **sparse)
    assert (known_to_crash(path) is not None) == reason
    if reason:
        with pytest.raises(openslide.OpenSlideError, match="TILED_SPARSE frames without their positions"):
            ChildSlide(path)


def test_other_files_are_not_known_to_crash(path, tmp_path):
    assert known_to_crash(path) is None
    assert known_to_crash(write_slide_dicom(tmp_path / "full.dcm", NOISE[:32, :32], 16)) is None


# A script without a guard, which the child must not run again.
SCRIPT = """
import sys, time
sys.path.insert(0, {folder!r})
from slide_child import ChildSlide
slide = ChildSlide({path!r})
print(slide._reader.process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("killed_by", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_it_ends_with_its_parent(path, killed_by):
    script = SCRIPT.format(folder=os.path.dirname(slide_child.__file__), path=str(path))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        child = psutil.Process(int(parent.stdout.readline()))
        assert child.parent().pid == parent.pid and os.getsid(child.pid) == child.pid
        parent.send_signal(killed_by)
    for _ in range(100):
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.1)
    pytest.fail("the child outlives its parent")
