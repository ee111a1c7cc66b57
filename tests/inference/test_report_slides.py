"""Slides and feature files in, reports out: provenance, the tiles that drove them, pictures, and bad input."""

import hashlib
import json
import re
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from hf_medreport.hub.folder import save_folder
from hf_medreport.inference import report_slides as module
from hf_medreport.inference.asked import Asked
from hf_medreport.inference.figures.slide import MAP_PX
from hf_medreport.inference.loading import load, shows_slide
from hf_medreport.inference.report import Failure
from hf_medreport.inference.report_any import default_for, report_any
from hf_medreport.inference.report_folder import ReportFolder
from hf_medreport.inference.report_slides import (
    SlideReport,
    TopTile,
    report_slides,
    top_tiles,
)
from hf_medreport.processing.feature_files import PatchFeatures, write_features
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_reading import Slide, open_slide
from hf_medreport.registry import system, system_of
from tests.cli.test_cli import run
from tests.inference.tiles.tiny_slides import PATCH, SIZE, tissue, write_slide
from tests.processing.slide_files import write_slide_dicom
from tests.tiny import tiny_model, tiny_patch_encoder, tiny_processor

WIDTH = 16  # of the tiny encoder


def save_model(folder, encoder=True):
    """A random model that cuts tiles of 64 px at 0.5 um a px, and whose reports end after 30 tokens."""
    row = system("histgen")
    model, processor = tiny_model(row), tiny_processor(row)
    model.config.statement = "a test bench"
    model.generation_config.max_new_tokens = 30
    processor.image_processor = TileImageProcessor(patch_px=PATCH, mpp=0.5, tissue="otsu", size=16)
    processor.patch_encoder = tiny_patch_encoder() if encoder else None
    return save_folder(model, processor, folder)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def pipe(model_folder):
    return load(model_folder)


@pytest.fixture
def slide(tmp_path):
    return write_slide(tmp_path / "slide.tiff", tissue(0))


def features_of(slide, pipe, name="slide.safetensors", **info):
    """The feature file of a slide, beside it."""
    with open_slide(slide) as opened:
        bag = pipe.processor.encode_slide(opened, pipe.device)
        info = {"slide_fingerprint": opened.fingerprint(), **info}
    return write_features(slide.with_name(name), PatchFeatures(bag.features, bag.coordinates, bag.info | info))


