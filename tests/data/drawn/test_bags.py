"""Drawn slides as training data: tiles and what they show, and bags of features that are drawn once."""

from types import SimpleNamespace

import numpy as np
import pytest

from hf_medreport.data.drawn.bags import CANCERS, SHARES, TRAITS, draw_bags, draw_tiles, each_case, tiles_of, traits_of
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.phantom.slide.findings import GRADES, SITES, SlideFacts
from hf_medreport.processing.feature_files import read_features
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from tests.inference.tiles.tiny_slides import save_encoder

SETTINGS = TileImageProcessor(patch_px=64, level=0, tissue="otsu", size=16)
TUMOR = SlideFacts("colon", "adenocarcinoma", grade=2, mitoses=10, margin="negative", size_cm=2.5)


def corpus(n: int = 2) -> SlideCorpus:
    return SlideCorpus(n, seed=3, size=512, mpp=2.0, split="train")


def asked(facts: SlideFacts = TUMOR, size: int = 100, place=(0, 0, 64), **shares) -> dict[str, float]:
    """The traits of a tile whose region has these shares; what is not asked is left out."""
    regions = []

    def truth(*region):
        regions.append(region)
        return dict.fromkeys(SHARES, 0.0) | shares

    traits = traits_of(SimpleNamespace(facts=facts, size=size, drawing=SimpleNamespace(truth=truth)), *place)
    x, y, side = place
    assert regions == [(x, y, min(side, size - x), min(side, size - y))] and traits.dtype == np.float32
    return {name: value for name, value in zip(TRAITS, traits.tolist(), strict=True) if not np.isnan(value)}


class TestTraits:
    def test_of_normal_tissue_the_site_is_asked(self):
        others = {site: 0 for site in SITES} | {"colon": 1}
        shares = dict.fromkeys(SHARES, 0.0)
        assert asked(tissue=0.75, tumor=0.25) == shares | {"tissue": 0.75, "tumor": 0.25} | others

    def test_of_a_tumor_what_only_a_tumor_has(self):
        found = asked(tissue=1.0, tumor=0.75)
        assert set(found) == {*SHARES, *CANCERS, *GRADES, "mitoses"}
        assert {name for name in (*CANCERS, *GRADES) if found[name]} == {("colon", "adenocarcinoma"), 2}
        assert found["mitoses"] == 0.25  # 10 of at most 40

    @pytest.mark.parametrize("shares", [{"tissue": 0.25}, {"tissue": 1, "tumor": 1, "node": 0.125}])
    def test_of_glass_and_of_nodes_neither(self, shares):
        assert set(asked(**shares)) == set(SHARES)

    def test_a_tile_that_leaves_the_slide_is_asked_of_its_part_on_it(self):
        assert asked(place=(64, 80, 64), tissue=0.25)["tissue"] == 0.25


def test_tiles_are_the_regions_of_the_drawing():
    case = corpus()[0]
    tiles, coordinates, side = tiles_of(case, SETTINGS)
    assert side == 64 and tiles.shape == (len(coordinates), 64, 64, 3) and len(tiles) > 3
    for tile, (x, y) in zip(tiles[:3], coordinates.tolist(), strict=False):
        assert np.array_equal(tile, case.drawing.region(x, y, 64, 64))


def test_tiles_of_all_slides_with_their_truth():
    tiles, truth = draw_tiles(corpus(), SETTINGS, workers=1)
    assert tiles.shape == (len(truth), 16, 16, 3) and truth.shape[1] == len(TRAITS)
    first = corpus()[0]
    _, coordinates, side = tiles_of(first, SETTINGS)
    expected = [traits_of(first, int(x), int(y), side) for x, y in coordinates]
    np.testing.assert_array_equal(truth[: len(expected)], expected)
    assert len(truth) > len(expected)


def test_results_come_in_order_from_this_process():
    assert list(each_case(corpus(3), lambda slides, index: slides[index].case_id[-1], 1, None)) == ["0", "1", "2"]


def test_bags_are_drawn_once_and_again_where_they_are_damaged_or_of_another_encoder(tmp_path):
    encoder, out = save_encoder(tmp_path / "encoder"), tmp_path / "new" / "bags"
    files = draw_bags(corpus(), encoder, SETTINGS, out, workers=1)
    assert files == [out / f"{corpus()[index].case_id}.safetensors" for index in range(2)]
    contents, times = [file.read_bytes() for file in files], [file.stat().st_mtime_ns for file in files]
    bag = read_features(files[0])
    _, coordinates, _ = tiles_of(corpus()[0], SETTINGS)
    assert bag.features.shape == (len(coordinates), 16) and np.array_equal(bag.coordinates, coordinates)
    assert bag.info["level0_px"] == "64" and bag.info["slide"] == corpus()[0].case_id

    files[1].write_bytes(contents[1][:-4])
    assert draw_bags(corpus(), encoder, SETTINGS, out, workers=1) == files
    assert files[0].stat().st_mtime_ns == times[0] and files[1].read_bytes() == contents[1]

    draw_bags(corpus(), save_encoder(tmp_path / "other", seed=1), SETTINGS, out, workers=1)
    assert all(file.read_bytes() != content for file, content in zip(files, contents, strict=True))
