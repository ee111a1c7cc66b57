"""Elements as they come: each that is read, of any number of values, any type, or none: a picture or a refusal."""

import io
from functools import cache

import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence

from hf_medreport.processing import dicom_reading, film_header
from hf_medreport.processing.dicom_elements import as_number, code, element, items, number, values_of, whole
from hf_medreport.processing.film_reading import read_film
from hf_medreport.processing.input_error import InputError
from tests.processing.dicom_files import write_dicom
from tests.processing.film_cases import ramp

pytestmark = pytest.mark.filterwarnings("ignore")  # pydicom's, of the faults that are planted here
READ = sorted({*dicom_reading.ELEMENTS, *film_header.ELEMENTS})
NESTED = ("LUTDescriptor", "LUTData")


def empty_item() -> Sequence:
    return Sequence([pydicom.Dataset()])


ODD = {
    "empty": ("LO", ""),
    "two words": ("LO", ["one", "two"]),
    "text": ("UT", "none"),
    "numbers": ("DS", ["1.5", "-2", "0"]),
    "float": ("FD", [1e300, float("nan")]),
    "large": ("UL", 2**32 - 1),
    "signed": ("SS", [5, -32768]),
    "bytes": ("OB", b"\x01\x02\x03\x04"),
    "no items": ("SQ", Sequence()),
    "an empty item": ("SQ", empty_item()),
    "tags": ("AT", [0x00100010]),
    "a date": ("DA", "20200101"),
}
# Elements in whose place the file would be another one.
ENDS = {"PixelData", "FloatPixelData", "DoubleFloatPixelData"}


@cache
def whole_film() -> bytes:
    buffer = io.BytesIO()
    write_dicom(
        buffer, ramp([0, 50, 100, 200]), Modality="DX", BodyPartExamined="CHEST", PatientOrientation=["L", "F"],
        ImageOrientationPatient=[1, 0, 0, 0, 0, -1], WindowCenter=100, WindowWidth=200, VOILUTFunction="LINEAR_EXACT",
        RescaleSlope=1, RescaleIntercept=0, PixelPaddingValue=999, ImageLaterality="U", PresentationLUTShape="IDENTITY",
    )  # fmt: skip
    return buffer.getvalue()


def outcome(data: bytes) -> str:
    """What a file comes to: a picture, or the refusal's words."""
    try:
        film = read_film(data, name="film.dcm")
    except InputError as error:
        assert "\n" not in str(error)
        return str(error)
    assert 0 <= film.pixels.min() < film.pixels.max() <= 1 and np.isfinite(film.pixels).all()
    return "a picture"


def with_element(keyword: str, vr: str, value) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(whole_film()))
    if keyword in dataset:
        del dataset[keyword]
    dataset.add(pydicom.DataElement(pydicom.datadict.tag_for_keyword(keyword), vr, value))
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_the_film_itself_is_read():
    assert outcome(whole_film()) == "a picture"


@pytest.mark.parametrize("odd", ODD)
def test_each_element_of_any_type(odd):
    """Whatever stands in an element that is read, nothing but a picture or an `InputError` comes of it."""
    vr, value = ODD[odd]
    for keyword in READ:
        if keyword not in ENDS:
            outcome(with_element(keyword, vr, value))


def test_each_element_missing():
    for keyword in READ:
        dataset = pydicom.dcmread(io.BytesIO(whole_film()))
        if keyword in dataset:
            del dataset[keyword]
            buffer = io.BytesIO()
            dataset.save_as(buffer)
            outcome(buffer.getvalue())


@pytest.mark.parametrize("sequence", ["ModalityLUTSequence", "VOILUTSequence", "PresentationLUTSequence"])
def test_each_element_of_a_table_of_any_type(sequence):
    for keyword in NESTED:
        for vr, value in ODD.values():
            item = pydicom.Dataset()
            item.add_new("LUTDescriptor", "US", [4, 0, 8])
            item.add_new("LUTData", "US", [0, 51, 102, 255])
            item.add(pydicom.DataElement(pydicom.datadict.tag_for_keyword(keyword), vr, value))
            outcome(with_element(sequence, "SQ", Sequence([item])))


@pytest.mark.parametrize("keyword", ["WindowCenter", "ImageOrientationPatient", "NumberOfFrames", "Rows"])
def test_bytes_that_are_no_value_of_the_type(keyword):
    """Bytes are planted where pydicom expects numbers as text or as binary."""
    at = whole_film()
    for junk in (b"1,5 ", b"\xff\xfe\x00\x01", b"abc ", b"1\\2 ", b"    ", b"--1 "):
        tag = pydicom.datadict.tag_for_keyword(keyword)
        outcome(_planted(at, tag, junk))


def _planted(data: bytes, tag: int, value: bytes) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    place = data.find((tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little"))
    if place < 0:
        dataset.add_new(tag, "IS", "1")
        buffer = io.BytesIO()
        dataset.save_as(buffer)
        return _planted(buffer.getvalue(), tag, value)
    length = int.from_bytes(data[place + 6 : place + 8], "little")
    return data[: place + 6] + len(value).to_bytes(2, "little") + value + data[place + 8 + length :]


def test_values_codes_and_numbers():
    dataset = pydicom.Dataset()
    dataset.WindowCenter = ["5", "6"]
    dataset.VOILUTFunction = " linear "
    dataset.Rows = 8
    assert values_of(dataset, "WindowCenter", "a") == [5, 6] and element(dataset, "WindowCenter", "a") == 5
    assert code(dataset, "VOILUTFunction", "a") == "LINEAR" and code(dataset, "Modality", "a") == ""
    assert number([pydicom.Dataset(), dataset], "WindowCenter", "a") == 5
    assert number([dataset], "WindowWidth", "a") is None
    assert whole(dataset, "Rows", "a") == 8 and whole(dataset, "Columns", "a", 7) == 7
    assert as_number("2047,5", "WindowCenter", "a") == 2047.5 and items(dataset, "VOILUTSequence", "a") == []


@pytest.mark.parametrize("value", ["1,234.5", "x", "inf", None, b"ab", [1]])
def test_what_is_no_number(value):
    with pytest.raises(InputError, match="^a: found a damaged WindowCenter; expected a finite number"):
        as_number(value, "WindowCenter", "a")