class TestReports:
    def test_a_report_says_where_it_came_from_and_which_tiles_drove_it(self, pipe, slide):
        (report,) = report_slides([slide], pipe)
        with open_slide(slide) as opened:
            assert report.film_sha256 == opened.fingerprint()
            corners = pipe.processor.encode_slide(opened).coordinates
        assert (report.film, report.model, len(report.revision)) == ("slide.tiff", "tiny", 16)
        assert report.statement == "a test bench" and report.note == "" and report.patches == len(corners)
        heat = np.sum([sentence.evidence for sentence in report.sentences], axis=0)
        assert heat.shape == (len(corners),)
        for tile in report.tiles:
            assert [tile.x, tile.y] == corners[tile.index].tolist()
            assert tile.share == pytest.approx(heat[tile.index] / heat.sum(), abs=1e-6)
        shares = [tile.share for tile in report.tiles]
        assert shares == sorted(shares, reverse=True) and shares[0] == pytest.approx(heat.max() / heat.sum(), abs=1e-6)

    def test_json_holds_the_tiles_and_no_pixels(self, pipe, slide):
        record = next(report_slides([slide], pipe)).to_json()
        assert json.loads(json.dumps(record)) == record and str(slide.parent) not in json.dumps(record)
        assert set(record["tiles"][0]) == {"index", "x", "y", "share"}
        assert all(set(tile) == {"index", "x", "y", "share"} for tile in record["sentences"][0]["tiles"])
        assert not {"image", "prior", "pictures"} & set(record) and "evidence" not in record["sentences"][0]

    def test_released_reports_keep_their_json(self, pipe, slide):
        report = next(report_slides([slide], pipe))
        before = report.to_json()
        report.release()
        assert report.image is None and report.pictures == [] and report.to_json() == before
        assert all(sentence.evidence.size == 0 for sentence in report.sentences)

    def test_features_give_what_the_slide_gives(self, pipe, slide):
        features = features_of(slide, pipe)
        seen, read = report_slides([slide, features], pipe)
        assert (read.text, read.tiles, read.note) == (seen.text, seen.tiles, "")
        assert read.film_sha256 == hashlib.sha256(features.read_bytes()).hexdigest()
        assert np.array_equal(read.image, seen.image) and np.array_equal(read.pictures, seen.pictures)

    def test_one_bad_slide_is_listed_and_the_others_done(self, pipe, slide):
        empty = slide.with_name("empty.svs")
        empty.write_bytes(b"")
        results = list(report_slides([slide, empty, slide.with_name("gone.pt"), slide], pipe))
        assert [type(result) for result in results] == [SlideReport, Failure, Failure, SlideReport]
        assert [result.film for result in results] == ["slide.tiff", "empty.svs", "gone.pt", "slide.tiff"]
        assert results[0].text == results[3].text

    def test_features_of_another_kind(self, pipe, slide, monkeypatch, caplog):
        features = features_of(slide, pipe, "own.safetensors")
        other = features_of(slide, pipe, "other.safetensors", mpp="2", encoder_revision="bb")
        torch.save(torch.ones(3, WIDTH), slide.with_name("silent.pt"))
        learned = {"encoder_revision": [pipe.processor.patch_encoder.revision], "mpp": [0.5, 0.5], "patch_px": [PATCH]}
        monkeypatch.setattr(pipe.processor, "learned_from", learned)
        monkeypatch.setattr(pipe.processor, "_told", False)
        silent = [slide.with_name("silent.pt")] * 2
        results = list(report_slides([slide, features, other, *silent], pipe))
        assert [type(result) for result in results] == [SlideReport, SlideReport, Failure, SlideReport, SlideReport]
        revision = learned["encoder_revision"][0]
        assert results[2].message == (
            f"other.safetensors: found features of encoder_revision bb, mpp 2; expected encoder_revision {revision}, "
            "mpp 0.5, which the model learned from; tile with the model's own encoder and settings, or insist with "
            "`allow_foreign_features`"
        )
        assert [text.partition(":")[0] for text in caplog.messages if "told once" in text] == ["silent.pt"]
        (insisted,) = report_slides([other], pipe, allow_foreign_features=True)
        assert insisted.notes == [
            f"features of encoder_revision bb, mpp 2; the model learned from encoder_revision {revision}, mpp 0.5"
        ]
        assert insisted.to_json()["notes"] == insisted.notes and f"note: {insisted.notes[0]}" in insisted.to_text()
        assert results[0].notes == results[1].notes == []
        monkeypatch.setitem(learned, "encoder_revision", ["cc"])
        (failure,) = report_slides([slide], pipe)
        assert "use the model's own patch_encoder/ and tile settings, or insist with" in failure.message

    def test_what_is_odd_of_a_resolution_is_noted(self, pipe, slide, tmp_path):
        (kept,) = report_slides([slide], pipe, {str(slide): 0.25})
        (replaced,) = report_slides([slide], pipe, 0.25, override_slide_mpp=True)
        assert kept.notes == ["0.5 microns per px of its header kept, not 0.25"]
        assert replaced.notes == ["0.5 microns per px of its header replaced by 0.25 (0.5 times)"]
        assert replaced.patches < kept.patches == next(report_slides([slide], pipe)).patches

    def test_the_pipeline_hands_over_what_is_of_slides(self, pipe, slide, film_png, tiny_pipe_folder):
        (record,) = pipe(str(slide), slide_mpp=0.25, override_slide_mpp=True)
        (replaced,) = report_slides([slide], pipe, 0.25, override_slide_mpp=True)
        assert record["generated_text"] == replaced.text
        with pytest.raises(InputError, match="slide_mpp: found 0.25 for a model of films; expected none"):
            load(tiny_pipe_folder)(str(film_png), slide_mpp=0.25)

    def test_given_resolution(self, pipe, tmp_path):
        bare = write_slide(tmp_path / "bare.tiff", tissue(0), mpp=None)
        told = write_slide(tmp_path / "told.tiff", tissue(0), mpp=0.25)
        asked, given = next(report_slides([bare], pipe)), next(report_slides([bare], pipe, slide_mpp=0.25))
        assert isinstance(asked, Failure) and "give `slide_mpp`" in asked.message
        assert given.tiles == next(report_slides([told], pipe)).tiles and given.patches > 0


