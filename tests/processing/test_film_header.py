"""What a header says of a film: modality, part, and the eight ways that it may lie, each made pixel by pixel."""

import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence

from hf_medreport.processing.film_header import CHEST, inspected, turned
from hf_medreport.processing.input_error import InputError
from tests.processing.film_cases import OPPOSITE, UPRIGHT, lying

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, of lower case in a code
FRONTAL = [(a, b) for pair in ("LF", "LH", "RF", "RH") for a, b in (pair, pair[::-1])]
WAYS = {
    "LF": None,
    "RF": "mirrored",
    "RH": "turned",
    "LH": "mirrored and turned",
    "FR": "turned",
    "HL": "turned",
    "FL": "mirrored and turned",
    "HR": "mirrored and turned",
}
COSINES = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}


def header(**elements) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    for keyword, value in ({"Modality": "DX"} | elements).items():
        setattr(dataset, keyword, value)
    return dataset


def look(orient=None, any_modality=False, frame=0, **elements):
    return inspected(header(**elements), frame, "film.dcm", orient, any_modality)


def refused(**options) -> str:
    with pytest.raises(InputError) as error:
        look(**options)
    return str(error.value)


@pytest.mark.parametrize(("rows", "columns"), FRONTAL, ids="".join)
@pytest.mark.parametrize("by", ["PatientOrientation", "ImageOrientationPatient"])
def test_the_eight_ways_a_frontal_film_may_lie(rows, columns, by):
    value = [rows, columns] if by == "PatientOrientation" else [*COSINES[rows], *COSINES[columns]]
    way = WAYS[rows + columns]
    if way is None:
        assert look(**{by: value}) == ((), None)
        return
    message = refused(**{by: value})
    assert message.startswith(f"film.dcm: found a {way} film ({by} {rows}\\{columns}); expected rows that run to L and")
    found = look("header", **{by: value})
    assert found.notes == (
        f"the header states a {way} film ({by} {rows}\\{columns}): turned to the standard view, as asked",
    )
    upright = turned(lying(rows, columns), found.turned_from)
    assert upright.shape == (8, 12)
    np.testing.assert_array_equal(upright[[0, 0, -1, -1], [0, -1, 0, -1]], np.round(np.array(UPRIGHT) * 100))
    kept = look("stored", **{by: value})
    assert kept.turned_from is None and "left and right may be exchanged" in kept.notes[0]


@pytest.mark.parametrize(("rows", "columns"), [(a, b) for c in "AP" for d in "FH" for a, b in ((c, d), (d, c))])
def test_a_lateral_film_is_turned_so_that_its_back_is_at_the_right(rows, columns):
    found = look("header", PatientOrientation=[rows, columns])
    if (rows, columns) == ("P", "F"):
        assert found == ((), None)
        return
    np.testing.assert_array_equal(turned(lying(rows, columns, "P"), found.turned_from), lying("P", "F", "P"))
    if (rows, columns) == ("A", "F"):  # hung so by many
        assert look(PatientOrientation=["A", "F"]).turned_from is None
        assert "faces the other way" in look(PatientOrientation=["A", "F"]).notes[0]
    else:
        assert "turned" in refused(PatientOrientation=[rows, columns])


def test_turning_keeps_color():
    film = np.stack([lying("H", "L")] * 3, axis=-1)
    np.testing.assert_array_equal(turned(film, ("H", "L")), np.stack([lying("L", "F")] * 3, axis=-1))


@pytest.mark.parametrize(
    ("letters", "lies"),
    [(["rh", "fl "], ("R", "F")), (["LA", "FP"], None), (["LHA", "FRP"], None), (["FRP", "LHA"], ("F", "L"))],
)
def test_the_first_letter_of_a_direction_counts(letters, lies):
    assert look("header", PatientOrientation=letters).turned_from == lies


@pytest.mark.parametrize("letters", [["R"], ["R", ""], ["L", "R"], ["LE", "V"], ["X", "Y"], ["R", "F", "H"]])
def test_what_does_not_say_how_the_film_lies_is_noted(letters):
    (note,) = look(PatientOrientation=letters).notes
    assert note.endswith("does not say how the film lies: left and right are not checked")


@pytest.mark.parametrize("cosines", [[0] * 6, [1, 0, 0], [1, 0, 0, 1, 0, 0]])
def test_cosines_that_do_not_say_it_either(cosines):
    (note,) = look(ImageOrientationPatient=cosines).notes
    assert note.startswith("ImageOrientationPatient does not say how the film lies")


def test_a_film_that_lies_a_little_askew_is_as_its_main_directions_say():
    assert look("header", ImageOrientationPatient=[-0.98, 0.1, 0.1, 0.1, 0.1, -0.98]).turned_from == ("R", "F")


