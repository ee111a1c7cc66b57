"""How stored values are shown, in all combinations, against the standard's own steps worked out value by value."""

from itertools import product

import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence

from hf_medreport.processing.dicom_reading import read_display
from hf_medreport.processing.input_error import InputError
from tests.processing.dicom_files import write_dicom
from tests.processing.film_cases import ramp, table

VALUES = [0, 10, 20, 30, 40]
PADDING = 40
VOIS = {
    "range": {},
    "exact": {"WindowCenter": 20, "WindowWidth": 20, "VOILUTFunction": "LINEAR_EXACT"},
    "linear": {"WindowCenter": 20, "WindowWidth": 21},
    "sigmoid": {"WindowCenter": 20, "WindowWidth": 20, "VOILUTFunction": "SIGMOID"},
    "table": {"VOILUTSequence": table([0, 0, 51, 255], first=0)},
}
PRESENTATIONS = {
    "nothing": {},
    "IDENTITY": {"PresentationLUTShape": "IDENTITY"},
    "INVERSE": {"PresentationLUTShape": "INVERSE"},
    "table": {"PresentationLUTSequence": table([0, 255, 51], first=100)},
}


def of_interest(value: float, voi: str, padded: bool) -> float:
    """Step 2 for one value; without a window from the smallest to the largest value that is no padding."""
    if voi == "range":
        return min(value / (30 if padded else 40), 1)
    if voi == "exact":  # C.11.2.1.3.2
        return min(max((value - 20) / 20 + 0.5, 0), 1)
    if voi == "linear":  # C.11.2.1.2.1
        return min(max((value - 19.5) / 20 + 0.5, 0), 1)
    if voi == "sigmoid":
        return 1 / (1 + np.exp(-4 * (value - 20) / 20))
    return [0, 0, 51, 255][min(int(value), 3)] / 255


def presented(shown: float, presentation: str, photometric: str) -> float:
    """Step 3 for one value in [0, 1]."""
    if presentation == "table":
        return [0, 1, 0.2][round(shown * 2)]
    inverse = presentation == "INVERSE" or (presentation == "nothing" and photometric == "MONOCHROME1")
    return 1 - shown if inverse else shown


@pytest.mark.parametrize(
    ("photometric", "presentation", "voi", "padded"),
    product(("MONOCHROME1", "MONOCHROME2"), PRESENTATIONS, VOIS, (False, True)),
)
def test_every_combination(photometric, presentation, voi, padded, tmp_path):
    elements = {"PhotometricInterpretation": photometric} | VOIS[voi] | PRESENTATIONS[presentation]
    path = write_dicom(
        tmp_path / "a.dcm", ramp(VALUES), **elements, **({"PixelPaddingValue": PADDING} if padded else {})
    )
    display = read_display(path)
    truth = [presented(of_interest(value, voi, padded), presentation, photometric) for value in VALUES]
    if padded:
        truth[-1] = 0
    np.testing.assert_allclose(display.pixels[0, :5], truth, atol=1e-6)
    contradict = (photometric, presentation) in (("MONOCHROME1", "IDENTITY"), ("MONOCHROME2", "INVERSE"))
    assert len(display.notes) == contradict


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ({"WindowCenter": 900, "WindowWidth": 5}, "a window of center 900 and width 5 that leaves nothing of values"),
        ({"VOILUTSequence": table([7, 7, 7])}, "a VOI LUT that leaves nothing of values from 0 to 40"),
        (
            {"ModalityLUTSequence": table([7, 7, 7])},
            "a rescale or Modality LUT that leaves nothing of values from 0 to",
        ),
        ({"RescaleSlope": 0, "RescaleIntercept": 5}, "a rescale or Modality LUT that leaves nothing"),
        ({"PresentationLUTSequence": table([7, 7])}, "a Presentation LUT that leaves nothing of values from 0 to 1"),
        ({"PresentationLUTShape": "LIN OD"}, "PresentationLUTShape 'LIN OD'"),
    ],
)
def test_what_leaves_nothing_is_named(elements, found, tmp_path):
    with pytest.raises(InputError) as error:
        read_display(write_dicom(tmp_path / "film.dcm", ramp(VALUES), **elements))
    assert error.value.found.startswith(found)


@pytest.mark.parametrize("elements", [{}, {"PixelPaddingValue": 40}, {"PhotometricInterpretation": "MONOCHROME1"}])
def test_a_blank_film_stays_a_blank_film(elements, tmp_path):
    pixels = ramp([7, 40] if "PixelPaddingValue" in elements else [7])
    pixels[1:] = 7
    pixels[0, 2:] = 7
    with pytest.raises(InputError, match="a blank image"):
        read_display(write_dicom(tmp_path / "film.dcm", pixels, **elements, PresentationLUTShape="INVERSE"))


@pytest.mark.parametrize(
    ("descriptor", "data"),
    [([4, 0, 8], [1, 2]), ([4, 0], [1] * 4), ([4, 0, 0], [1] * 4), (None, [1] * 4), ([4, 0, 8], None)],
)
def test_damaged_tables(descriptor, data, tmp_path):
    item = pydicom.Dataset()
    if descriptor:
        item.add_new("LUTDescriptor", "US", descriptor)
    if data:
        item.add_new("LUTData", "US", data)
    path = write_dicom(tmp_path / "film.dcm", ramp(VALUES), VOILUTSequence=Sequence([item]))
    with pytest.raises(InputError, match="a damaged lookup table"):
        read_display(path)