class TestTopTiles:
    def test_worked_by_hand(self):
        evidence = np.array([0.0, 0.25, 0.5, 0.0, 0.25])
        corners = np.array([[0, 0], [64, 0], [128, 0], [0, 64], [64, 64]])
        assert top_tiles(evidence, corners) == [  # of equal tiles the first; tiles without evidence are none
            TopTile(2, 128, 0, 0.5),
            TopTile(1, 64, 0, 0.25),
            TopTile(4, 64, 64, 0.25),
        ]
        assert top_tiles(evidence, None)[0] == TopTile(2, None, None, 0.5)
        assert top_tiles(np.zeros(5), corners) == []

    def test_at_most_six(self):
        assert [tile.index for tile in top_tiles(np.arange(9.0), None)] == [8, 7, 6, 5, 4, 3]


class TestPictures:
    def test_without_its_slide_the_picture_says_tiles_only(self, pipe, slide):
        features = features_of(slide, pipe)
        slide.unlink()
        (report,) = report_slides([features], pipe)
        assert report.note == "tiles only: their slide does not lie beside the file"
        assert report.pictures == [] and max(report.image.shape) <= MAP_PX

    def test_another_slide_of_the_same_name_is_not_drawn_on(self, pipe, slide):
        features = features_of(slide, pipe)
        write_slide(slide, tissue(1))
        (report,) = report_slides([features], pipe)
        assert report.note == "tiles only: slide.tiff is another slide than theirs" and report.pictures == []

    def test_a_slide_that_may_not_be_read_does_not_cost_the_report(self, pipe, slide, monkeypatch):
        def denied(*given):
            raise PermissionError(13, "Permission denied")

        features = features_of(slide, pipe)
        monkeypatch.setattr(module, "open_slide", denied)
        (report,) = report_slides([features], pipe)
        assert report.note == "tiles only: slide.tiff: permission denied"

    def test_a_damaged_slide_does_not_cost_the_report(self, pipe, slide):
        features = features_of(slide, pipe)
        slide.write_bytes(b"x" * 300)
        (report,) = report_slides([features], pipe)
        assert report.note == "tiles only: slide.tiff: found text"

    @pytest.mark.parametrize("level0_px", ["", "0", "-64", "wide"])
    def test_a_header_without_the_side_of_a_tile(self, pipe, slide, level0_px):
        (report,) = report_slides([features_of(slide, pipe, level0_px=level0_px)], pipe)
        assert report.note == "tiles only: the file holds no size of a tile" and report.image is None

    def test_histgens_own_files_hold_no_places(self, pipe, tmp_path):
        torch.save(torch.randn(7, WIDTH, generator=torch.Generator().manual_seed(0)), tmp_path / "a.pt")
        (report,) = report_slides([tmp_path / "a.pt"], pipe)
        assert report.note == "tiles only: the file holds no coordinates" and report.image is None
        assert all(tile.x is None and tile.y is None for tile in report.tiles)
        assert ReportFolder(tmp_path / "out").add(report).name == "a_report.png"

    def test_pictures_and_json_are_written_whole(self, pipe, slide, tmp_path):
        (report,) = report_slides([slide], pipe)
        folder = ReportFolder(tmp_path / "out")
        picture, content = folder.add(report), folder.finish()
        assert Image.open(picture).size[0] > 1000
        assert json.loads((tmp_path / "out/report.json").read_text()) == content
        assert content["reports"][0]["tiles"][0]["index"] == report.tiles[0].index