def test_an_axial_picture_is_noted():
    assert "axial" in look(any_modality=True, Modality="CT", PatientOrientation=["L", "P"]).notes[-1]


def test_two_orientations_that_contradict_each_other():
    both = {"PatientOrientation": ["L", "F"], "ImageOrientationPatient": [-1, 0, 0, 0, 0, -1]}
    said = "PatientOrientation L\\F and ImageOrientationPatient R\\F, which contradict each other"
    assert said in refused(**both) and said in refused(orient="header", **both)
    assert look("stored", **both).notes[0].startswith(said)


def test_the_orientation_of_the_frame_of_an_enhanced_object():
    def group(*cosines):
        item, plane = pydicom.Dataset(), pydicom.Dataset()
        plane.ImageOrientationPatient = list(cosines)
        item.PlaneOrientationSequence = Sequence([plane])
        return item

    groups = Sequence([group(1, 0, 0, 0, 0, -1), group(-1, 0, 0, 0, 0, -1)])
    assert look(PerFrameFunctionalGroupsSequence=groups).turned_from is None
    assert look("header", frame=1, PerFrameFunctionalGroupsSequence=groups).turned_from == ("R", "F")


def test_without_an_orientation_only_who_asks_for_it_is_told():
    assert look().notes == () and "does not say how the film lies" in look("header").notes[0]


@pytest.mark.parametrize("modality", ["CR", "DX", "RG", "cr", " DX "])
def test_films_pass(modality):
    assert look(Modality=modality) == ((), None)


@pytest.mark.parametrize(("modality", "said"), [("OT", "Modality OT"), ("SC", "Modality SC"), ("", "no Modality")])
def test_what_may_be_a_film_passes_with_a_note(modality, said):
    assert look(Modality=modality).notes == (f"{said}: the header does not say that this is a chest film",)


@pytest.mark.parametrize(
    "modality", ["CT", "MR", "US", "RF", "XA", "MG", "PX", "IO", "NM", "PT", "XC", "SM", ["DX", "CT"]]
)
def test_others_are_refused_unless_asked_for(modality):
    said = "\\".join(modality) if isinstance(modality, list) else modality
    assert refused(Modality=modality) == (
        f"film.dcm: found Modality {said}; expected a chest film (Modality CR, DX or RG); "
        "give a chest film, or pass `any_modality` to read it all the same"
    )
    assert look(any_modality=True, Modality=modality).notes == (
        f"Modality {said}: no chest film, read as one, as asked",
    )


@pytest.mark.parametrize(
    ("class_uid", "modality"),
    [("2", "CT"), ("2.1", "CT"), ("4.1", "MR"), ("1.2.1", "MG"), ("77.1.6", "XC"), ("20", "NM")],
)
def test_a_sop_class_of_another_modality_counts_more(class_uid, modality):
    for told in ("", "OT", "CR"):
        message = refused(Modality=told, SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{class_uid}")
        assert message.startswith(f"film.dcm: found Modality {modality};")


@pytest.mark.parametrize("class_uid", ["1", "1.1", "1.1.1", "7", "12.77"])
def test_the_sop_classes_of_films_and_of_secondary_capture_pass(class_uid):
    assert look(SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{class_uid}") == ((), None)


@pytest.mark.parametrize(
    "part", ["CHEST", "chest", "PORT CHEST", "CHEST_PA", "THORAX", "Torax", "LUNG", "CXR", "CHESTABDOMEN", ""]
)
def test_the_chest_by_its_names(part):
    assert look(BodyPartExamined=part) == ((), None)


@pytest.mark.parametrize("part", ["KNEE", "ABDOMEN", "SKULL", "TSPINE", "BREAST", "HAND", "CSPINE", "LUNGE"])
def test_other_parts_are_refused_unless_asked_for(part):
    assert f"found BodyPartExamined {part}; expected a film of the chest or thorax" in refused(BodyPartExamined=part)
    assert "as asked" in look(any_modality=True, BodyPartExamined=part).notes[0]
    assert not CHEST.search(part)


def test_a_part_that_nobody_named_passes_with_a_note():
    assert "BodyPartExamined UNKNOWN" in look(BodyPartExamined="UNKNOWN").notes[0]


def test_lateralities():
    assert look(Laterality="L", ImageLaterality="L").notes == ()
    assert look(Laterality="", ImageLaterality="U").notes == ()
    (note,) = look(Laterality="R", ImageLaterality="L").notes
    assert note == "Laterality R and ImageLaterality L contradict each other: the side of this film is not sure"


def test_the_opposite_of_the_opposite():
    assert all(OPPOSITE[OPPOSITE[side]] == side for side in OPPOSITE)
