"""The Space's folder runs as Spaces run it: a fresh environment, `python app.py`, no connection."""

import os
import subprocess
import sys
import sysconfig
import urllib.request
from pathlib import Path

import pytest

from hf_medreport.hub.space import WHEEL, write_space
from tests.browser.conftest import free_port, served


@pytest.mark.slow
def test_the_space_serves_its_pages_in_a_fresh_environment(tmp_path):
    """The requirements are those already installed here: they are large and the same."""
    folder = write_space(tmp_path / "space")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    own = sysconfig.get_paths(vars={"base": str(tmp_path / "env"), "platbase": str(tmp_path / "env")})["purelib"]
    (Path(own) / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    hidden = "import hf_medreport"
    assert subprocess.run([python, "-c", hidden], cwd=tmp_path, capture_output=True).returncode  # but for the wheel

    port = free_port()
    environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "HF_HUB_OFFLINE": "1", "TMPDIR": str(tmp_path)}
    environment.pop("PYTHONPATH", None)
    process = served([str(python), "app.py"], port, cwd=folder, env=environment)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=60) as answer:
            page = answer.read().decode()
        assert "no clinical use" in page and '"Film"' in page and (folder / WHEEL).is_file()
    finally:
        process.terminate()
        process.wait(timeout=60)