# --- bad input --------------------------------------------------------------------------------------------------------


def made(path, content):
    path.write_bytes(content)
    return path


def saved(path, **tensors):
    with h5py.File(path, "w") as file:
        for name, tensor in tensors.items():
            file[name] = tensor
    return path


def bag(width=WIDTH, patches=4):
    return PatchFeatures(np.ones((patches, width), np.float32), np.zeros((patches, 2), np.int64), {"slide": "a.svs"})


def truncated(path, share=0.5):
    return made(path, path.read_bytes()[: int(path.stat().st_size * share)])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    return made(path, bytes(content))


def folder(path):
    path.mkdir()
    return path


def torch_saved(path, content):
    torch.save(content, path)
    return path


NAN = np.full((3, WIDTH), np.nan, np.float32)
# (kind of file, what is wrong with it) -> what makes it in a folder, and the whole message.
BAD = {
    ("slide", "missing"): (
        lambda at: at / "a.svs",
        "a.svs: found no such file; expected an image file; check the path",
    ),
    ("slide", "zero bytes"): (
        lambda at: made(at / "a.svs", b""),
        "a.svs: found an empty file (0 bytes); expected an image file; copy or export the file again",
    ),
    ("slide", "text inside"): (
        lambda at: made(at / "a.svs", b"grade 2 " * 99),
        (
            "a.svs: found text"
            "; expected a slide (SVS, NDPI, MRXS, SCN, tiled TIFF, DICOM) or a picture (PNG, JPEG, TIFF)"
            "; give the slide itself"
        ),
    ),
    ("slide", "a folder"): (
        lambda at: folder(at / "slides"),
        ("slides: found a folder; expected an image file; give the image files in it one by one"),
    ),
    ("slide", "truncated"): (
        lambda at: truncated(write_slide(at / "a.tiff", tissue(0))),
        (
            "a.tiff: found a slide that OpenSlide cannot open (WHY)"
            "; expected a complete slide; copy or export the slide again"
        ),
    ),
    ("slide", "no resolution"): (
        lambda at: write_slide(at / "a.tiff", tissue(0), mpp=None),
        (
            "a.tiff: found no microns per px"
            "; expected a resolution, to cut tiles at 0.5 microns per px; give `slide_mpp`"
        ),
    ),
    ("slide", "coarser than the model's tiles"): (
        lambda at: write_slide(at / "a.tiff", tissue(0), mpp=2.0),
        (
            "a.tiff: found 2 microns per px"
            "; expected 0.5 or finer; choose another slide: the model decides how it is cut"
        ),
    ),
    ("slide", "no tissue"): (
        lambda at: write_slide(at / "a.tiff", np.full((SIZE, SIZE, 3), 245, np.uint8)),
        (
            "a.tiff: found no tissue"
            "; expected a stained region of at least a quarter of a tile"
            "; choose another slide: the model decides how it is cut"
        ),
    ),
    ("slide", "smaller than a tile"): (
        lambda at: write_slide(at / "a.tiff", tissue(0, 48)),
        (
            "a.tiff: found a slide of 48 x 48 px"
            "; expected at least one tile of 64 px a side; choose another slide: the model decides how it is cut"
        ),
    ),
    ("features", "missing"): (
        lambda at: at / "a.h5",
        ("a.h5: found no such file; expected features in safetensors, .pt or .h5; check the path"),
    ),
    ("features", "zero bytes"): (
        lambda at: made(at / "a.safetensors", b""),
        ("a.safetensors: found an empty file; expected features in safetensors, .pt or .h5; tile the slide again"),
    ),
    ("features", "another width"): (
        lambda at: write_features(at / "a.safetensors", bag(8)),
        (
            "a.safetensors: found features of width 8"
            "; expected width 16, which the model takes; tile with the model's own encoder"
        ),
    ),
    ("features", "truncated"): (
        lambda at: truncated(write_features(at / "a.safetensors", bag())),
        (
            "a.safetensors: found broken or truncated safetensors"
            "; expected features in safetensors, .pt or .h5; tile the slide again"
        ),
    ),
    ("features", "a flipped bit"): (
        lambda at: flipped(write_features(at / "a.safetensors", bag())),
        (
            "a.safetensors: found content that differs from its digest"
            "; expected the bytes as written; tile the slide again"
        ),
    ),
    ("HistGen's features", "another width"): (
        lambda at: torch_saved(at / "a.pt", torch.ones(3, 8)),
        (
            "a.pt: found features of width 8"
            "; expected width 16, which the model takes; tile with the model's own encoder"
        ),
    ),
    ("HistGen's features", "a dict"): (
        lambda at: torch_saved(at / "a.pt", {"features": torch.ones(3, WIDTH)}),
        ("a.pt: found a dict; expected one tensor saved by torch.save; save the tensor alone"),
    ),
    ("HistGen's features", "NaN"): (
        lambda at: torch_saved(at / "a.pt", torch.from_numpy(NAN)),
        ("a.pt: found 48 of 48 values NaN or infinite; expected finite features; encode the slide again"),
    ),
    ("CLAM's features", "coordinates only"): (
        lambda at: saved(at / "a.h5", coords=np.zeros((3, 2), int)),
        (
            "a.h5: found only coords"
            "; expected an entry 'features'; give a file of features, not of coordinates or slides"
        ),
    ),
    ("CLAM's features", "no patch"): (
        lambda at: saved(at / "a.h5", features=np.zeros((0, WIDTH), np.float32)),
        ("a.h5: found features of shape (0, 16); expected at least one patch; tile the slide again"),
    ),
}


