"""Which files a folder or a pattern stands for."""

import pytest

from hf_medreport.files.globs import files_of
from hf_medreport.processing.input_error import InputError

SUFFIXES = (".png", ".dcm")


@pytest.fixture
def folder(tmp_path):
    for name in ("b.PNG", "a.dcm", ".hidden.png", "a_report.png", "a_tiles.png", "notes.txt", "nothing"):
        (tmp_path / name).touch()
    (tmp_path / "1.2.3").mkdir()
    (tmp_path / "series").write_bytes(bytes(128) + b"DICM")
    return tmp_path


def test_a_folder_stands_for_its_images_and_for_dicom_without_an_ending(folder):
    assert [path.name for path in files_of([folder], SUFFIXES)] == ["a.dcm", "b.PNG", "series"]


def test_a_pattern_that_no_shell_expanded(folder):
    assert [path.name for path in files_of([folder / "*.dcm", folder / "?.PNG"], SUFFIXES)] == ["a.dcm", "b.PNG"]


def test_files_stay_as_they_are_in_their_order(folder):
    given = [folder / "gone.png", folder / "notes.txt", folder / "a.dcm", folder / "a.dcm"]
    names = [path.name for path in files_of(given, SUFFIXES)]
    assert names == ["gone.png", "notes.txt", "a.dcm", "a.dcm"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path):
    (tmp_path / "a[1].png").touch()
    assert files_of([tmp_path / "a[1].png"], SUFFIXES) == [tmp_path / "a[1].png"]


@pytest.mark.parametrize("name", ["1.2.3", "*.svs"])
def test_a_folder_or_pattern_without_images_is_refused(folder, name):
    with pytest.raises(InputError, match="found no image; expected files that"):
        files_of([folder / name], SUFFIXES)
