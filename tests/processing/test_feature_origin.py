"""Which features are of a model's kind: said, held to each other and to the model, and refused by name."""

import pytest

from hf_medreport.processing.feature_origin import (
    ForeignFeatures,
    check_learned_from,
    differences,
    foreign_notes,
    gathered,
    made_with,
    refuse_foreign,
    said,
    unsaid,
)
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError

LEARNED = {"encoder_revision": ["aa"], "mpp": [0.25, 0.5], "patch_px": [256]}


def info(revision="aa", mpp="0.5", patch_px="256", **others):
    return {"encoder_revision": revision, "mpp": mpp, "patch_px": patch_px, **others}


def test_what_made_features_is_said_and_read_again():
    entries = made_with("aa", TileImageProcessor(patch_px=256, mpp=0.5), 0.5)
    assert entries == info(cut_at="mpp 0.5")
    assert made_with("aa", TileImageProcessor(patch_px=256, level=1), None) == info(mpp="", cut_at="level 1")
    assert said(entries) == {"encoder_revision": ["aa"], "mpp": [0.5], "patch_px": [256]} and unsaid(entries) == []


@pytest.mark.parametrize("mpp", ["", "nan", "inf", "-1", "0", "half"])
def test_what_is_no_number_is_not_said(mpp):
    assert said({"mpp": mpp, "patch_px": "256.5", "encoder_revision": ""}) == {}
    assert unsaid({"mpp": mpp, "patch_px": "64"}) == ["encoder_revision", "mpp"]


@pytest.mark.parametrize(
    ("kind", "differing"),
    [
        ({}, []),
        ({"encoder_revision": ["aa"], "mpp": [0.3], "patch_px": [256]}, []),
        ({"mpp": [0.22]}, []),  # 0.25 / 0.22 = 1.14: another scanner's 40x
        ({"mpp": [0.57]}, []),  # 0.57 / 0.5 = 1.14
        ({"mpp": [0.21]}, ["mpp"]),  # 1.19
        ({"mpp": [1.0]}, ["mpp"]),
        ({"mpp": [0.25, 1.0]}, ["mpp"]),
        ({"encoder_revision": ["aa", "bb"], "mpp": [4.0], "patch_px": [64]}, ["encoder_revision", "mpp", "patch_px"]),
    ],
)
def test_differences(kind, differing):
    assert differences(LEARNED, kind) == differing
    assert differences({}, kind) == []  # a model that says nothing holds nothing
    assert bool(foreign_notes(LEARNED, kind)) == bool(differing)


def test_both_values_are_named():
    with pytest.raises(ForeignFeatures) as error:
        refuse_foreign("a.safetensors", LEARNED, said(info("bb", mpp="4")))
    assert str(error.value) == (
        "a.safetensors: found features of encoder_revision bb, mpp 4; expected encoder_revision aa, mpp 0.25 to 0.5, "
        "which the model learned from; tile with the model's own encoder and settings, or insist with "
        "`allow_foreign_features`"
    )
    assert foreign_notes(LEARNED, said(info(patch_px="64"))) == [
        "features of patch_px 64; the model learned from patch_px 256"
    ]


class TestGathered:
    def test_values_that_were_seen(self):
        bags = [("a", info(mpp="0.5", cut_at="level 0")), ("b", info(mpp="0.25", cut_at="level 0")), ("c", {})]
        assert gathered(bags) == LEARNED  # slides of 20x and 40x cut alike at level 0, as the original cuts them
        assert gathered([]) == {} and gathered([("c", {})]) == {}

    @pytest.mark.parametrize(
        ("first", "second", "found"),
        [
            (info(cut_at="mpp 0.5"), info(mpp="0.25", cut_at="mpp 0.25"), "mpp 0.25; expected mpp 0.5,"),
            (info(cut_at="level 0"), info(mpp="2", cut_at="level 1"), "mpp 2; expected mpp 0.5,"),
            (info(), info(mpp="2"), "mpp 2; expected mpp 0.5,"),
            (
                info(cut_at="level 0"),
                info("bb", cut_at="level 0"),
                "encoder_revision bb; expected encoder_revision aa,",
            ),
            (info(), info(patch_px="512"), "patch_px 512; expected patch_px 256,"),
        ],
    )
    def test_bags_of_several_kinds(self, first, second, found):
        with pytest.raises(ForeignFeatures, match=f"^b: found features of {found} as the others before it"):
            gathered([("a", first), ("silent", {}), ("b", second)])
        together = gathered([("a", first), ("b", second)], allow_foreign=True)
        assert differences(together, said(first)) == differences(together, said(second)) == []


def test_settings_of_another_form():
    assert check_learned_from(None) == {} and check_learned_from(LEARNED) is LEARNED
    for bad in ({"mpp": 0.5}, {"mpp": []}, {"mpp": ["fine"]}, {"encoder": ["aa"]}, "aa", {"patch_px": [0.5]}):
        with pytest.raises(InputError, match="^learned_from: found .* correct processor_config.json$"):
            check_learned_from(bad)
