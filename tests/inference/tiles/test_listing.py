"""What of a folder is a slide, what its features are called, and that what is left out is said."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hf_medreport.inference.tiles import listing as module
from hf_medreport.inference.tiles.listing import list_slides
from hf_medreport.processing.input_error import InputError
from tests.processing.dicom_files import write_dicom
from tests.processing.slide_files import write_slide_dicom

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def dicom(path: Path, series: str, flavor: str = "VOLUME", pixels=PIXELS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_slide_dicom(path, pixels, series=series, ImageType=["ORIGINAL", "PRIMARY", flavor, "NONE"])


def names(listing) -> list[str]:
    return [path.name for path in listing.slides]


def left_out(listing) -> dict[str, str]:
    return {each.path.name: each.why for each in listing.left_out}


def test_what_is_left_out_is_said(tmp_path):
    touch(tmp_path, "A.tif", "batch2/C.tif", "D.qptiff", "E.czi", "F.isyntax", "G.svs.partial", "H.zip", "._A.tif")
    touch(tmp_path, "I.mrxs", "I/Data0000.dat", "notes.txt", "features/A.safetensors", ".A.claim", "A.safetensors")
    touch(tmp_path, "A_tiles.png", "summary.json", "J.zarr/0")
    (tmp_path / "B.svs").symlink_to(tmp_path / "not_mounted" / "B.svs")
    (tmp_path / "list.txt").symlink_to(tmp_path / "not_mounted" / "list.txt")
    listing = list_slides([tmp_path])
    assert names(listing) == ["A.tif", "B.svs", "I.mrxs"]  # B fails, and says why
    assert left_out(listing) == {
        "._A.tif": module.APPLE,
        "D.qptiff": module.UNREAD,
        "E.czi": module.UNREAD,
        "F.isyntax": module.UNREAD,
        "H.zip": module.UNREAD,
        "J.zarr": module.UNREAD,
        "G.svs.partial": module.UNFINISHED,
        "batch2": module.SUBFOLDER,
        "list.txt": module.DANGLING,
    }
    written = listing.to_json()
    assert written["left_out"] == 9 and {"id": "batch2", "why": module.SUBFOLDER} in written["left_out_files"]
    assert listing.reasons()[module.UNREAD] == ["D.qptiff", "E.czi", "F.isyntax", "H.zip", "J.zarr"]
    assert list_slides(listing) is listing


def test_a_folder_within_folders(tmp_path):
    touch(tmp_path, "a.tif", "b1/slide1.tif", "b2/slide1.tif", "b2/deep/slide1.svs", "b2/b3/E.czi", ".git/x.tif")
    touch(tmp_path, "m.mrxs", "m/Data0000.dat", "__MACOSX/b1/slide1.tif", "b1_slide1.tif", "b1/labels/x.png")
    (tmp_path / "b2" / "back").symlink_to(tmp_path)
    listing = list_slides([tmp_path], recursive=True)
    stems = {path.relative_to(tmp_path).as_posix(): stem for path, stem in listing.stems.items()}
    assert stems == {
        "a.tif": "a",
        "b1_slide1.tif": "b1_slide1",
        "m.mrxs": "m",
        "b1/slide1.tif": "b1_slide1-2",
        "b2/slide1.tif": "b2_slide1",
        "b2/deep/slide1.svs": "b2_deep_slide1",
    }
    assert left_out(listing) == {"E.czi": module.UNREAD, "x.png": module.PICTURE}


@pytest.mark.parametrize(
    "name",
    ["A.jpg", "A_thumb.jpg", "A-label.png", "A.svs.png", "a_MACRO.PNG", "A overview.jpeg", "label_A.png", "A(1,0).jpg"]
    + [
        "label.png",
        "Macro.jpg",
        "A_label.tif",
        "A_macro.tiff",
        "A.svs_thumbnail.png",
        "A_thumbnail_2.png",
        "A_map2.jpg",
    ],
)
def test_pictures_beside_their_slide(tmp_path, name):
    touch(tmp_path, "A.svs", name)
    for listing in (list_slides([tmp_path]), list_slides([tmp_path / name, tmp_path / "A.svs"])):
        assert names(listing) == ["A.svs"] and left_out(listing) == {name: module.PICTURE}
    assert names(list_slides([tmp_path / name])) == [name]  # alone it is what was asked for


@pytest.mark.parametrize("name", ["AB.png", "A2.jpg", "labelled.png", "A_2.tif", "B_label.png", "A_thumb/B.png"])
def test_pictures_that_are_slides_of_their_own(tmp_path, name):
    touch(tmp_path, "A.svs", name)
    assert Path(name).name in names(list_slides([tmp_path, *([tmp_path / name] if "/" in name else [])]))


def test_a_dicom_series_is_one_slide_however_it_is_given(tmp_path):
    files = [dicom(tmp_path / "level1.dcm", "1.2.3", pixels=PIXELS[:16, :16]), dicom(tmp_path / "level0.dcm", "1.2.3")]
    files += [dicom(tmp_path / "label.dcm", "1.2.3", "LABEL", np.tile(PIXELS, (3, 3, 1)))]  # the largest file
    files += [dicom(tmp_path / "whole.dcm", "1.2.3", "OVERVIEW")]
    with files[0].open("ab") as level1:
        level1.write(bytes(10_000))  # not the larger file is the slide, but the larger picture
    for sources in ([tmp_path], files, reversed(files)):
        listing = list_slides(sources)
        assert names(listing) == ["level0.dcm"]
        assert left_out(listing) == {
            "level1.dcm": module.LEVEL,
            "label.dcm": module.NO_SLIDE,
            "whole.dcm": module.NO_SLIDE,
        }
    assert names(list_slides([files[2]])) == [
        "label.dcm"
    ]  # alone it is what was asked for, and refused when it is read


def test_a_label_in_a_series_of_its_own(tmp_path):
    files = [dicom(tmp_path / "slide.dcm", "1.2.3"), dicom(tmp_path / "label.dcm", "1.2.4", "LABEL")]
    write_dicom(tmp_path / "film.dcm", PIXELS[..., 0])
    listing = list_slides([tmp_path])
    assert names(listing) == ["slide.dcm"]
    assert left_out(listing) == {"label.dcm": module.NO_SLIDE, "film.dcm": module.OTHER_DICOM}
    assert names(list_slides(files)) == ["slide.dcm", "label.dcm"]  # it fails, and says what it is


def test_dicom_without_a_suffix_is_found_by_content(tmp_path):
    for name in ("1.2.3.100", "1.2.3.101", "IM0001"):
        dicom(tmp_path / name, f"1.{len(name)}.{name[-1]}")
    write_dicom(tmp_path / "IM0002", PIXELS[..., 0])
    (tmp_path / "README").write_text("grade 2")
    listing = list_slides([tmp_path])
    assert list(listing.stems.values()) == ["1.2.3.100", "1.2.3.101", "IM0001"]
    assert left_out(listing) == {"IM0002": module.OTHER_DICOM}
    assert list(list_slides([tmp_path / "1.2.3.100"]).stems.values()) == ["1.2.3.100"]


def test_series_in_folders_of_their_own(tmp_path):
    for folder in ("one", "two"):  # a copy of a series is another slide
        dicom(tmp_path / folder / "0.dcm", "1.2.3")
    assert list(list_slides([tmp_path], recursive=True).stems.values()) == ["one_0", "two_0"]


def test_a_folder_whose_slides_are_all_left_out(tmp_path):
    with pytest.raises(InputError) as raised:
        list_slides([touch(tmp_path / "cohort", "b1/a.svs", "b2/a.svs", "c.czi")])
    assert raised.value.remedy == "give `recursive`" and raised.value.found == (
        "a folder without slides (left out: 2, a subfolder, which `recursive` reads; "
        "1, of a kind that nothing here reads)"
    )


def test_a_folder_that_cannot_be_opened(tmp_path, monkeypatch):
    touch(tmp_path, "a.svs", "closed/b.svs", "open/c.svs")
    inside = Path.iterdir

    def iterdir(path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return inside(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    listing = list_slides([tmp_path], recursive=True)
    assert names(listing) == ["a.svs", "c.svs"] and left_out(listing) == {"closed": module.CLOSED}


def test_a_folder_that_went_away(tmp_path):
    listing = list_slides([touch(tmp_path / "cohort", "a.svs")])
    shutil.rmtree(tmp_path / "cohort")
    assert list_slides(listing).slides == [tmp_path / "cohort" / "a.svs"]


def test_pictures_of_a_slide_that_is_a_picture(tmp_path):
    touch(tmp_path, "A.png", "A_label.jpg", "A_macro.png", "B.jpg", "B.svs", "B.png")
    listing = list_slides([tmp_path])
    assert names(listing) == ["A.png", "B.svs"]
    assert set(left_out(listing)) == {"A_label.jpg", "A_macro.png", "B.jpg", "B.png"}
