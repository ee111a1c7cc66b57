"""A report system of another package does all that ours do, and the library knows it by its entry point alone.

Beside it lie two packages that do not work, which must disturb nobody.
"""

import inspect
import json
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from hf_medreport import registry
from hf_medreport.registry import System
from tests.contract import test_report_contract as contract
from tests.fresh import FreshProcesses
from tests.hub_server import HubServer, client_command
from tests.made_up.installed import SOURCE, install, install_broken
from tests.tiny import film_array, save_tiny, tiny_model

YAML = SOURCE.parent / "made_up.yaml"
REPO = "org/made-up-tiny"
OURS = "pipeline_image_to_text.py", "image_processing_film.py"
THEIRS = "configuration_made_up.py", "modeling_made_up.py", "processing_made_up.py", "spelling_made_up.py"
COMMAND = """
import sys
from hf_medreport.cli import main
sys.argv = {arguments!r}
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
"""
# On a machine that has none of these packages.
LOAD = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("hf_medreport", "made_up_report"):
            raise ImportError("hidden: " + name)
sys.meta_path.insert(0, Hidden())
from transformers import pipeline
pipe = pipeline("image-to-text", model={repo!r}, trust_remote_code=True)
print(pipe({film!r})[0]["generated_text"])
"""


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    """Processes in which the packages are installed, and whose Hub is on loopback."""
    folder = install(tmp_path_factory.mktemp("site"))
    install_broken(folder)
    with HubServer() as hub:
        settings = {"HF_HOME": str(tmp_path_factory.mktemp("home")), "PYTHONPATH": str(folder)}
        with FreshProcesses(client_command(hub, "", **settings)["env"]) as fresh:
            yield fresh


@pytest.fixture(scope="module")
def command(processes):
    """Run `hf-medreport` with these arguments; returns what it prints to stdout and to stderr."""

    def run(*arguments) -> tuple[str, str]:
        done = processes.run(COMMAND.format(arguments=["hf-medreport", *map(str, arguments)]))
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    return run


@pytest.fixture(scope="module")
def trained(command, tmp_path_factory) -> Path:
    """The folder of a model after two steps of its recipe."""
    out = tmp_path_factory.mktemp("run")
    printed, _ = command("train", "made_up", "--config", YAML, "--max_steps", 2, "--output_dir", out, "--json")
    metrics = json.loads(printed)
    assert metrics["global_step"] == 2
    return Path(metrics["model"])


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.png"
    Image.fromarray(film_array()).save(path)
    return path


@pytest.fixture(scope="module")
def reported(command, trained, film, tmp_path_factory) -> tuple[Path, str]:
    """The folder of a report, and what was said on stderr."""
    out = tmp_path_factory.mktemp("reports")
    return out, command("report", film, "--model", trained, "--out", out)[1]


def reports_of(out: Path) -> list[dict]:
    return json.loads((out / "report.json").read_text())["reports"]


def test_the_trained_folder_has_its_code_its_scores_and_its_card(trained):
    """The code of both packages, flat."""
    assert {path.name for path in trained.glob("*.py")} > {*OURS, *THEIRS}
    assert json.loads((trained / "evaluation.json").read_text())["test"]["n"] == 4
    card = (trained / "README.md").read_text()
    assert f"hf-medreport train made_up --config {YAML.name}" in card and "8 phantom films" in card
    assert "--n 4 --seed 1 --split test --json" in card


def test_report(reported, trained):
    out, _ = reported
    (report,) = reports_of(out)
    assert report["model"] == trained.name and report["text"] and "test-bench model" in report["statement"]
    assert len(list(out.glob("*.png"))) == 1


def test_what_does_not_work_is_left_out_with_a_warning(reported):
    _, said = reported
    assert [line for line in said.splitlines() if "left out" in line] == [
        "systems of the package gone-report (entry point 'gone_report') are left out: "
        "ModuleNotFoundError: No module named 'gone_report'",
        "hollow of another package is left out: ModuleNotFoundError: No module named 'hollow_report.convert'",
        "hollow of another package is left out: ModuleNotFoundError: No module named 'hollow_report.configuration'",
    ]


def test_evaluate_phantom(command, trained):
    scores = json.loads(command("evaluate", "phantom", "--n", 4, "--model", trained, "--json")[0])
    assert (scores["n"], scores["model"]) == (4, trained.name) and {"blinded", "constant_report"} < set(scores)


def test_doctor(command, trained):
    state = json.loads(command("doctor", trained, "--json")[0])
    assert (state["model_type"], state["kind"], state["generation"]) == ("made_up", "report", None)
    assert state["code"] == {"differs": [], "missing": [], "extra": []}


def test_it_is_published_and_loads_where_nothing_of_it_is_installed(command, processes, trained, reported, film):
    address, _ = command("publish", trained, REPO)
    assert f"/{REPO}/commit/" in address
    done = processes.run(LOAD.format(repo=REPO, film=str(film)))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == reports_of(reported[0])[0]["text"]


@pytest.fixture(scope="module")
def row() -> System:
    """The made-up row, with its code in this process, which the registry knows meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SOURCE.parent))
        from made_up_report.row import ROWS

        rows = (*registry.systems(), *ROWS)
        patch.setattr(registry, "systems", lambda: rows)
        yield ROWS[0]
    for name in [name for name in sys.modules if name.split(".")[0] == SOURCE.name]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def folders(row, tmp_path_factory) -> dict[str, Path]:
    """As the suite has them."""
    return {row.model_type: save_tiny(row, tmp_path_factory.mktemp("contract"))}


# What is tried once and not by several ways; the process without any of the packages is tried above.
CONTRACT = {
    test: list(inspect.signature(test).parameters)
    for name, test in vars(contract).items()
    if name.startswith("test_") and {*inspect.signature(test).parameters} <= {"row", "folders", "sample_png"}
}


@pytest.mark.parametrize("test", CONTRACT, ids=lambda test: test.__name__)
def test_contract(test, row, folders, film):
    given = {"row": row, "folders": folders, "sample_png": film}
    test(**{name: given[name] for name in CONTRACT[test]})


def test_evidence_adds_up(row):
    """Equal from pixels and from what was seen, and a map a sentence."""
    model, inputs = tiny_model(row), contract.without_labels(contract.batch(row))
    ids = model.generate(**inputs, max_new_tokens=6, eos_token_id=None)
    sentences = torch.tensor([[0, 0, 0, 1, 1, -1]] * 2)
    scores, maps = model.sentence_evidence(ids, sentences, seen=model.see(**inputs, evidence=True))
    assert scores.shape == ids.shape and maps.shape == (2, 2, 4, 4) and (maps >= 0).all()
    torch.testing.assert_close(maps.sum((-2, -1)), torch.ones(2, 2))
    assert torch.equal(maps, model.sentence_evidence(ids, sentences, **inputs)[1])
