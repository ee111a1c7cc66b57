"""Known-truth slides on disk: what OpenSlide sees, the same bytes for any number of workers, what goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import openslide
import pytest
import tifffile

from hf_medreport.data.drawn import slides as phantom_slides
from hf_medreport.data.drawn.slides import write_slides
from hf_medreport.files.interruption import Terminated
from hf_medreport.files.run_folder import RunFolder
from hf_medreport.phantom.slide.corpus import SlideCorpus
from hf_medreport.phantom.slide.findings import SlideFacts
from hf_medreport.processing.input_error import InputError
from tests.data.drawn.test_corpus import full_after

SMALL = {"n": 2, "seed": 3, "size": 700, "mpp": 0.5}


def rows_of(out) -> list[dict]:
    return [json.loads(line) for line in (out / "facts.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(folder, corpus, manifest) of a slide of an odd size with three levels."""
    out, corpus = tmp_path_factory.mktemp("slides") / "out", SlideCorpus(1, 1, 4100, 0.5, "test")
    return out, corpus, write_slides(out, corpus, workers=2, pen_share=1.0)


def test_openslide_sees_levels_and_scale(written):
    out, _, _ = written
    with openslide.OpenSlide(out / rows_of(out)[0]["file_name"]) as slide:
        assert slide.level_dimensions == ((4100, 4100), (1025, 1025), (256, 256))
        assert slide.level_downsamples == pytest.approx((1, 4, 16), rel=0.002)
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert slide.properties["openslide.level[0].tile-width"] == "256"


def test_the_pixels_are_those_of_the_drawing_and_of_the_level_above(written):
    out, corpus, _ = written
    row, drawing = rows_of(out)[0], phantom_slides._drawing
    case = corpus[0]
    drawn = drawing(case.facts, case.patient, case.size, case.mpp, case.style, True)
    with openslide.OpenSlide(out / row["file_name"]) as slide:
        for place in ((1500, 1500), (3900, 3900), (0, 2000)):
            seen = np.asarray(slide.read_region(place, 0, (200, 200)))[..., :3]
            assert abs(seen.astype(int) - drawn.region(*place, 200, 200)).mean() < 4  # JPEG
        levels = [np.asarray(slide.read_region((0, 0), k, slide.level_dimensions[k]))[..., :3] for k in range(3)]
    for fine, coarse in zip(levels, levels[1:], strict=False):
        side = len(coarse)
        means = fine[: 4 * side, : 4 * side].reshape(side, 4, side, 4, 3).mean((1, 3))
        assert abs(means - coarse).mean() < 4 and abs((means - coarse).mean()) < 0.5


def test_words_lie_beside_the_slides(written):
    out, corpus, manifest = written
    annotation = json.loads((out / "annotation.json").read_text())
    assert list(annotation) == ["train", "val", "test"] and annotation["train"] == annotation["val"] == []
    for case, entry, row in zip(corpus, annotation["test"], rows_of(out), strict=True):
        name = f"slides/{case.case_id}.tiff"
        assert entry == {"id": case.case_id, "report": case.report, "image_path": [name], "split": "test"}
        assert SlideFacts(**row["facts"]) == case.facts and row["file_name"] == name and row["pen"]
    there = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert there == {*manifest["files"], "manifest.json"}
    assert manifest["made_by"] == "hf-medreport phantom slide" and "no clinical claim" in manifest["statement"]
    assert manifest["arguments"]["pen_share"] == 1.0 and "tifffile" in manifest["versions"]
    card = (out / "README.md").read_text()
    assert "drawn by a program" in card and "no clinical claim" in card and str(out) not in card


def test_the_number_of_workers_changes_no_byte(tmp_path):
    one, three = (write_slides(tmp_path / str(w), SlideCorpus(**SMALL), w, 0.5) for w in (1, 3))
    assert one == three
    for name in (*one["files"], "manifest.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_small_slides_have_one_level_and_pens_their_share(tmp_path):
    corpus = SlideCorpus(n=12, seed=0, size=256, mpp=2.0, split="validation")
    write_slides(tmp_path / "out", corpus, 1, 0.5)
    rows = rows_of(tmp_path / "out")
    assert 2 <= sum(row["pen"] for row in rows) <= 10
    with tifffile.TiffFile(tmp_path / "out" / rows[0]["file_name"]) as tiff:
        assert len(tiff.pages) == 1 and tiff.pages[0].shape == (256, 256, 3)
        assert tiff.pages[0].tags["Software"].value == "hf-medreport"
    assert len(json.loads((tmp_path / "out" / "annotation.json").read_text())["val"]) == 12


def test_a_finished_run_is_left_alone_and_checked(tmp_path):
    out = tmp_path / "out"
    manifest = write_slides(out, SlideCorpus(**SMALL), 1)
    slide = out / rows_of(out)[0]["file_name"]
    before = slide.stat().st_mtime_ns
    assert write_slides(out, SlideCorpus(**SMALL), 1, resume=True) == manifest and slide.stat().st_mtime_ns == before
    slide.write_bytes(slide.read_bytes()[:-1])
    with pytest.raises(InputError) as caught:
        write_slides(out, SlideCorpus(**SMALL), 1, resume=True)
    assert str(caught.value) == (
        "out/slides/phantom-slide-train-3-000000.tiff: found other content than its manifest says"
        "; expected the file as written; begin anew with `overwrite`"
    )


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path):
    whole = write_slides(tmp_path / "whole", SlideCorpus(**SMALL), 1)
    code = (
        "from hf_medreport.data.drawn.slides import write_slides\n"
        "from hf_medreport.phantom.slide.corpus import SlideCorpus\n"
        f"if __name__ == '__main__': write_slides({str(tmp_path / 'out')!r}, SlideCorpus(**{SMALL!r}), 1)\n"
    )
    (tmp_path / "run.py").write_text(code)
    process = subprocess.Popen([sys.executable, str(tmp_path / "run.py")], start_new_session=True)
    while not list(tmp_path.glob("out/slides/*")) and process.poll() is None:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert write_slides(tmp_path / "out", SlideCorpus(**SMALL), 1, resume=True) == whole
    assert not list(tmp_path.glob("out/**/.*"))


