"""Slides chosen by TCGA's barcodes: every name is counted once, and what does not say stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.dataset_scripts.parts.tcga_barcode import choose_slides

PARTS = ("TCGA-AA-0001", "tcga-bb-0002", "TCGA-CC-00034", "slide")
SAMPLES = ("", "-01", "-01A", "-06Z-00", "-11A-01-TS1", "-01Z-00-DX1", "-01A-01-BSB", "-20A-01-MS1", "-60A-00-DX2")


@pytest.mark.parametrize(
    ("name", "counted"),
    [
        ("TCGA-AA-0001-01Z-00-DX1.3F25-UUID.svs", "kept"),
        ("again/TCGA-AA-0001-01Z-00-DX1.3F25-UUID.svs", "kept"),
        ("TCGA-AA-0001.pt", "kept"),  # nobody says of which sample
        ("TCGA-AA-0001-06A.pt", "kept"),
        ("TCGA-AA-0001-DX1.pt", "kept"),
        ("TCGA-AA-0001-01A-01-TS1.svs", "slide kind TS"),
        ("tcga-aa-0001-01a-01-tsa.svs", "slide kind TS"),
        ("TCGA-AA-0001-01A-01-MS2.svs", "slide kind MS"),
        ("TCGA-AA-0001-11A-01-BS1.svs", "sample type 11"),
        ("TCGA-AA-0001-11A-01-DX1.svs", "sample type 11"),
        ("TCGA-AA-0001-10.h5", "sample type 10"),
        ("TCGA-AA-0001-50A-00-DX1.svs", "sample type 50"),
        ("TCGA-AA-00012-01Z-00-DX1.svs", "no barcode"),
        ("normal.svs", "no barcode"),
    ],
)
def test_one_name(name, counted):
    chosen, counts = choose_slides([name])
    assert counts == {"read": 1, "kept": 0} | {counted: 1}
    assert chosen == ({"TCGA-AA-0001": [name]} if counted == "kept" else {})


@given(st.lists(st.tuples(st.sampled_from(PARTS), st.sampled_from(SAMPLES))))
def test_every_slide_is_counted_once(parts):
    names = [f"{patient}{sample}.svs" for patient, sample in parts]
    for rules in ({}, {"slide_kinds": ("all",)}, {"sample_types": ("all",), "slide_kinds": ("TS", "BS")}):
        chosen, counts = choose_slides(names, **rules)
        assert counts.pop("read") == len(names) == sum(counts.values())
        assert sorted(name for slides in chosen.values() for name in slides) == sorted(
            name for name in names if any(name in slides for slides in chosen.values())
        )
        assert counts["kept"] == sum(map(len, chosen.values()))