@pytest.mark.parametrize("pair", BAD, ids=" ".join)
def test_bad_input(pipe, tmp_path, pair):
    make, message = BAD[pair]
    (failure,) = report_slides([make(tmp_path)], pipe)
    assert isinstance(failure, Failure)
    assert re.sub(r"(?<=cannot open )\(.*\)(?=;)", "(WHY)", failure.message) == message  # OpenSlide's own words


def test_a_slide_for_a_model_without_encoder(tmp_path, slide):
    (failure,) = report_slides([slide], load(save_model(tmp_path / "bare", encoder=False)))
    assert failure.message == (
        "slide.tiff: found a slide, and no patch_encoder/ beside the model to encode it; expected the patch encoder "
        "that the model was trained with; give a feature file, or put the encoder into patch_encoder/ "
        "(hf-medreport convert dinov2)"
    )


def test_an_encoder_of_another_width(model_folder, slide):
    pipe = load(model_folder)
    pipe.processor.patch_encoder.width = 8
    (failure,) = report_slides([slide], pipe)
    assert failure.message == (
        "slide.tiff: found features of width 8 from tiny; expected width 16, which the model takes; use the model's "
        "own encoder"
    )


class TestWhichModel:
    @pytest.mark.parametrize("name", ["a.svs", "a.NDPI", "a.mrxs", "a.scn", "a.bif", "a.safetensors", "a.pt", "a.h5"])
    def test_suffixes_of_slides(self, name):
        assert default_for([name]) == "histgen-tiny"

    def test_what_a_tiff_is_openslide_says(self, slide, tmp_path):
        film = tmp_path / "film.tif"
        Image.fromarray(np.zeros((64, 64), np.uint8)).save(film)
        assert default_for([slide]) == "histgen-tiny"
        assert default_for([film]) == default_for(["gone.tif"]) == default_for(["film.png"]) == "anatomical-tiny"
        assert not shows_slide("film.dcm")

    def test_what_a_model_reads_its_row_says(self, pipe, tiny_pipe_folder):
        assert (system_of(pipe.model).reads, system_of(load(tiny_pipe_folder).model).reads) == ("slide", "film")


