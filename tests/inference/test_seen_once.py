"""From an image to the picture of its report, everything is done with it once."""

import json
from collections import Counter
from contextlib import contextmanager
from functools import wraps

import pytest
from PIL import Image

from hf_medreport.inference.loading import load
from hf_medreport.inference.report import Failure
from hf_medreport.inference.report_any import report_any
from hf_medreport.inference.report_folder import ReportFolder
from hf_medreport.processing import processing_histgen
from hf_medreport.processing.pipeline_image_to_text import MedicalReportPipeline
from hf_medreport.registry import system
from tests.inference.test_report_slides import save_model
from tests.inference.tiles.tiny_slides import tissue, write_slide
from tests.tiny import film_array, save_tiny


@contextmanager
def counted(pipe, *parts: str):
    """How often the processor and these modules (`encoder`, `encoder.image_encoder`, ...) of the model are called."""
    calls = Counter()
    processor, called = type(pipe.processor), type(pipe.processor).__call__

    @wraps(called)  # the pipeline looks at its signature
    def counting(self, *args, **kwargs):
        calls["processor"] += 1
        return called(self, *args, **kwargs)

    hooks = [
        pipe.model.get_submodule(part).register_forward_hook(lambda *_, part=part: calls.update([part]))
        for part in parts
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processor, "__call__", counting)
        yield calls
    for hook in hooks:
        hook.remove()


def draw(pipe, out, paths=(), pairs=None, **options):
    """Report as the verb does, with pictures."""
    with ReportFolder(out) as folder:
        for result in report_any(paths, pipe, pairs=pairs, **options):
            assert not isinstance(result, Failure), result.message
            folder.add(result)
        folder.finish()


@pytest.fixture
def without_seen(monkeypatch):
    """Evidence as before: the model looks at the image once more."""
    forward = MedicalReportPipeline._forward

    def blind_to_what_was_seen(self, model_inputs, *args, **kwargs):
        evidence = type(self.model).sentence_evidence
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                type(self.model),
                "sentence_evidence",
                lambda model, ids, sentences, seen=None: evidence(model, ids, sentences, **model_inputs),
            )
            return forward(self, model_inputs, *args, **kwargs)

    monkeypatch.setattr(MedicalReportPipeline, "_forward", blind_to_what_was_seen)


FILMS = [("anatomical_report", ("encoder", "segmenter")), ("radscribe", ("encoder", "encoder.image_encoder"))]


@pytest.fixture(scope="module")
def pipes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    pipes = {name: load(save_tiny(system(name), folder / name)) for name in dict(FILMS) | {"cxr_multitask": ()}}
    return pipes | {"histgen": load(save_model(folder / "histgen"))}


@pytest.mark.parametrize(("name", "parts"), FILMS, ids=dict(FILMS))
def test_a_film_is_seen_once(pipes, film_png, tmp_path, name, parts):
    with counted(pipes[name], *parts) as calls:
        draw(pipes[name], tmp_path / "out", [film_png])
    assert calls == Counter(["processor", *parts])


@pytest.mark.parametrize(("name", "parts"), FILMS, ids=dict(FILMS))
@pytest.mark.usefixtures("without_seen")
def test_the_count_notices_a_second_look(pipes, film_png, tmp_path, name, parts):
    with counted(pipes[name], *parts) as calls:
        draw(pipes[name], tmp_path / "out", [film_png])
    assert {calls[part] for part in parts} == {2}


@pytest.mark.parametrize("views", [("frontal", "lateral"), ("frontal",), ("lateral",)], ids="+".join)
def test_a_pair_is_seen_once(pipes, film_png, tmp_path, views):
    lateral = tmp_path / "lateral.png"
    Image.fromarray(film_array().T).save(lateral)
    pair = tuple(path if view in views else None for view, path in (("frontal", film_png), ("lateral", lateral)))
    with counted(pipes["cxr_multitask"], "encoder", "segmenter") as calls:
        draw(pipes["cxr_multitask"], tmp_path / "out", pairs=[pair])
    # Both views go through the encoder together, and only a frontal film is cropped.
    assert calls == Counter(["processor", "encoder"] + ["segmenter"] * ("frontal" in views))


def test_a_slide_is_seen_once(pipes, tmp_path, monkeypatch):
    slide, pipe, tiles = write_slide(tmp_path / "a.tiff", tissue(0)), pipes["histgen"], []
    monkeypatch.setattr(processing_histgen, "TILES_A_PASS", 10)
    hook = pipe.processor.patch_encoder.model.register_forward_hook(lambda _, __, output: tiles.append(len(output[0])))
    with counted(pipe, "encoder") as calls:
        draw(pipe, tmp_path / "out", [slide])
    hook.remove()
    (report,) = json.loads((tmp_path / "out" / "report.json").read_text())["reports"]
    assert calls == Counter(["processor", "encoder"]) and sum(tiles) == report["patches"] and set(tiles[:-1]) == {10}
