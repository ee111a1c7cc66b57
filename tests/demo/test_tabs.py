"""What the buttons of the tabs call, without a browser: results, files, and errors in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

gr = pytest.importorskip("gradio")

from gradio.utils import is_static_file  # noqa: E402

from hf_medreport.demo import app, draw, film, slide, synthesize  # noqa: E402
from hf_medreport.demo.drawn import Examples  # noqa: E402
from hf_medreport.demo.models import Models  # noqa: E402
from hf_medreport.phantom.chest.findings import KINDS, Fact  # noqa: E402
from hf_medreport.phantom.picture.facts import PictureFact  # noqa: E402
from hf_medreport.phantom.slide.corpus import SlideCorpus  # noqa: E402
from hf_medreport.processing.input_error import InputError  # noqa: E402


@pytest.fixture(scope="module")
def models(tiny_pipe_folder):
    """A small model of random weights, and the shipped ones where they are asked for."""
    return Models([str(tiny_pipe_folder)], device="cpu")


@pytest.fixture(autouse=True)
def uploads(tmp_path, monkeypatch):
    """Where files for users go."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))


def last(yielded) -> tuple:
    """The last of what a button's function yields; before it, each output but the first stays as it is."""
    *before, result = yielded
    assert before and all('role="status"' in each[0] for each in before)
    assert all(rest == gr.skip() for each in before for rest in each[1:])
    return result


def refusal(yielded) -> str:
    """The line of an error, which stands in the first output too."""
    shown = []
    with pytest.raises(gr.Error) as raised:
        for each in yielded:
            shown.append(each[0])
    assert raised.value.message in shown[-1] and 'role="alert"' in shown[-1] and not raised.value.print_exception
    return raised.value.message


def test_a_film_becomes_a_view_a_record_and_three_files(models, film_png, tiny_pipe_folder):
    run = film._run(models, str(film_png), None, str(tiny_pipe_folder), "", False, "", "")
    view, record, *files = last(run)
    assert "film.png" in view and record["film"] == "film.png"
    assert [Path(file).name for file in files] == ["film_report.json", "film_report.png", "film_report.txt"]
    assert json.loads(Path(files[0]).read_text()) == json.loads(json.dumps(record))
    assert len({Path(file).parent for file in files}) == 1 and len(Path(files[0]).parent.name) == 32


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"film": None}, "film: found none"),
        ({"model": "/etc"}, "model: found '/etc'"),
        ({"model": "histgen-tiny"}, "model: found 'histgen-tiny'"),
        ({"lateral": "l.png"}, "reads frontal films only"),
    ],
)
def test_what_cannot_be_reported_is_one_line(models, film_png, tiny_pipe_folder, given, said):
    asked = {"film": str(film_png), "lateral": None, "model": str(tiny_pipe_folder)} | given
    assert said in refusal(film._run(models, *asked.values(), "", False, "", ""))


def test_a_frame_is_a_whole_number_or_nothing(models, film_png, tiny_pipe_folder):
    asked = (models, str(film_png), None, str(tiny_pipe_folder), "", False)
    assert "frame: found 'x'" in refusal(film._run(*asked, "x", ""))
    assert "frame" in refusal(film._run(*asked, "3", ""))  # the file has one alone


def test_a_broken_file_is_one_line_without_html(models, tmp_path, tiny_pipe_folder):
    path = tmp_path / "<b>broken.png"
    path.write_bytes(b"no film")
    said = refusal(film._run(models, str(path), None, str(tiny_pipe_folder), "", False, "", ""))
    assert said.startswith("&lt;b&gt;broken.png: found")


def test_every_fact_of_a_film_can_be_chosen_once():
    facts = draw.film_facts()
    assert facts["severe left pleural effusion"] == Fact("pleural_effusion", "left", severity="severe")
    assert {fact.kind for fact in facts.values()} == set(KINDS) and len(facts) == len(set(facts.values())) == 59


def test_every_fact_of_a_picture_can_be_chosen_once():
    facts = draw.picture_facts()
    assert facts["ct: right posterior consolidation"] == PictureFact("ct", "consolidation", "right", "posterior")
    assert facts["mri: no finding"] == PictureFact("mri") and len(facts) == len(set(facts.values()))


def test_without_a_tumor_what_only_a_tumor_has_is_left_out():
    given = {"inflammation": "mild", "nodes_examined": 2, "grade": 2, "necrosis": "focal", "mitoses": 3}
    given |= {"margin": "positive", "size_cm": 2.0, "nodes_positive": 1}
    benign, tumor = (draw.slide_facts(f"colon, {name}", **given) for name in ("no malignancy", "adenocarcinoma"))
    assert (benign.grade, benign.size_cm, benign.nodes_positive, benign.necrosis) == (None, None, 0, "absent")
    assert (tumor.grade, tumor.size_cm, tumor.nodes_positive, tumor.nodes_examined) == (2, 2.0, 1, 2)


