"""How fine a slide is: what headers say, what contradicts it, and what a person says."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_resolution import (
    IMAGE_DESCRIPTION,
    OME_UNITS,
    check_slide_mpp,
    dicom_power,
    ome_mpp,
    openslide_mpp,
    openslide_power,
    resolution,
    tagged_mpp,
    told_mpp,
)

MPP = st.floats(0.05, 5)


@given(own=MPP, slide_mpp=st.none() | MPP)
def test_the_slide_s_own_word_stays(own, slide_mpp):
    found = resolution("a", (own, own), None, slide_mpp)
    assert (found.mpp, found.told) == (own, False)
    missing = resolution("a", None, None, slide_mpp)
    assert (missing.mpp, missing.told, missing.notes) == (slide_mpp, slide_mpp is not None, ())
    over = resolution("a", (own, own), None, slide_mpp, override_slide_mpp=True)
    assert over.mpp == (own if slide_mpp is None else pytest.approx(slide_mpp, rel=0.011))
    assert over.told == bool(over.notes) and (not over.told or over.mpp == slide_mpp)


@pytest.mark.parametrize(
    ("own", "power", "slide_mpp", "override", "notes"),
    [
        ((0.5, 0.5), 20, 0.5, False, []),
        ((0.5, 0.5), None, 0.25, False, ["0.5 microns per px of its header kept, not 0.25"]),
        ((0.5, 0.5), None, 0.25, True, ["0.5 microns per px of its header replaced by 0.25 (0.5 times)"]),
        ((0.5, 0.5), None, 0.501, True, []),  # the same, but for rounding
        ((0.5, 0.25), None, 0.375, True, ["0.5 x 0.25 microns per px of its header replaced by 0.375 (1 times)"]),
        ((0.25, 0.241), None, None, False, ["px of 0.25 x 0.241 microns, taken as squares of 0.2455"]),
        ((0.4564, 0.4551), None, None, False, []),  # as scanners have it
        # 0.25 um at 20x, of which 10 / 20 is usual: twice; at 40x and 30x (0.33: 1.33 times) nothing is wrong.
        ((0.25, 0.25), 20, None, False, ["0.25 microns per px, but an objective of 20x, with which 0.5 is usual"]),
        ((0.25, 0.25), 40, None, False, []),
        ((0.25, 0.25), 30, None, False, []),
        (None, 40, 0.5, False, ["0.5 microns per px, but an objective of 40x, with which 0.25 is usual"]),
        ((250, 250), 40, None, False, ["its header says 250 microns per px, as no scanner has: taken as not said"]),  # noqa: E501
        ((0.001, 0.001), 40, 0.25, False, ["its header says 0.001 microns per px, as no scanner has: taken as not said"]),  # noqa: E501
    ],
)  # fmt: skip
def test_what_is_told(own, power, slide_mpp, override, notes):
    assert list(resolution("a", own, power, slide_mpp, override).notes) == notes


def test_px_that_are_not_square():
    with pytest.raises(InputError, match="`slide_mpp` and `override_slide_mpp` if the file is wrong"):
        resolution("a", (0.5, 0.25), None, 0.5)
    assert resolution("a", (0.5, 0.25), None, 0.5, override_slide_mpp=True).mpp == 0.5


@pytest.mark.parametrize("value", [0, -0.25, 0.00025, 250.0, float("nan"), float("inf")])
def test_what_no_slide_has(value):
    with pytest.raises(InputError, match="expected microns per px, 0.02 to 20; 0.25 is usual for 40x"):
        check_slide_mpp({"a.svs": 0.5, "b.svs": value})
    check_slide_mpp(None)


def test_of_one_slide_among_many(tmp_path):
    assert told_mpp(0.5, "a.svs") == 0.5 and told_mpp(None, "a.svs") is None
    table = {str(tmp_path / "a.svs"): 0.25}
    assert told_mpp(table, tmp_path / "a.svs") == 0.25 and told_mpp(table, "b.svs") is None
    assert told_mpp(table, [[0]]) is None  # a picture in memory has no path


def ome(**attributes):
    inside = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f'<?xml version="1.0"?><OME xmlns="http://x"><Image><Pixels ID="P" {inside} SizeX="9"/></Image></OME>'


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        (ome(PhysicalSizeX="0.25", PhysicalSizeY="0.26"), (0.25, 0.26)),  # without a unit: microns
        (ome(PhysicalSizeX="0.25"), (0.25, 0.25)),
        (ome(PhysicalSizeX="250", PhysicalSizeXUnit="nm", PhysicalSizeY="0.25", PhysicalSizeYUnit="um"), (0.25, 0.25)),
        (ome(PhysicalSizeX="0.00025", PhysicalSizeXUnit="mm"), (0.25, 0.25)),
        (ome(PhysicalSizeX="0.25", PhysicalSizeXUnit="\u00b5m"), (0.25, 0.25)),
        (ome(PhysicalSizeX="0.25", PhysicalSizeXUnit="\u03bcm"), (0.25, 0.25)),  # the Greek letter
        (ome(PhysicalSizeX="0.25", PhysicalSizeXUnit="\u00b5m".encode().decode("latin-1")), (0.25, 0.25)),
        (ome(PhysicalSizeX="0.25").replace("<", "<ome:").replace("<ome:/", "</ome:"), (0.25, 0.25)),
        (ome(PhysicalSizeX="0.25").replace('"', "'"), (0.25, 0.25)),
        (ome(PhysicalSizeX="0.25", PhysicalSizeXUnit="&#181;m").replace("&amp;", "&"), (0.25, 0.25)),
        (ome(PhysicalSizeX="1", PhysicalSizeXUnit="pixel"), None),
        (ome(PhysicalSizeX="0.25", PhysicalSizeY="-1"), None),
        (ome(PhysicalSizeX="wide"), None),
        (ome(), None),
        ('Pixels PhysicalSizeX="0.25"', None),
        ("Aperio Image Library|MPP = 0.25", None),
    ],
)
def test_ome(description, expected):
    assert ome_mpp(description) == (expected and pytest.approx(expected))
    # Where both say something, OME's own words count, not the tags of the file: 40,000 px a cm are 0.25 um.
    tags = {IMAGE_DESCRIPTION: description, 282: 20_000, 283: 20_000, 296: 3}
    assert tagged_mpp(tags) == pytest.approx(expected or (0.5, 0.5))
    properties = {"tiff.ImageDescription": description, "openslide.mpp-x": "0.5", "openslide.mpp-y": "0.5"}
    assert openslide_mpp(properties, "generic-tiff") == pytest.approx(expected or (0.5, 0.5))


def test_every_unit_of_length_is_the_same_micron():
    for unit, microns in OME_UNITS.items():
        assert ome_mpp(ome(PhysicalSizeX=repr(0.25 / microns), PhysicalSizeXUnit=unit)) == pytest.approx((0.25, 0.25))


def test_the_objective():
    assert openslide_power({"openslide.objective-power": "40"}) == 40
    assert openslide_power({}) is openslide_power({"openslide.objective-power": "none"}) is None
    header, path = Dataset(), Dataset()
    assert dicom_power(header) is None
    path.ObjectiveLensPower = "20"
    header.OpticalPathSequence = [path]
    assert dicom_power(header) == 20
