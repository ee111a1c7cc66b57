"""Pictures in batches: a bad prompt fails alone, what holds for all is refused, and a folder ends in the same bytes."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from hf_medreport.files.run_folder import RunFolder
from hf_medreport.inference import synthesize as module
from hf_medreport.inference.asked_pictures import AskedPicture, asked_of_prompt
from hf_medreport.inference.report import Failure
from hf_medreport.inference.synthesize import PictureFolder, Source, fill, synthesize
from hf_medreport.processing.input_error import InputError
from tests.diffusion import tiny_pipeline

STEPS = {"num_inference_steps": 2}
SOURCE = Source("tiny", "0" * 16, STEPS)


@pytest.fixture(scope="module")
def pipe():
    return tiny_pipeline()


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)).save(path)
    return path


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_batch_and_one_by_one(pipe):
    asked = asked_of_prompt("left effusion", 3, seed=5, modality="cxr")
    together = list(synthesize(asked, pipe, batch_size=3, **STEPS))
    alone = list(synthesize(asked, pipe, batch_size=1, **STEPS))
    for one, other in zip(together, alone, strict=True):
        assert np.abs(np.asarray(one, int) - np.asarray(other, int)).max() <= 1
    assert not np.array_equal(np.asarray(together[0]), np.asarray(together[1]))


def test_a_bad_prompt_fails_alone(pipe):
    asked = [
        AskedPicture("a", "clear", 1, "cxr"),
        AskedPicture("b", "clear", 1, "ctt"),
        AskedPicture("c", "x" * 100, 1),
        AskedPicture("d", "clear", 1, "cxr", "blurred"),
    ]
    first, *bad, last = synthesize(asked, pipe, batch_size=4, **STEPS)
    assert isinstance(first, Image.Image) and isinstance(last, Image.Image)
    assert [one.message for one in bad] == [
        "b, modality: found 'ctt'; expected one of cxr, ct, oct; did you mean 'ct'?",
        "c, prompt: found 102 tokens; expected at most 64; shorten it",
    ]
    assert not np.array_equal(np.asarray(first), np.asarray(last))  # the negative prompt counts


def test_from_a_film_and_from_noise_in_one_list(pipe, film):
    asked = [AskedPicture("a", "clear", 1), AskedPicture("b", "clear", 1, image=film), AskedPicture("c", "clear", 1)]
    first, begun, last = synthesize(asked, pipe, strength=0.5, **STEPS)
    assert np.array_equal(np.asarray(first), np.asarray(last))
    assert not np.array_equal(np.asarray(first), np.asarray(begun))


def test_an_image_that_cannot_be_read(pipe, film):
    film.write_bytes(film.read_bytes()[:100])
    (failure,) = synthesize([AskedPicture("a", "clear", 1, image=film)], pipe, **STEPS)
    assert failure.message == (
        "film.png: found a truncated PNG; expected a complete image; copy or export the file again"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps: found 0; expected 1 or more; choose another"),
        ({"height": 15, "width": 16}, "height: found 15; expected a multiple of 2; take 16"),
        ({"guidance_schedule": "cosin"}, "guidance_schedule: found 'cosin'"),
        ({"guidance_scale": -1}, "guidance_scale: found -1"),
    ],
)
def test_an_option_that_cannot_be_is_no_failure_of_a_picture(pipe, options, message):
    with pytest.raises(InputError) as error:
        list(synthesize(asked_of_prompt("clear", 2), pipe, **options))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("[enforce] can't allocate memory: 9 bytes")]
)
def test_not_enough_memory_is_one_line(error):
    def pipe(prompts, *_, **__):
        raise error

    (failure,) = synthesize(asked_of_prompt("clear"), pipe)
    assert failure.message == (
        "0001, batch_size: found not enough memory for 1 picture at once; expected fewer or smaller ones; "
        "lower `batch_size` or `height`"
    )


class TestFolder:
    ASKED = [
        AskedPicture("one", "left effusion", 1, "cxr"),
        AskedPicture("two", "clear", 2, "ctt"),
        AskedPicture("p/three", "nodule, 左", 3, None, "blurred"),
        AskedPicture("four", "clear", 4, "cxr", drawn_prompt="clear. Heart normal."),
        AskedPicture("five", "clear", 5),
    ]

    def fill(self, pipe, out, asked=None, stop=None, **options):
        asked = self.ASKED if asked is None else asked
        with RunFolder(out, "synthesize", {"batch_size": 3}, records="records.jsonl", resume=True) as run:
            folder = PictureFolder(run, [picture.id for picture in asked], SOURCE, **options)
            for number, _ in enumerate(fill(folder, asked, pipe, batch_size=3, **STEPS), 1):
                if number == stop:
                    return run
            folder.finish()
        return run

    def test_what_is_in_it(self, pipe, tmp_path):
        run = self.fill(pipe, tmp_path / "out")
        assert run.progress == "4 done, 1 failed, 0 left"
        assert sorted(contents(tmp_path / "out")) == [
            "contact_sheet.png",
            *("images/five.png", "images/four.png", "images/metadata.jsonl", "images/one.png", "images/p_three.png"),
            *("manifest.json", "records.jsonl", "synthesize.json"),
        ]
        record = json.loads((tmp_path / "out" / "synthesize.json").read_text())
        assert [one["id"] for one in record["pictures"]] == ["one", "p/three", "four", "five"]
        assert record["failures"] == [
            {"id": "two", "message": "two, modality: found 'ctt'; expected one of cxr, ct, oct; did you mean 'ct'?"}
        ]
        assert record["pictures"][1] == {
            "id": "p/three",
            "file": "images/p_three.png",
            "prompt": "nodule, 左",
            "modality": None,
            "negative_prompt": "blurred",
            "seed": 3,
            "model": "tiny",
            "revision": "0" * 16,
            "width": 16,
            "height": 16,
        }
        with Image.open(tmp_path / "out" / "images" / "four.png") as picture:
            assert (picture.text["prompt"], picture.text["drawn_prompt"]) == ("clear", "clear. Heart normal.")
            assert picture.text["synthetic"] == "true"
        captions = (tmp_path / "out" / "images" / "metadata.jsonl").read_text().splitlines()
        expected = {"file_name": "one.png", "text": "left effusion", "modality": "cxr", "seed": 1}
        assert len(captions) == 4 and json.loads(captions[0]) == expected

    @pytest.mark.parametrize("stop", [pytest.param(1, marks=pytest.mark.slow), 2])
    def test_stopped_anywhere_it_ends_in_the_same_bytes(self, pipe, tmp_path, stop):
        self.fill(pipe, tmp_path / "whole")
        run = self.fill(pipe, tmp_path / "out", stop=stop)
        kept = contents(tmp_path / "out")
        assert run.done_items + run.failed_items == stop and "manifest.json" not in kept
        self.fill(pipe, tmp_path / "out")
        whole = contents(tmp_path / "whole")
        assert contents(tmp_path / "out") == whole
        assert all(whole[name] == kept[name] for name in kept if name.endswith(".png"))

    def test_a_finished_folder_draws_nothing(self, tmp_path, pipe):
        asked = self.ASKED[:1]
        self.fill(pipe, tmp_path / "out", asked)
        before = contents(tmp_path / "out")
        self.fill(None, tmp_path / "out", asked)
        assert contents(tmp_path / "out") == before

    def test_a_list_that_has_grown(self, tmp_path, pipe):
        self.fill(pipe, tmp_path / "out", self.ASKED[:3])
        run = self.fill(pipe, tmp_path / "out")
        assert run.progress == "4 done, 1 failed, 0 left"

    def test_the_mark_is_in_the_file_alone(self, tmp_path, pipe):
        for name, options in (("plain", {}), ("marked", {"visible_mark": True})):
            self.fill(pipe, tmp_path / name, self.ASKED[:1], **options)
        plain, marked = (np.asarray(Image.open(tmp_path / name / "images" / "one.png")) for name in ("plain", "marked"))
        assert plain.shape == marked.shape and not np.array_equal(plain, marked)

    def test_many_pictures_have_several_sheets(self, tmp_path, pipe, monkeypatch):
        monkeypatch.setattr(module, "ON_A_SHEET", 2)
        self.fill(pipe, tmp_path / "out", asked_of_prompt("clear", 3))
        assert json.loads((tmp_path / "out" / "synthesize.json").read_text())["contact_sheets"] == [
            "contact_sheet_001.png",
            "contact_sheet_002.png",
        ]

    def test_failures_say_why(self, tmp_path):
        with RunFolder(tmp_path / "out", "synthesize", {}) as run:
            folder = PictureFolder(run, ["a"], SOURCE)
            folder.add(AskedPicture("a", "x", 1), Failure("a", "no"))
            assert folder.finish()["failures"] == [{"id": "a", "message": "no"}] and run.failed_items == 1
