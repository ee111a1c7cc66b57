"""What `examples/cloud/` gives to other machines: read as they read it, each command held to the verbs there are."""

import re
from importlib.metadata import metadata

import pytest
import yaml

from tests.docs.blocks import ROOT
from tests.docs.verbs import unknown

CLOUD = ROOT / "examples" / "cloud"
INSTRUCTIONS = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """(instruction, its words) of the Dockerfile, lines that go on joined."""
    text = (CLOUD / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def test_the_dockerfile_has_only_what_docker_knows_and_ends_as_a_user():
    names = [name for name, _ in instructions()]
    assert names[0] == "FROM" and set(names) <= INSTRUCTIONS
    said = dict(instructions())  # the last of each
    assert said["USER"] != "root" and names.index("USER") > max(n for n, name in enumerate(names) if name == "RUN")
    assert said["ENTRYPOINT"] == '["hf-medreport"]' and unknown(yaml.safe_load(said["CMD"])[0]) is None


def test_the_image_has_the_tested_versions_extras_that_there_are_and_no_token():
    install = " ".join(words for name, words in instructions() if name == "RUN")
    assert "-c constraints/tested.txt" in install and (ROOT / "constraints" / "tested.txt").is_file()
    extras = re.search(r'"\.\[([\w,-]+)\]"', install)[1].split(",")
    assert set(extras) <= set(metadata("hf-medreport").get_all("Provides-Extra"))
    assert not re.search(r"token|secret|password", install, re.IGNORECASE)


def test_the_training_job_runs_a_command_that_there_is_and_goes_on_after_a_kill():
    job = yaml.safe_load((CLOUD / "job.yaml").read_text(encoding="utf-8"))
    (pool,) = job["workerPoolSpecs"]
    container = pool["containerSpec"]
    assert unknown(" ".join(container["args"])) is None and container["args"][-1] == "--resume"
    paths = [argument for argument in container["args"] if "/" in argument]
    assert paths and all(path.startswith("/gcs/BUCKET/") for path in paths)
    assert "HF_TOKEN" not in {each["name"] for each in container["env"]}
    assert job["scheduling"]["restartJobOnWorkerRestart"] is True


@pytest.mark.parametrize("name", ["report.job.yaml", "tile.sbatch", "job.yaml", "Dockerfile"])
def test_every_command_in_these_files_is_right(name):
    text = (CLOUD / name).read_text(encoding="utf-8").replace("\\\n", " ")
    for words in re.findall(r"hf-medreport +((?:report|tile|merge|train|doctor) [^\n;|&]*)", text):
        assert unknown(words) is None, words