class TestReportAny:
    def test_films_go_to_one_and_slides_to_the_other(self, pipe, slide, film_png, tiny_pipe_folder):
        assert isinstance(next(report_any([slide], pipe)), SlideReport)
        assert next(report_any([film_png], load(tiny_pipe_folder))).prior is not None

    def test_a_slide_among_films_is_listed_and_the_films_are_done(self, film_png, tiny_pipe_folder, tmp_path):
        misnamed = shutil.copy(film_png, tmp_path / "f.h5")
        pipe = load(tiny_pipe_folder)
        done = list(report_any([film_png, misnamed, film_png], pipe))
        assert [isinstance(each, Failure) for each in done] == [False, True, False]
        assert done[1].message.startswith("f.h5: found a slide, and ") and done[0].text == done[2].text
        for option in ("slide_mpp", "override_slide_mpp", "allow_foreign_features"):
            message = f"{option}: found 0.5 for a model of films; expected none: it is of slides; leave out `{option}`"
            with pytest.raises(InputError, match=message):
                pipe(str(film_png), **{option: 0.5})

    def test_what_is_of_films_a_slide_model_refuses_by_name(self, pipe, slide):
        with pytest.raises(
            InputError, match="orient: found header for a model of slides; expected none: it is of films"
        ):
            pipe(str(slide), orient="header")

    @pytest.mark.parametrize(
        ("paths", "reads", "options", "message"),
        [
            (
                ["b.svs", "c.pt"],
                "film",
                {},
                "b.svs: found a slide, and model reads films"
                "; expected films only; report slides in a call of their own, with a model that reads them",
            ),
            (
                ["b.svs", "a.png"],
                "slide",
                {},
                "a.png: found a film among slides (b.svs); expected slides only; report films in a call of their own",
            ),
            (
                ["b.svs"],
                "slide",
                {"masks": ["m.png"]},
                "masks: found 1, and model reads slides; expected none: masks are of lungs and heart; "
                "leave out `masks`",
            ),
            (
                ["b.svs"],
                "slide",
                {"slide_mpp": float("nan")},
                "slide_mpp: found nan; expected microns per px, 0.02 to 20; 0.25 is usual for 40x, 0.5 for 20x",
            ),
            (
                ["a.png"],
                "film",
                {"allow_foreign_features": True},
                "allow_foreign_features: found True, and model reads films; expected none; leave out "
                "`allow_foreign_features`",
            ),
            (
                ["b.svs"],
                "slide",
                {"override_slide_mpp": True},
                "override_slide_mpp: found it without a value; expected what to put in their place; give `slide_mpp` "
                "or `slide_mpp_csv`, or leave it out",
            ),
            (
                ["a.png"],
                "film",
                {"slide_mpp": 0.25},
                "slide_mpp: found 0.25, and model reads films; expected none; leave out `slide_mpp`",
            ),
        ],
    )
    def test_refused_before_any_work(self, paths, reads, options, message):
        model_type = {"film": "anatomical_report", "slide": "histgen"}[reads]
        model = SimpleNamespace(config=SimpleNamespace(name_or_path="model", model_type=model_type))
        with pytest.raises(InputError) as caught:
            report_any(paths, SimpleNamespace(model=model), **options)
        assert str(caught.value) == message

    def test_a_picture_alone_may_be_a_slide(self, pipe, tmp_path):
        Image.fromarray(tissue(0)).save(tmp_path / "a.png")
        assert isinstance(next(report_any([tmp_path / "a.png"], pipe, slide_mpp=0.5)), SlideReport)


