"""Which DICOM files are one slide; a label is never looked at, and a header never read twice."""

import os

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGBaseline8Bit

from hf_medreport.processing import dicom_series
from hf_medreport.processing.dicom_series import check_slide, instance, is_volume, series_files
from hf_medreport.processing.image_reading import read_image
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_reading import open_slide
from tests.processing.slide_files import jpeg_slide_dicom, write_slide_dicom

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
VOLUMES = (
    {},
    {"ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]},
    {"ImageType": ["DERIVED", "PRIMARY", "volume ", "RESAMPLED"]},
    {"ImageType": ["ORIGINAL", "PRIMARY"]},
    {"ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "SpecimenLabelInImage": "NO"},
)
OTHERS = {
    "a label": {"ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]},
    "an overview": {"ImageType": ["ORIGINAL", "PRIMARY", "OVERVIEW", "NONE"]},
    "a thumbnail": {"ImageType": ["DERIVED", "PRIMARY", "THUMBNAIL", "RESAMPLED"]},
    "a localizer": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]},
    "a macro": {"ImageType": ["ORIGINAL", "PRIMARY", "MACRO", "NONE"]},
    "a confidence_map": {"ImageType": ["DERIVED", "SECONDARY", "CONFIDENCE_MAP", "NONE"]},
    "a label of two values": {"ImageType": ["ORIGINAL", "LABEL"]},
    "a label in lower case": {"ImageType": ["original", "primary", "label ", "none"]},
    "a label by another element": {"SpecimenLabelInImage": "YES"},
}


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize("elements", VOLUMES)
def test_a_volume_is_a_slide(tmp_path, elements):
    path = write_slide_dicom(tmp_path / "slide.dcm", PIXELS, **elements)
    assert is_volume(instance(path))
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, 48, 40), PIXELS)


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")
@pytest.mark.parametrize("write", [write_slide_dicom, jpeg_slide_dicom])
@pytest.mark.parametrize("kind", OTHERS)
def test_all_else_is_refused_however_it_is_compressed(tmp_path, monkeypatch, kind, write):
    path = write(tmp_path / "label.dcm", PIXELS, **OTHERS[kind])
    monkeypatch.setattr(pydicom.pixels, "pixel_array", None)  # no pixel is read
    words = " ".join(kind.split()[:2])
    for read in (check_slide, open_slide, read_image):
        with pytest.raises(InputError) as error:
            read(path)
        assert str(error.value) == (
            f"label.dcm: found {words}, no slide; expected a VOLUME, as ImageType says; give the slide of this series"
        )


def test_a_localizer_of_a_scanner_of_bodies_is_no_matter_of_slides(tmp_path):
    path = write_slide_dicom(tmp_path / "scout.dcm", PIXELS, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    dataset = pydicom.dcmread(path)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    dataset.save_as(path)
    check_slide(path)
    assert not is_volume(instance(path))


def test_what_cannot_be_told_is_not_read(tmp_path):
    path = jpeg_slide_dicom(tmp_path / "slide.dcm", PIXELS)
    content = path.read_bytes().replace(b"\x08\x00\x08\x00CS", b"\x08\x00\x08\x00FD")  # ImageType, now of numbers
    path.write_bytes(content.replace(b"ORIGINAL", b"\xff" * 8))
    with pytest.raises(InputError) as error:
        check_slide(path)
    assert str(error.value) == (
        "slide.dcm: found a damaged DICOM file; expected a complete DICOM slide; copy or export the slide again"
    )


def test_without_pydicom(tmp_path, monkeypatch):
    path = write_slide_dicom(tmp_path / "slide.dcm", PIXELS)
    monkeypatch.setattr(dicom_series, "pydicom", None)
    with pytest.raises(InputError) as error:
        check_slide(path)
    assert str(error.value) == (
        "slide.dcm: found a DICOM file, but no pydicom; expected pydicom 3 or later; pip install 'pydicom>=3.0.2'"
    )


def test_the_files_of_a_series_are_its_levels(tmp_path):
    for name, series, flavor in (("a", "1.2.3", "VOLUME"), ("b", "1.2.3", "LABEL"), ("c", "1.2.3", "VOLUME")):
        elements = {"ImageType": ["ORIGINAL", "PRIMARY", flavor, "NONE"]}
        write_slide_dicom(tmp_path / f"{name}.dcm", PIXELS, series=series, **elements)
    write_slide_dicom(tmp_path / "other.dcm", PIXELS, series="1.2.4")
    (tmp_path / "notes.txt").write_text("grade 2")
    files = series_files(tmp_path / "c.dcm")
    assert [file.name for file in files] == ["a.dcm", "c.dcm"]
    assert series_files(tmp_path / "notes.txt") == (tmp_path / "notes.txt",)
    before = open_slide(tmp_path / "c.dcm").fingerprint()
    (tmp_path / "b.dcm").unlink()  # a label taken away leaves the slide as it is
    assert open_slide(tmp_path / "c.dcm").fingerprint() == before


@pytest.mark.parametrize("count", [4, 8])
def test_a_folder_of_many_slides_is_read_once(tmp_path, monkeypatch, count):
    """Each header once, whatever is asked of however many slides; OpenSlide is shown one slide's files."""
    paths = [jpeg_slide_dicom(tmp_path / f"{number}.dcm", PIXELS) for number in range(count)]
    read, listed = [], []
    header = dicom_series._header
    monkeypatch.setattr(dicom_series, "_header", lambda path: read.append(path.name) or header(path))
    for path in paths:
        for _ in range(2):
            with open_slide(path) as slide:
                listed.append(len(os.listdir(slide._source._opened_as.parent)))
                slide.fingerprint()
    assert sorted(read) == [path.name for path in paths] and listed == [1] * 2 * count


def test_a_file_that_has_changed_is_read_again(tmp_path):
    path = write_slide_dicom(tmp_path / "a.dcm", PIXELS, series="1.2.3")
    assert instance(path).series == "1.2.3"
    write_slide_dicom(path, PIXELS[:20], series="1.2.4")
    assert instance(path).series == "1.2.4"
    path.unlink()
    assert instance(path) is None


def test_jpeg_slides_are_of_openslide(tmp_path):
    path = jpeg_slide_dicom(tmp_path / "slide.dcm", PIXELS)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEGBaseline8Bit
    with open_slide(path) as slide:
        assert type(slide._source).__name__ == "OpenSlideSource"
