"""`hf-medreport demo`: what it hands on, and what it says of wrong arguments; the pages are tested in a browser."""

from pathlib import Path

import pytest

from tests.cli.test_cli import run


@pytest.fixture
def served(monkeypatch):
    """How the pages would be served."""
    calls = []

    def serve(models, ready, **options):
        calls.append((models, options))
        ready("http://127.0.0.1:7860/")

    monkeypatch.setattr("hf_medreport.demo.serving.serve", serve)
    return calls


def test_the_address_is_printed_and_the_shipped_models_are_there(capsys, served):
    assert run(capsys, "demo")[:2] == (0, "http://127.0.0.1:7860/  (Ctrl-C ends it)\n")
    ((models, options),) = served
    assert models.of("film")[0] == "anatomical-tiny"
    assert options == {"host": "127.0.0.1", "port": 7860, "browser": True, "slides": None, "desk": None}


def test_every_flag_is_handed_on(capsys, served):
    flags = ("--no-browser", "--host", "0.0.0.0", "--port", "80", "--slides", "here", "--device", "cpu")
    assert run(capsys, "demo", *flags)[0] == 0
    ((models, options),) = served
    assert options == {"host": "0.0.0.0", "port": 80, "browser": False, "slides": Path("here"), "desk": None}
    assert models.device == "cpu"


def test_a_wrong_model_or_folder_is_one_line(capsys, tmp_path):
    code, out, err = run(capsys, "demo", "--model", "nowhere")
    assert (code, out) == (2, "") and err.startswith("nowhere: found no such model")
    code, out, err = run(capsys, "demo", "--rate", str(tmp_path))
    assert (code, out) == (2, "") and err.startswith("--ratings: found none")
    code, out, err = run(capsys, "demo", "--slides", str(tmp_path / "none"))
    assert (code, out) == (2, "") and err.startswith("--slides: found no folder")


def test_pictures_to_rate_are_found_before_anything_is_served(capsys, served, film_png, tmp_path):
    assert run(capsys, "demo", "--rate", str(film_png.parent), "--ratings", str(tmp_path / "said.csv"))[0] == 0
    ((_, options),) = served
    assert [item.pictures[0].image.name for item in options["desk"].items] == ["film.png"]
