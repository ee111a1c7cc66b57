"""README.md is short, its figures are those of the committed JSON, and who follows it line by line ends well."""

import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks_of, in_order

README = (ROOT / "README.md").read_text(encoding="utf-8")
# The shipped models' figures in the order of their rows, and where they stand.
FIGURES = {
    "anatomical-tiny": ("test.exact.f1", "held_back_style.exact.f1"),
    "cxr-multitask-tiny": ("test.exact.f1", "held_back_style.exact.f1"),
    "radscribe-tiny": ("test.exact.f1", "held_back_style.exact.f1"),
    "histgen-tiny": ("test.exact.f1", "held_back_style.exact.f1"),
    "diffusion-tiny": ("faithfulness.all.accuracy",),
    "picture-judge-tiny": ("kinds.clean.finding.accuracy",),
    "picture-rater-tiny": ("kinds.clean.finding.accuracy",),
    "selector-tiny": ("model.auc",),
    "policy-tiny": ("model.auc",),
}


def test_it_is_two_screens():
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("model", FIGURES)
def test_each_shipped_models_figures_are_those_of_its_evaluation(model, results):
    (row,) = re.findall(rf"^\| `{model}` \|.*$", README, flags=re.MULTILINE)
    shown = re.findall(r"\d\.\d{3}", row)
    assert shown == [results.figure(f"{model}:{keys}:.3f") for keys in FIGURES[model]]


def test_every_shipped_model_that_a_user_may_name_has_its_row():
    from hf_medreport.registry import shipped

    assert set(shipped()) - set(re.findall(r"`([a-z-]+-tiny)`", README)) == set()


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_what_it_links_to_is_there(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text)
    assert [target for target in targets if "://" not in target and not (ROOT / target).exists()] == []


@pytest.mark.slow
def test_who_follows_it_in_a_fresh_clone_ends_well(tmp_path):
    """In a clone of HEAD with an environment of its own, whose packages are those that are installed here."""
    clone, environment = tmp_path / "clone", tmp_path / "venv"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    venv.create(environment, with_pip=False)
    (place,) = environment.glob("lib/python*/site-packages")
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (place / "tested.pth").write_text("\n".join(packages), encoding="utf-8")
    finder = next(name for name in sys.modules if name.startswith("__editable___hf_medreport"))
    mapping = Path(sys.modules[finder].__file__).read_text(encoding="utf-8")  # what `pip install -e` wrote here
    (place / "finder_of_the_clone.py").write_text(mapping.replace(str(ROOT), str(clone)), encoding="utf-8")
    (place / "finder_of_the_clone.pth").write_text("import finder_of_the_clone; finder_of_the_clone.install()")
    command = environment / "bin" / "hf-medreport"
    command.write_text(f"#!{environment}/bin/python\nfrom hf_medreport.cli import main\nmain()\n", encoding="utf-8")
    command.chmod(0o755)
    (environment / "ready").touch()  # the packages are there: make asks for no network
    path = f"{environment / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    asked = {"VENV": str(environment), "PATH": path, "HF_HUB_OFFLINE": "1", "TESTS": "tests/test_registry.py -n 1"}
    for block in blocks_of(ROOT / "README.md"):
        if block.reason is None:
            printed = block.run(clone, asked)
            assert in_order(block.output, printed) is None, f"{block.text}\n{printed}"
