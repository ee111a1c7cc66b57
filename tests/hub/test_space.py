"""The Space: what its folder holds, that the committed one is the same, and that it is one commit on the Hub."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from hf_medreport import version
from hf_medreport.hub.space import WHEEL, build_wheel, publish_space, space_files, write_space
from hf_medreport.processing.input_error import InputError
from tests.hub_server import HubServer, run_client

EXAMPLE = Path(__file__).parents[2] / "examples" / "space"


@pytest.fixture
def wheel(tmp_path):
    """What has a wheel's name."""
    path = tmp_path / "dist" / WHEEL
    path.parent.mkdir()
    path.write_bytes(b"a wheel")
    return path


def test_the_committed_folder_is_what_is_written():
    assert {path.name: path.read_text() for path in EXAMPLE.iterdir() if path.suffix != ".whl"} == space_files()


def test_the_front_matter_is_as_spaces_read_it():
    _, front, _ = space_files("org/chest", "try-it")["README.md"].split("---\n")
    front = yaml.safe_load(front)
    assert front["sdk"] == "gradio" and front["sdk_version"] == version.tested_versions()["gradio"]
    assert front["app_file"] == "app.py" and front["models"] == ["org/chest"] and front["title"] == "try-it"
    assert isinstance(front["python_version"], str) and len(front["short_description"]) <= 60


def test_every_requirement_is_pinned_to_a_tested_version():
    tested = version.tested_versions()
    lines = [line for line in space_files()["requirements.txt"].splitlines() if not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    assert pins == {name: tested[name] for name in pins}
    assert {"gradio", "torch", "transformers", "diffusers", "pydicom", "openslide-python"} <= set(pins)
    assert not {"bitsandbytes", "pytest", "ruff"} & set(pins)


def test_the_app_is_python_and_names_its_model_and_wheel():
    app = space_files("org/chest")["app.py"]
    named = {
        node.targets[0].id: ast.unparse(node.value) for node in ast.parse(app).body if isinstance(node, ast.Assign)
    }
    assert named["MODELS"] == "['org/chest']" and WHEEL in named["WHEEL"]


def test_the_dockerfile_has_what_every_one_should():
    """By the rules of hadolint that apply: a tag, a user, no cache, JSON commands, absolute folders, known words."""
    text = space_files()["Dockerfile"].replace("\\\n", "")
    lines = [line for line in text.splitlines() if line.strip()]
    words = [line.split(maxsplit=1) for line in lines]
    assert {word for word, _ in words} <= {
        "FROM",
        "RUN",
        "WORKDIR",
        "COPY",
        "USER",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "CMD",
    }
    of = {word: [rest for each, rest in words if each == word] for word, _ in words}
    assert words[0][0] == "FROM" and re.fullmatch(r"python:3\.\d+-slim", of["FROM"][0])
    assert all(folder.startswith("/") for folder in of["WORKDIR"])
    assert of["USER"][-1] != "root" and len(of["CMD"]) == 1 and json.loads(of["CMD"][0]) == ["python", "app.py"]
    assert all("--no-cache-dir" in part for rest in of["RUN"] for part in rest.split("&&") if "pip install" in part)
    copied = {name for rest in of["COPY"] for name in rest.split()[:-1]}
    assert copied == {"requirements.txt", "app.py", "README.md", WHEEL}
    assert words.index(["USER", "user"]) > max(number for number, (word, _) in enumerate(words) if word == "RUN")


def test_a_folder_is_written_with_the_wheel(tmp_path, wheel):
    folder = write_space(tmp_path / "space", "org/chest", wheel)
    assert {path.name for path in folder.iterdir()} == {*space_files(), WHEEL}
    assert (folder / WHEEL).read_bytes() == b"a wheel"


def test_what_is_no_wheel_of_this_version_is_refused(tmp_path, wheel):
    other = wheel.rename(wheel.with_name("hf_medreport-0.0.1-py3-none-any.whl"))
    with pytest.raises(InputError, match="wheel: found 'hf_medreport-0.0.1"):
        write_space(tmp_path / "space", None, other)
    with pytest.raises(InputError, match="wheel: found no such file"):
        write_space(tmp_path / "space", None, wheel)


def test_without_a_source_a_wheel_must_be_given(tmp_path, monkeypatch):
    monkeypatch.setattr("hf_medreport.hub.space.__file__", str(tmp_path / "a" / "b" / "space.py"))
    with pytest.raises(InputError, match="give `wheel`"):
        build_wheel(tmp_path)


@pytest.mark.parametrize(("name", "model"), [("no-org", None), ("org/space", "a/b/c")])
def test_a_wrong_name_is_refused_before_anything_is_built(name, model):
    with pytest.raises(InputError, match="repository: found"):
        publish_space(name, model)


@pytest.mark.slow
def test_a_space_is_one_commit_on_the_hub(wheel):
    code = f"""
from pathlib import Path
from hf_medreport.hub.space import publish_space
print(publish_space("org/try-it", "org/chest", wheel=Path({str(wheel)!r})))
"""
    with HubServer() as hub:
        address = run_client(hub, code).stdout.strip()
        files = hub.files("org/try-it")
        assert address.startswith(hub.url) and len(hub.repos["org/try-it"].commits) == 2  # the Hub's own and ours
    assert {name: files[name].decode() for name in files if name != WHEEL} == space_files("org/chest", "try-it")
    assert files[WHEEL] == b"a wheel"