class TestCommand:
    def test_a_slide_and_its_features(self, capsys, model_folder, pipe, slide, tmp_path):
        features = features_of(slide, pipe)
        out = tmp_path / "out"
        code, printed, err = run(capsys, "report", slide, features, "--model", model_folder, "--out", out, "--json")
        assert code == 0, err
        seen, read = json.loads(printed)["reports"]
        assert seen["text"] == read["text"] and seen["tiles"] == read["tiles"]
        names = [*["manifest.json", "records.jsonl", "report.json"], "slide-2_report.png", "slide_report.png"]
        assert sorted(path.name for path in out.iterdir()) == names

    def test_a_bad_slide_is_exit_code_1(self, capsys, model_folder, slide):
        code, printed, err = run(capsys, "report", slide, slide.with_name("gone.svs"), "--model", model_folder)
        assert code == 1 and "gone.svs: found no such file" in err and printed.startswith("slide.tiff\n")

    def test_masks_are_for_films(self, capsys, model_folder, slide):
        code, _, err = run(capsys, "report", slide, "--mask", slide, "--model", model_folder)
        assert code == 2 and err.startswith("--mask: found 1, and tiny reads slides;")

    def test_a_rerun_does_not_hash_a_slide_again(self, capsys, model_folder, slide, monkeypatch):
        hashed, fingerprint = [], Slide.fingerprint
        monkeypatch.setattr(Slide, "fingerprint", lambda slide: hashed.append(slide.name) or fingerprint(slide))
        options = ("report", slide, "--model", model_folder, "--out", slide.with_name("out"), "--json")
        first = run(capsys, *options)
        for more, again in (((), 0), (("--verify",), 1)):
            hashed.clear()
            code, printed, err = run(capsys, *options, "--resume", *more)
            assert (code, printed, len(hashed)) == (0, first[1], again) and err == "1 done, 0 failed, 0 left\n"

    def test_a_glob_over_a_dicom_series_is_one_slide(self, capsys, model_folder, tmp_path):
        for name, flavor, size in (("label", "LABEL", 512), ("level1", "VOLUME", 256), ("1.2.3.100", "VOLUME", 512)):
            elements = {"series": "1.2.3", "ImageType": ["ORIGINAL", "PRIMARY", flavor, "NONE"]}
            write_slide_dicom(tmp_path / name, tissue(0, size), 64, **elements)
        code, printed, err = run(capsys, "report", *sorted(tmp_path.iterdir()), "--model", model_folder, "--json")
        assert code == 0 and [report["film"] for report in json.loads(printed)["reports"]] == ["1.2.3.100"]
        assert err.splitlines() == [
            "left out: a label or another picture of a DICOM series, never read: label",
            "left out: a level of a slide that is there: level1",
        ]
        code, printed, err = run(capsys, "report", tmp_path / "label", "--model", model_folder)
        assert code == 1 and err.startswith("label: found a label, no slide; ")


def test_a_slide_is_known_again_by_its_mark(slide):
    asked = Asked([slide, slide.with_name("gone.svs")])
    digest, mark = asked.digest(0), asked.mark(0)
    assert asked.mark(1) == "" and asked.digest(1, {"mark": "", "digest": "old"}) == ""
    assert asked.digest(0, {"mark": mark, "digest": "old"}) == "old"
    assert asked.digest(0, {"mark": "other", "digest": "old"}) == digest == asked.digest(0, {"digest": "old"})
    write_slide(slide, tissue(1))
    assert Asked([slide]).digest(0, {"mark": mark, "digest": "old"}) not in ("old", digest)


def test_the_module_reads_one_slide_at_a_time(pipe, slide, monkeypatch):
    opened = []
    monkeypatch.setattr(module, "open_slide", lambda *a, **given: opened.append(a) or open_slide(*a, **given))
    next(report_slides([slide, slide, slide], pipe))
    assert len(opened) == 1