@pytest.mark.parametrize("slides", [0.5, 1.5])
def test_a_full_disk_leaves_nothing_half_written_and_the_run_begins_anew(tmp_path, monkeypatch, slides):
    whole = write_slides(tmp_path / "whole", SlideCorpus(**SMALL), 1)
    a_slide = np.mean([file["bytes"] for name, file in whole["files"].items() if name.endswith(".tiff")])
    monkeypatch.setattr(RunFolder, "open", full_after(int(slides * a_slide), RunFolder.open))
    with pytest.raises(OSError, match="No space left on device") as caught:
        write_slides(tmp_path / "out", SlideCorpus(**SMALL), 1)
    assert caught.value.errno == 28
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            assert path.stat().st_size == whole["files"][str(path.relative_to(tmp_path / "out"))]["bytes"]
    monkeypatch.undo()
    assert write_slides(tmp_path / "out", SlideCorpus(**SMALL), 1, resume=True) == whole


def without(module: str):
    return lambda monkeypatch: monkeypatch.setattr(phantom_slides, "find_spec", lambda name: name != module or None)


MESSAGES = [
    ({"workers": 0}, None, "workers: found 0; expected at least 1 process; leave it out for one a core"),
    (
        {"pen_share": 1.5},
        None,
        "pen_share: found 1.5; expected a share, 0 to 1; 0 for clean glass, 1 for a stroke on each",
    ),
    (
        {"pen_share": float("nan")},
        None,
        "pen_share: found nan; expected a share, 0 to 1; 0 for clean glass, 1 for a stroke on each",
    ),
    (
        {},
        lambda monkeypatch: monkeypatch.setitem(sys.modules, "cv2", None),
        "phantom slide: found no opencv-python-headless; expected OpenCV, which draws slides"
        "; pip install 'hf-medreport[wsi]'",
    ),
    (
        {},
        without("tifffile"),
        "phantom slide: found no tifffile; expected tifffile, which writes slides; pip install 'hf-medreport[wsi]'",
    ),
    (
        {},
        without("imagecodecs"),
        "phantom slide: found no imagecodecs; expected imagecodecs, which writes slides"
        "; pip install 'hf-medreport[wsi]'",
    ),
]


@pytest.mark.parametrize(("options", "prepare", "message"), MESSAGES, ids=range(len(MESSAGES)))
def test_what_cannot_be_written_is_told_before_a_folder_is_made(tmp_path, monkeypatch, options, prepare, message):
    corpus = SlideCorpus(**SMALL)
    if prepare is not None:
        prepare(monkeypatch)
    with pytest.raises(InputError) as caught:
        write_slides(tmp_path / "out", corpus, **options)
    assert str(caught.value) == message and not (tmp_path / "out").exists()


def test_a_slide_that_is_whole_is_not_drawn_again(tmp_path):
    options, asked = SMALL | {"n": 3}, []
    whole = write_slides(tmp_path / "whole", SlideCorpus(**options), 1)

    def killed(slides):
        for number, slide in enumerate(slides):
            if number == 2:
                raise Terminated
            yield slide

    with pytest.raises(Terminated) as raised:
        write_slides(tmp_path / "out", SlideCorpus(**options), 1, progress=killed)
    assert raised.value.__notes__ == ["interrupted: 2 done, 0 failed, 1 left; `resume` goes on"]
    again = {"resume": True, "progress": lambda slides: asked.extend(slides) or slides}
    assert write_slides(tmp_path / "out", SlideCorpus(**options), 1, **again) == whole and asked == [2]


def test_another_run_is_not_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(InputError) as caught:
        write_slides(tmp_path / "mine", SlideCorpus(**SMALL), 1)
    assert str(caught.value) == (
        "mine: found a folder that is not empty; expected a new or empty folder; choose another `out`"
    )