def test_a_drawn_film_is_ticked(models, tiny_pipe_folder):
    view, record, *_ = last(draw._run_film(models, ["severe cardiomegaly"], 3, "standard", str(tiny_pipe_folder)))
    assert "severe cardiomegaly (missed)" in view and record["film"] == "drawn_film.png"


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (["moderate left pleural effusion", "severe left pneumothorax"], "facts that one film can show together"),
        (["a cold"], "findings: found 'a cold'"),
    ],
)
def test_findings_that_no_film_can_show_are_one_line(models, tiny_pipe_folder, chosen, said):
    assert said in refusal(draw._run_film(models, chosen, 3, "standard", str(tiny_pipe_folder)))


def test_only_slides_of_the_servers_folder_can_be_asked_for(models, tmp_path):
    folder = tmp_path / "slides"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(folder / "more" / "a.png")
    assert slide.server_slides(folder) == {"more/a.png": folder / "more" / "a.png"}
    assert slide.server_slides(None) == {}
    assert slide._path(folder, None, "more/a.png") == folder / "more" / "a.png"
    assert slide._path(folder, "dropped.svs", "") == Path("dropped.svs")
    for given in ((None, ""), ("dropped.svs", "more/a.png"), (None, "../secret.png"), (None, "/etc/passwd")):
        with pytest.raises(InputError, match="slide: found"):
            slide._path(folder, *given)
    assert "model: found 'anatomical-tiny'" in refusal(
        slide._run(models, folder, None, "more/a.png", None, False, "anatomical-tiny")
    )


@pytest.mark.parametrize(
    ("prompt", "n", "model", "said"),
    [
        (" ", 1, "diffusion-tiny", "prompt: found none"),
        ("effusion", 9, "diffusion-tiny", "n: found 9"),
        ("effusion", 1, "anatomical-tiny", "model: found 'anatomical-tiny'"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(models, prompt, n, model, said):
    assert said in refusal(synthesize._run(models, prompt, "CXR", n, 0, 3, "", 5, False, model))


def test_the_page_has_its_tabs_their_names_for_programs_and_its_statement(models, tmp_path, monkeypatch):
    monkeypatch.setattr(app, "write_examples", lambda folder: Examples())
    (example := tmp_path / "examples" / "film.png").parent.mkdir()
    example.touch()
    blocks = app.build(models, tmp_path / "examples")
    assert is_static_file(str(example)) and not is_static_file(str(tmp_path))  # it stays when uploads are deleted
    shown = blocks.get_config_file()
    labels = [part["props"].get("label") for part in shown["components"] if part["type"] == "tabitem"]
    assert labels == ["Film", "Draw", "A film", "A slide", "Another modality", "Synthesize", "Slide"]
    named = {each["api_name"] for each in shown["dependencies"] if each["api_visibility"] == "public"}
    assert named == {"film", "slide", "synthesize", "draw", "draw_slide", "draw_picture"}
    assert any("no clinical use" in str(part["props"].get("value")) for part in shown["components"])
    assert blocks.delete_cache == (60, 600) and blocks.max_threads and not blocks.analytics_enabled


@pytest.mark.slow
def test_a_drawn_slide_is_reported_with_its_tiles(models, tmp_path):
    path = tmp_path / "slide.png"
    Image.fromarray(SlideCorpus(1, 3, 1024, 1.0, "test")[0].drawing.region(0, 0, 1024, 1024)).save(path)
    view, record, *_ = last(slide._run(models, None, str(path), "", 1.0, False, "histgen-tiny"))
    assert record["film"] == "slide.png" and view.count("data-tiles-of") == len(record["sentences"])
    values = ("kidney, no malignancy", "mild", 2, 2, "focal", 3, "positive", 2.0, 1)
    view, record, *_ = last(draw._run_slide(models, *values, 1, "histgen-tiny"))
    assert "site: " in view and record["film"] == "drawn_slide.png"


@pytest.mark.slow
def test_pictures_are_drawn_marked_and_judged(models):
    view, files, records = last(
        synthesize._run(models, "large left effusion", "CXR", 1, 4, 3, "", 5, True, "diffusion-tiny")
    )
    with Image.open(files[0]) as picture:
        assert picture.text["synthetic"] == "true"
    assert records[0]["synthetic"] and set(records[0]["judge"]) == {"modality", "finding", "side", "zone", "grade"}
    assert records[0]["verification"]["rounds"] and "the judge sees" in view
    view, record = last(draw._run_picture(models, "ct: right posterior consolidation", 2, "diffusion-tiny"))
    assert record["seen"]["drawn"]["modality"] == "ct" and view.count("<figure>") == 2


def test_a_picture_whose_resolution_is_told_is_a_slide_with_its_tiles(models, tmp_path):
    path = tmp_path / "dropped.png"
    pixels = SlideCorpus(1, seed=3, size=1024, mpp=1.0, split="test")[0].drawing.region(0, 0, 1024, 1024)
    Image.fromarray(pixels).save(path)
    report = slide.slide_report(models, "histgen-tiny", path, 1.0)
    view = slide.slide_view(report, path, 1.0)
    assert view.count('class="mr-tiles"') == 1 + len(report.sentences) and "1. " in view
    assert view.count("<img") > len(report.sentences) + len(report.tiles)  # maps, and tiles of the level 0
