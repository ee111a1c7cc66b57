"""Serving: a folder of the run that is gone with it, nothing that tells others, and what cannot be served."""

import os

import pytest

from hf_medreport.demo import serving
from hf_medreport.demo.serving import private_folder, serve
from hf_medreport.processing.input_error import InputError


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What is set for Gradio is taken back."""
    for name in ("GRADIO_TEMP_DIR", "GRADIO_ANALYTICS_ENABLED"):
        monkeypatch.setenv(name, "")


def test_uploads_lie_in_a_folder_that_ends_with_the_run():
    with private_folder() as folder:
        assert folder.is_dir() and os.environ["GRADIO_TEMP_DIR"].startswith(str(folder))
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
        (folder / "uploaded.png").write_bytes(b"")
    assert not folder.exists()


def test_without_gradio_it_is_told_what_to_install(monkeypatch):
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="gradio: found no such package.*hf-medreport\\[demo\\]"), private_folder():
        pass


def test_a_folder_of_slides_that_is_none_is_told_before_anything_is_loaded(tmp_path):
    with pytest.raises(InputError, match="slides: found no folder"):
        serve(None, slides=tmp_path / "none")
