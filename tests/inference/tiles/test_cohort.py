"""A folder of feature files: resumed, shared, and never ended by one bad slide."""

import errno
import fcntl
import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.forkserver import ForkServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import tifffile
from PIL import Image

import hf_medreport.processing
from hf_medreport.files.claims import drop_claim, take_claim
from hf_medreport.files.items import FILE_IT
from hf_medreport.inference.tiles import cohort as tile_cohort
from hf_medreport.inference.tiles.cohort import default_encoder
from hf_medreport.inference.tiles.listing import list_slides
from hf_medreport.processing.feature_files import read_features, read_info, validate_features
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.slide_child import ChildSlide
from hf_medreport.processing.slide_reading import Slide, open_slide
from hf_medreport.registry import default_model
from tests.inference.tiles.tiny_slides import (
    contents,
    damage,
    run_cohort,
    save_encoder,
    tissue,
    write_cohort,
    write_slide,
)
from tests.processing.slide_files import jpeg_slide_dicom, write_slide_dicom


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Three slides, an encoder, and what an undisturbed run makes of them."""
    folder = tmp_path_factory.mktemp("cohort")
    slides, encoder = write_cohort(folder / "slides"), save_encoder(folder / "encoder")
    run_cohort(slides, folder / "out", encoder)
    return slides, encoder, contents(folder / "out")


def states(runs) -> dict[str, str]:
    return {run.path.name: run.state for run in runs}


ALL_DONE = dict.fromkeys(("slide0.tiff", "slide1.tiff", "slide2.tiff"), "done")


def test_what_is_written(cohort, tmp_path):
    slides, encoder, undisturbed = cohort
    assert states(run_cohort(slides, tmp_path / "out", encoder)) == ALL_DONE
    assert contents(tmp_path / "out") == undisturbed  # the same bytes again, and no claim is left
    assert sorted(undisturbed) == [
        f"slide{number}{end}" for number in range(3) for end in (".safetensors", "_tiles.png")
    ]
    bag = read_features(tmp_path / "out" / "slide1.safetensors")
    assert bag.features.shape == (len(bag.coordinates), 16) and np.isfinite(bag.features).all()
    wanted = {"slide": "slide1.tiff", "level": "0", "mpp": "0.5", "patch_px": "64", "level0_px": "64", "tissue": "otsu"}
    assert wanted.items() <= bag.info.items()


@pytest.mark.parametrize("options", [{"workers": 1}, {"workers": 4}, {"batch_size": 5}, {"batch_size": 64}])
def test_features_do_not_depend_on_workers_or_batches(cohort, tmp_path, options):
    slides, encoder, undisturbed = cohort
    run_cohort(slides, tmp_path / "out", encoder, **options)
    assert contents(tmp_path / "out") == undisturbed


def test_a_finished_file_is_kept(cohort, tmp_path):
    slides, encoder, undisturbed = cohort
    first = run_cohort(slides[:2], tmp_path / "out", encoder)
    runs = run_cohort(slides, tmp_path / "out", encoder)
    assert states(runs) == {**ALL_DONE, "slide0.tiff": "kept", "slide1.tiff": "kept"}
    assert runs[0].tiles == first[0].tiles and contents(tmp_path / "out") == undisturbed


class OnlyById(dict):
    """Records that nobody looks through from one end to the other."""

    def values(self):
        raise AssertionError("all records were looked through for one slide")


def test_a_slide_is_found_by_its_id_and_only_where_it_can_be_known_again(tmp_path):
    (tmp_path / "a.safetensors").touch()
    done = {"files": ["a.safetensors", "a_tiles.png"], "digest": "d", "mark": "m"}
    records, features = SimpleNamespace(entries=OnlyById(a=done), reread=lambda: None), tmp_path / "a.safetensors"
    assert tile_cohort._known_digest(records, "a", features, "m") == "d"
    assert tile_cohort._known_digest(records, "a", features, "other") is None
    assert tile_cohort._known_digest(records, "a", tmp_path / "gone.safetensors", "m") is None
    renamed = SimpleNamespace(entries={"sub/a": done, "b": done | {"files": ["b.safetensors"]}}, reread=lambda: None)
    assert tile_cohort._known_digest(renamed, "a", features, "m") == "d"  # an older list had another id for it
    unknown = SimpleNamespace(entries={"a": done | {"mark": ""}}, reread=lambda: None)
    assert tile_cohort._known_digest(unknown, "a", features, "") is None


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """The slides of which all bytes were read for their fingerprint."""
    names, fingerprint = [], Slide.fingerprint
    monkeypatch.setattr(Slide, "fingerprint", lambda slide: names.append(slide.name) or fingerprint(slide))
    return names


def test_what_is_kept_is_not_hashed_again(cohort, tmp_path, hashed):
    slides, encoder = write_cohort(tmp_path / "slides", 2), cohort[1]
    run_cohort(slides, tmp_path / "out", encoder, draw=False)
    assert hashed == ["slide0.tiff", "slide1.tiff"]
    for sources, options, again in (
        (slides, {}, []),
        ([tmp_path / "slides"], {"verify": True}, ["slide0.tiff", "slide1.tiff"]),
        ([*slides, tmp_path / "absent.svs"], {}, []),  # known by its features, though all ids are others
    ):
        hashed.clear()
        runs = run_cohort(sources, tmp_path / "out", encoder, draw=False, **options)
        assert hashed == again and {run.state for run in runs} - {"failed"} == {"kept"}
    os.utime(slides[0], (1, 1))  # copied, say: the same bytes at another time
    for again in (["slide0.tiff"], []):
        hashed.clear()
        runs = run_cohort(slides, tmp_path / "out", encoder, draw=False)
        assert hashed == again and set(states(runs).values()) == {"kept"}
    flip(tmp_path / "out" / "slide1.safetensors")  # features are hashed in any case
    [_, run] = sorted(run_cohort(slides, tmp_path / "out", encoder, draw=False), key=lambda run: run.path)
    assert run.state == "done" and "differs from its digest" in run.message


def test_what_another_process_did_is_not_hashed_again(cohort, tmp_path, hashed):
    """The folder was opened before the other process wrote to it."""
    slides = cohort[0][:1]
    model = tile_cohort.PatchEncoder.from_pretrained(cohort[1])
    processor = tile_cohort.tile_settings(model, patch_px=64, tissue="otsu")
    folder = tile_cohort.tile_folder(tmp_path / "out", model, processor, resume=True)
    run_cohort(slides, tmp_path / "out", cohort[1], draw=False)
    hashed.clear()
    [run] = tile_cohort.tile_cohort(slides, folder, model, processor, draw=False)
    assert run.state == "kept" and hashed == []


def test_slides_that_are_gone_are_told(cohort, tmp_path):
    slides, encoder = write_cohort(tmp_path / "slides", 2), cohort[1]
    run_cohort(slides, tmp_path / "out", encoder, draw=False)
    run_cohort([*slides, tmp_path / "absent.svs"], tmp_path / "out", encoder, draw=False)  # with other ids
    slides[1].unlink()
    run_cohort([tmp_path / "slides"], tmp_path / "out", encoder, draw=False)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["left_out_files"] == [{"id": "slides/slide1.tiff", "why": tile_cohort.GONE}]
    (tmp_path / "out" / "slide1.safetensors").unlink()
    run_cohort([tmp_path / "slides"], tmp_path / "out", encoder, draw=False)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["left_out"] == 0


def test_a_name_too_long_is_its_slides_failure(cohort, tmp_path):
    """238 bytes leave room for a claim, but not for what features are called until they are whole."""
    slides, encoder, _ = cohort
    for name in ("A", "M" * 238, "N" * 250, "Z"):
        (tmp_path / f"{name}.tif").symlink_to(slides[0])
    runs = run_cohort([tmp_path], tmp_path / "out", encoder, draw=False)
    assert {name[0]: state for name, state in states(runs).items()} == {
        "A": "done",
        "M": "failed",
        "N": "failed",
        "Z": "done",
    }
    assert next(run.message for run in runs if run.path.name[0] == "M") == (
        f"{'M' * 238}.tif: found a name of 238 bytes; expected a name that files made from it can have; "
        "rename it, or link to it by a shorter name"
    )
    assert (tmp_path / "out" / "summary.json").exists() and not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("where", ["take_claim", "write_features", "_keep"])
def test_any_exception_at_any_place_is_its_slides_failure(cohort, tmp_path, monkeypatch, where):
    slides, encoder = cohort[0][:2], cohort[1]
    does = getattr(tile_cohort, where)

    def broken(first, *rest):
        if "slide1" in str(getattr(first, "path", first)):
            raise PermissionError(13, "Permission denied")
        return does(first, *rest)

    monkeypatch.setattr(tile_cohort, where, broken)
    runs = run_cohort(slides, tmp_path / "out", encoder, draw=False)
    assert states(runs) == {"slide0.tiff": "done", "slide1.tiff": "failed"}
    assert next(run.message for run in runs if run.state == "failed") == (
        "slide1.tiff: found permission denied; expected a file that can be read; check it and its permissions"
    )
    assert not list((tmp_path / "out").glob(".*"))


PLANTED = (0, 255, 0)  # of pictures of labels and whole glasses; no tissue is so


def write_labeled(folder: Path) -> Path:
    """Each kind of slide with pictures of its label and its whole glass, in every place where a file can have them."""
    folder.mkdir()
    pixels, label = tissue(0), np.full((160, 200, 3), PLANTED, np.uint8)
    jpeg = {"photometric": "rgb", "compression": "jpeg", "metadata": None}
    with tifffile.TiffWriter(folder / "aperio.svs") as tiff:
        tiff.write(pixels, tile=(128, 128), description="Aperio Image Library v12\r\n512x512|MPP = 0.5", **jpeg)
        tiff.write(label, rowsperstrip=16, description="Aperio Image Library v12\r\n512x512 -> 200x160", **jpeg)
        for name, subfile in (("label 200x160", 1), ("macro 200x160", 9)):
            description = f"Aperio Image Library v12\r\n{name}"
            tiff.write(label, rowsperstrip=16, subfiletype=subfile, description=description, **jpeg)
    for name in ("strips", "tiles"):  # a label in tiles looks like a level
        with tifffile.TiffWriter(folder / f"{name}.tif") as tiff:
            tiff.write(pixels, tile=(128, 128), **jpeg)
            tiff.write(label, tile=(128, 128) if name == "tiles" else None, subfiletype=1, **jpeg)
    for kind, write in (("jpeg", jpeg_slide_dicom), ("rle", write_slide_dicom)):
        for flavor, shown in (("VOLUME", pixels), ("LABEL", label), ("OVERVIEW", label), ("THUMBNAIL", label)):
            elements = {"series": f"1.2.{len(kind)}", "ImageType": ["ORIGINAL", "PRIMARY", flavor, "NONE"]}
            write(folder / f"{kind}_{flavor}.dcm", shown, tile_px=64, **elements)
    Image.fromarray(pixels).save(folder / "picture.png")
    Image.fromarray(label).save(folder / "picture_label.jpg")
    Image.fromarray(label).save(folder / "aperio_macro.png")
    return folder


def test_no_label_is_ever_shown(cohort, tmp_path):
    folder, shown = write_labeled(tmp_path / "slides"), []
    runs = run_cohort([folder], tmp_path / "out", cohort[1])
    slides = ["aperio.svs", "jpeg_VOLUME.dcm", "picture.png", "rle_VOLUME.dcm", "strips.tif", "tiles.tif"]
    assert states(runs) == dict.fromkeys(slides, "done")
    for run in runs:
        with open_slide(run.path) as slide:
            shown += [strip for level in range(len(slide.level_sizes)) for strip in slide.strips(level)]
            shown.append(slide.thumbnail(128))
    shown += [np.asarray(Image.open(path).convert("RGB")) for path in (tmp_path / "out").glob("*.png")]
    assert len(shown) >= 3 * len(slides)
    for pixels in shown:
        assert not (np.abs(pixels.astype(int) - PLANTED).max(axis=-1) < 40).any()


def test_no_code_asks_openslide_for_pictures_of_labels():
    rooms = [Path(package.__file__).parent for package in (hf_medreport, hf_medreport.processing)]
    sources = {path: path.read_text("utf-8") for room in rooms for path in room.rglob("*.py")}
    assert len(sources) > 100 and not [path for path, text in sources.items() if "associated_images" in text]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 4
    path.write_bytes(content)


SPOILT = {
    "truncated": (
        lambda path: path.write_bytes(path.read_bytes()[:-9]),
        "found broken or truncated safetensors; expected features in safetensors, .pt or .h5",
    ),
    "empty": (
        lambda path: path.write_bytes(b""),
        "found an empty file; expected features in safetensors, .pt or .h5",
    ),
    "flipped bit": (flip, "found content that differs from its digest; expected the bytes as written"),
}


@pytest.mark.parametrize(("spoil", "found"), SPOILT.values(), ids=SPOILT)
def test_a_spoilt_file_is_made_anew(cohort, tmp_path, spoil, found):
    slides, encoder, undisturbed = cohort
    run_cohort(slides, tmp_path / "out", encoder)
    spoil(tmp_path / "out" / "slide1.safetensors")
    runs = run_cohort(slides, tmp_path / "out", encoder)
    assert {run.path.name: run.message for run in runs if run.state == "done"} == {
        "slide1.tiff": f"made anew: slide1.safetensors: {found}; tile the slide again"
    }
    assert contents(tmp_path / "out") == undisturbed


def test_a_run_of_another_encoder_is_not_gone_on_with(cohort, tmp_path):
    slides, encoder, undisturbed = cohort
    run_cohort(slides, tmp_path / "out", save_encoder(tmp_path / "encoder", seed=1))
    before = contents(tmp_path / "out")
    assert before != undisturbed
    with pytest.raises(InputError, match="out: found a run with encoder_revision .* as now; give the same"):
        run_cohort(slides, tmp_path / "out", encoder)
    with pytest.raises(InputError, match="out: found a finished run; expected a new or empty folder"):
        run_cohort(slides, tmp_path / "out", encoder, resume=False)
    assert contents(tmp_path / "out") == before
    assert states(run_cohort(slides, tmp_path / "out", encoder, resume=False, overwrite=True)) == ALL_DONE
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"patch_px": 96}, 'patch_px "64"; expected patch_px "96" as now'),
        ({"overlap_px": 16}, 'overlap_px "0"; expected overlap_px "16" as now'),
        ({"mpp": 0.5}, 'cut_at "level 0"; expected cut_at "mpp 0.5" as now'),
        ({"size": 32}, 'input_px "224"; expected input_px "32" as now'),
    ],
)
def test_a_run_of_other_settings_is_not_gone_on_with(cohort, tmp_path, settings, found):
    slides, encoder, _ = cohort
    run_cohort(slides[:1], tmp_path / "out", encoder)
    with pytest.raises(InputError) as raised:
        run_cohort(slides[:1], tmp_path / "out", encoder, settings=settings)
    remedy = "give the same, begin anew with `overwrite`, or choose another `out`"
    assert str(raised.value) == f"out: found a run with {found}; {remedy}"


def test_any_exception_of_a_slide_is_its_failure(cohort, tmp_path, monkeypatch):
    slides, encoder, undisturbed = cohort
    tile_slide, calls = tile_cohort.tile_slide, []

    def broken(slide, processor):
        calls.append(slide)
        if len(calls) == 2:
            raise ZeroDivisionError("float division by zero")
        return tile_slide(slide, processor)

    monkeypatch.setattr(tile_cohort, "tile_slide", broken)
    runs = run_cohort(slides, tmp_path / "out", encoder)
    assert {run.path.name: run.message for run in runs if run.state == "failed"} == {
        "slide1.tiff": f"slide1.tiff: ZeroDivisionError: float division by zero ({FILE_IT})"
    }
    monkeypatch.undo()
    assert states(run_cohort(slides, tmp_path / "out", encoder)) == {
        "slide0.tiff": "kept",
        "slide1.tiff": "done",
        "slide2.tiff": "kept",
    }
    assert contents(tmp_path / "out") == undisturbed


def test_the_manifest_names_slides_and_files(cohort, tmp_path):
    slides, encoder, undisturbed = cohort
    run_cohort(slides, tmp_path / "out", encoder)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(manifest["inputs"]) == {"slide0.tiff", "slide1.tiff", "slide2.tiff"}
    assert set(manifest["files"]) == {*undisturbed, "summary.json"}
    lines = (tmp_path / "out" / "records.jsonl").read_text().splitlines()
    run_cohort(slides, tmp_path / "out", encoder)
    assert (tmp_path / "out" / "records.jsonl").read_text().splitlines() == lines  # nothing new of what is kept


def test_a_changed_slide_is_done_again(tmp_path, cohort):
    path = write_slide(tmp_path / "slide.tiff", tissue(5))
    run_cohort([path], tmp_path / "out", cohort[1])
    write_slide(path, tissue(6))
    [run] = run_cohort([path], tmp_path / "out", cohort[1], draw=False)
    assert run.state == "done" and "found slide_fingerprint" in run.message
    assert not list((tmp_path / "out").glob("*.png"))  # the overlay showed the slide as it was


def test_an_overlay_that_is_asked_for_later(cohort, tmp_path):
    slides, encoder, undisturbed = cohort
    run_cohort(slides, tmp_path / "out", encoder, draw=False)
    assert not list((tmp_path / "out").glob("*.png"))
    runs = run_cohort(slides, tmp_path / "out", encoder)
    assert set(states(runs).values()) == {"kept"} and contents(tmp_path / "out") == undisturbed


def test_a_slide_that_crashes_its_reader_ends_no_cohort(cohort, tmp_path, monkeypatch):
    slides, encoder, undisturbed = cohort
    read = ChildSlide.read_region

    def crashing(self, *place):
        if self._path.name == "slide1.tiff":
            os.kill(self._reader.process.pid, signal.SIGSEGV)
        return read(self, *place)

    with monkeypatch.context() as patch:
        patch.setattr(ChildSlide, "read_region", crashing)
        runs = run_cohort(slides, tmp_path / "out", encoder)
    assert states(runs) == {**ALL_DONE, "slide1.tiff": "failed"}
    assert "OpenSlide crashed on it: SIGSEGV" in next(run.message for run in runs if run.state == "failed")
    again = run_cohort(slides, tmp_path / "out", encoder)
    assert states(again) == dict.fromkeys(ALL_DONE, "kept") | {"slide1.tiff": "done"}
    assert contents(tmp_path / "out") == undisturbed


def test_bad_slides_are_listed_and_the_others_done(cohort, tmp_path):
    _, encoder, undisturbed = cohort
    slides = write_cohort(tmp_path / "slides")
    damage(slides[1])
    (tmp_path / "slides" / "note.svs").write_text("grade 2")
    write_slide(tmp_path / "slides" / "glass.tiff", np.full((512, 512, 3), 250, np.uint8))
    runs = run_cohort([tmp_path / "slides", tmp_path / "slides" / "absent.svs"], tmp_path / "out", encoder)
    failures = {run.path.name: run.message for run in runs if run.state == "failed"}
    assert sorted(failures) == ["absent.svs", "glass.tiff", "note.svs", "slide1.tiff"]
    assert all(message.startswith(f"{name}: found ") for name, message in failures.items())
    whole = {name: content for name, content in undisturbed.items() if "slide1" not in name}
    assert contents(tmp_path / "out") == whole  # nothing of a slide that failed, no claims
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["failures"] == 4 and len(summary["slides"]) == 6


def test_nan_features_are_no_file(cohort, tmp_path, monkeypatch):
    slides, encoder, _ = cohort
    monkeypatch.setattr(
        "hf_medreport.processing.patch_encoder.PatchEncoder.vectors",
        lambda self, pixels: pixels.new_full((len(pixels), 16), float("nan")),
    )
    monkeypatch.setattr("hf_medreport.processing.patch_encoder.PatchEncoder._probe", lambda self: 16)
    [run] = run_cohort(slides[:1], tmp_path / "out", encoder, draw=False)
    assert run.message == (
        f"slide0.safetensors: found {run.tiles * 16} of {run.tiles * 16} values NaN or infinite; "
        "expected finite features; encode the slide again"
    )
    assert contents(tmp_path / "out") == {}


def test_a_full_disk_ends_the_run_and_the_next_goes_on(cohort, tmp_path, monkeypatch):
    slides, encoder, undisturbed = cohort
    write = tile_cohort.write_features

    def full(path, bag):
        if path.stem == "slide1":
            raise OSError(28, "No space left on device", str(path))
        return write(path, bag)

    monkeypatch.setattr(tile_cohort, "write_features", full)
    with pytest.raises(OSError, match="No space left"):
        run_cohort(slides, tmp_path / "out", encoder)
    # neither claims nor half-written files
    assert [path.name for path in (tmp_path / "out").glob(".*")] == [".unfinished.jsonl"]
    monkeypatch.undo()
    assert states(run_cohort(slides, tmp_path / "out", encoder))["slide0.tiff"] == "kept"
    assert contents(tmp_path / "out") == undisturbed


# --- several processes ------------------------------------------------------------------------------------------------


def test_a_slide_that_another_process_has(cohort, tmp_path):
    slides, encoder, undisturbed = cohort
    (tmp_path / "out").mkdir()
    claim = take_claim(tmp_path / "out" / ".slide1.claim")
    runs = run_cohort(slides, tmp_path / "out", encoder)
    assert states(runs) == {**ALL_DONE, "slide1.tiff": "elsewhere"}
    drop_claim(claim)
    run_cohort(slides, tmp_path / "out", encoder)
    assert contents(tmp_path / "out") == undisturbed


def test_a_file_system_without_locks(cohort, tmp_path, monkeypatch):
    slides, encoder, undisturbed = cohort

    def missing(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".slide1.claim").write_text("12\nfar-away\n")
    runs = run_cohort(slides, tmp_path / "out", encoder)
    assert states(runs) == {**ALL_DONE, "slide1.tiff": "elsewhere"}
    assert [run.message for run in runs if run.message] == ["claimed by process 12 on far-away"]
    tile_cohort.clear_dead_claims(tmp_path / "out")
    run_cohort(slides, tmp_path / "out", encoder)
    assert contents(tmp_path / "out") == undisturbed and not list((tmp_path / "out").glob(".*.claim"))


def test_processes_started_together_share_the_list(cohort, tmp_path, monkeypatch):
    slides, encoder, undisturbed = cohort
    done = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        done.append([run.path.name for run in run_cohort(slides, tmp_path / "out", encoder)])
    assert done == [["slide0.tiff", "slide2.tiff"], ["slide1.tiff"]]
    assert contents(tmp_path / "out") == undisturbed
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {
        "manifest.json",
        "part-1-of-2.json",
        "part-2-of-2.json",
        "summary.json",
    }
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [slide["slide"] for slide in summary["slides"]] == list(ALL_DONE)


@pytest.mark.parametrize("options", [{"resume": False}, {"resume": False, "overwrite": True}])
def test_processes_share_a_folder_with_resume_only(cohort, tmp_path, monkeypatch, options):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError) as raised:
        run_cohort(cohort[0], tmp_path / "out", cohort[1], **options)
    assert str(raised.value) == (
        "resume: found none, in one of 2 processes; expected `resume`, with which they share a folder; "
        "give it to all of them, and to a new folder too"
    )


SERVER = ForkServer()  # our own: one that an earlier test started has not imported what we need
SERVER.set_forkserver_preload(["tests.inference.tiles.tiny_slides"])


def forked(*arguments) -> multiprocessing.Process:
    """`run_cohort` in a process of its own, started from a server that has imported everything once."""
    process = multiprocessing.get_context("forkserver").Process(target=run_cohort, args=arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("multiprocessing.forkserver.connect_to_new_process", SERVER.connect_to_new_process)
        process.start()
    return process


@pytest.mark.slow  # claims are tested in files/test_claims.py, and measured by benchmarks/speed/cohort.py
def test_two_processes_do_no_slide_twice(cohort, tmp_path):
    slides, encoder, undisturbed = cohort
    processes = [forked(slides, tmp_path / "out", encoder) for _ in range(2)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert contents(tmp_path / "out") == undisturbed


def kill_at_random(cohort, out: Path, kills: int) -> int:
    """Run, kill at a random moment, run again, ...; returns how many were hit before they had finished."""
    slides, encoder, undisturbed = cohort
    generator, hits = random.Random(kills), 0
    forked(slides, out.with_name("first"), encoder).join()  # waits for the server's imports
    start = time.perf_counter()
    forked(slides, out.with_name("timed"), encoder).join()
    duration = time.perf_counter() - start
    for _ in range(kills):
        process = forked(slides, out, encoder)
        time.sleep(generator.uniform(0, duration))
        hits += process.is_alive()
        process.kill()  # SIGKILL
        process.join()
        for path in out.glob("*.safetensors"):
            validate_features(path, {})  # what bears its own name is whole
        if generator.random() < 0.3:  # or all slides are done after the first few
            for path in out.glob("slide*.safetensors"):
                path.unlink()
    last = forked(slides, out, encoder)
    last.join(60)
    assert last.exitcode == 0 and contents(out) == undisturbed
    return hits


@pytest.mark.slow  # one kill of the verb is in cli/test_long_verbs.py
def test_killed_runs_go_on_to_the_same_bytes(cohort, tmp_path):
    assert kill_at_random(cohort, tmp_path / "out", 3) >= 1


@pytest.mark.slow
def test_thirty_kills(cohort, tmp_path):
    assert kill_at_random(cohort, tmp_path / "out", 30) >= 15


def test_memory_is_flat_over_many_slides(cohort, tmp_path):
    """40 slides of one content under many names: from the tenth on the process grows by less than 5 %."""
    slide, process, grown = cohort[0][0], psutil.Process(), []
    (tmp_path / "slides").mkdir()
    for number in range(40):
        (tmp_path / "slides" / f"{number:02}.tiff").hardlink_to(slide)
    model = tile_cohort.PatchEncoder.from_pretrained(cohort[1])
    processor = tile_cohort.tile_settings(model, patch_px=64, tissue="otsu", size=32)
    folder = tile_cohort.tile_folder(tmp_path / "out", model, processor)
    for run in tile_cohort.tile_cohort([tmp_path / "slides"], folder, model, processor, workers=2, draw=False):
        assert run.state == "done" and run.features is None and run.tiling is None
        grown.append(process.memory_info().rss)
    assert grown[-1] < 1.05 * grown[9]


# --- arguments --------------------------------------------------------------------------------------------------------


def test_a_folder_stands_for_its_slides(tmp_path):
    for name in ("b.svs", "a.TIFF", "notes.txt", "c.png"):
        (tmp_path / name).touch()
    (tmp_path / "deeper.svs").mkdir()
    assert [path.name for path in list_slides([tmp_path, tmp_path / "b.svs"]).slides] == ["a.TIFF", "b.svs", "c.png"]


def test_overlays_beside_the_slides_are_not_slides(cohort, tmp_path):
    slides = write_cohort(tmp_path / "slides", 2)
    folder = slides[0].parent
    assert set(states(run_cohort([folder], folder, cohort[1])).values()) == {"done"}
    assert states(run_cohort([folder], folder, cohort[1])) == {"slide0.tiff": "kept", "slide1.tiff": "kept"}


def test_a_folder_without_slides(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError) as raised:
        list_slides([tmp_path / "empty"])
    assert str(raised.value) == (
        "empty: found a folder without slides; expected files that end in .svs, .ndpi, .mrxs, .scn, .bif, .svslide, "
        ".vms, .vmu, .tif, .tiff, .dcm, .png, .jpg, .jpeg; give the slides themselves"
    )


def test_two_slides_of_one_name(tmp_path):
    with pytest.raises(InputError) as raised:
        list_slides([tmp_path / "a.svs", tmp_path / "other" / "a.tiff"])
    assert str(raised.value) == (
        "a: found 2 slides of one name (a.svs, a.tiff); expected one slide for each file of features; "
        "tile them into another `out`"
    )


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"batch_size": 0}, "batch_size: found 0; expected at least 1; correct it"),
        (
            {"slide_mpp": -0.5},
            "slide_mpp: found -0.5; expected microns per px, 0.02 to 20; 0.25 is usual for 40x, 0.5 for 20x",
        ),
        ({"workers": 0}, "workers: found 0; expected at least 1; correct it"),
    ],
)
def test_bad_arguments(cohort, tmp_path, option, message):
    with pytest.raises(InputError) as raised:
        run_cohort(cohort[0], tmp_path / "out", cohort[1], **option)
    assert str(raised.value) == message


def test_slides_that_know_their_resolution_keep_it(cohort, tmp_path):
    fine, known, bare = (write_slide(tmp_path / f"{mpp}.tiff", tissue(0), mpp) for mpp in (0.25, 0.5, None))
    runs = run_cohort([fine, known, bare], tmp_path / "out", cohort[1], slide_mpp=0.25, settings={"mpp": 0.5})
    alone = run_cohort([known], tmp_path / "alone", cohort[1], settings={"mpp": 0.5})
    tiles = {run.path: run.tiles for run in runs}
    assert tiles[known] == alone[0].tiles > tiles[fine] == tiles[bare]  # the same px of half the size
    headers = [read_info(tmp_path / "out" / f"{path.stem}.safetensors") for path in (fine, known, bare)]
    assert [header["slide_mpp"] for header in headers] == ["", "", "0.25"]
    assert [header["level0_px"] for header in headers] == ["128", "64", "128"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    notes = {slide["slide"]: slide["notes"] for slide in summary["slides"]}
    assert notes == {fine.name: [], known.name: ["0.5 microns per px of its header kept, not 0.25"], bare.name: []}
    # What is said of one slide may change between runs; those that know their own are not done again.
    runs = run_cohort([fine, known, bare], tmp_path / "out", cohort[1], slide_mpp=0.5, settings={"mpp": 0.5})
    assert {run.path: run.state for run in runs} == {fine: "kept", known: "kept", bare: "done"}


def test_out_is_a_file(cohort, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError) as raised:
        run_cohort(cohort[0], tmp_path / "out", cohort[1])
    assert str(raised.value) == "out: found a file; expected a folder to write to; choose another `out`"


def test_no_shipped_encoder(monkeypatch, tmp_path):
    monkeypatch.setattr(tile_cohort, "shipped", lambda: {default_model("slide"): tmp_path})
    with pytest.raises(InputError) as raised:
        default_encoder()
    assert (
        str(raised.value)
        == "encoder: found none shipped with this version; expected a folder or ORG/NAME; pass `encoder`"
    )


def test_settings_of_the_encoders_folder_are_the_default(tmp_path):
    folder = save_encoder(tmp_path / "encoder")
    saved = {"patch_px": 128, "level": None, "mpp": 1.0, "tissue": "otsu", "size": 64}
    (folder / "preprocessor_config.json").write_text(json.dumps(saved))
    encoder = tile_cohort.PatchEncoder.from_pretrained(folder)
    processor = tile_cohort.tile_settings(encoder, level=None, patch_px=None)
    assert (processor.patch_px, processor.level, processor.mpp, processor.size) == (128, None, 1.0, 64)
    other = tile_cohort.tile_settings(encoder, level=2, patch_px=96)
    assert (other.patch_px, other.level, other.mpp, other.tissue) == (96, 2, None, "otsu")
