"""What the doctor says of versions and of model folders."""

import importlib.metadata
import json
import shutil
from importlib.metadata import requires
from types import SimpleNamespace

import pytest

from hf_medreport import doctor, version
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import CHECKPOINTS, systems
from tests.tiny import save_tiny

SHIPPED = "anatomical-tiny, cxr-multitask-tiny, diffusion-tiny, histgen-tiny, picture-judge-tiny, picture-rater-tiny"
SHIPPED += ", policy-tiny, radscribe-tiny, selector-tiny"
PINS = version.tested_versions()
CLEAN = {"differs": [], "missing": [], "extra": []}


def as_tested(monkeypatch) -> dict:
    """The doctor on a machine where everything is as tested but for what a test changes: the versions there."""
    versions = {**PINS, "hf-medreport": "0.1.0", "hf_medreport": "0.1.0"}
    versions |= {"pyyaml": versions["PyYAML"], "torch-fidelity": versions["torch_fidelity"], "scispacy": "0.6.2"}
    versions["torch"] += "+cu130"
    monkeypatch.setattr(doctor, "installed", versions.get)
    return versions


@pytest.fixture
def installed(monkeypatch):
    return as_tested(monkeypatch)


@pytest.fixture
def folder(tmp_path):
    """A copy of a shipped model, in a folder whose name a shell would split."""
    return shutil.copytree(CHECKPOINTS / "histgen-tiny", tmp_path / "my model")


def refusal(name):
    with pytest.raises(InputError) as raised:
        doctor.examine_folder(str(name))
    return str(raised.value)


def test_every_extra_is_explained():
    extras = importlib.metadata.metadata("hf-medreport").get_all("Provides-Extra")
    assert set(doctor.PURPOSE) == set(extras) - {"all", "dev", "docs"}


def test_what_is_missing_and_what_installs_it(monkeypatch):
    real, others = doctor.installed, {"pydicom": None, "torch": "1.13"}
    monkeypatch.setattr(doctor, "installed", lambda name: others.get(name, real(name)))
    assert doctor.examine()["missing"] == [
        next(line for line in requires("hf-medreport") if line.startswith("torch>="))
    ]
    assert doctor.examine()["extras"]["dicom"]["missing"] == ["pydicom>=3.0.2"]
    assert doctor.examine()["extras"]["train"]["install"] is None
    assert doctor.examine()["extras"]["dicom"]["install"] == doctor.install_command("dicom")


CLONE = '{"dir_info": {"editable": true}, "url": "file:///home/me/a%20clone"}'
WHEEL = '{"archive_info": {}, "url": "file:///tmp/hf_medreport-0.1.0-py3-none-any.whl"}'


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (CLONE, 'pip install -e "/home/me/a clone[dicom]"'),
        (WHEEL, 'pip install "hf-medreport[dicom] @ file:///tmp/hf_medreport-0.1.0-py3-none-any.whl"'),
        (None, 'pip install "hf-medreport[dicom]"'),
    ],
)
def test_what_installs_an_extra_goes_by_where_the_package_came_from(monkeypatch, origin, command):
    monkeypatch.setattr(doctor, "distribution", lambda name: SimpleNamespace(read_text=lambda file: origin))
    assert doctor.install_command("dicom") == command


class TestVersions:
    @pytest.mark.parametrize(
        ("here", "state"),
        [
            ("5.24.0", "tested"),
            ("5.24.0+local", "tested"),
            ("5.9.1", "older than tested"),  # as numbers, not as text
            ("5.25.0.dev0", "newer than tested"),
            ("5.24.0rc1", "older than tested"),
        ],
    )
    def test_states(self, here, state):
        assert doctor.compared("5.24.0", here) == {"tested": "5.24.0", "installed": here, "state": state}

    def test_every_pinned_package_that_is_needed_and_there(self, installed):
        del installed["timm"]
        versions = doctor.examine()["versions"]
        assert {one["state"] for one in versions.values()} == {"tested"}
        assert {"torch", "pyyaml", "bitsandbytes", "torch-fidelity"} <= set(versions)
        assert not {"timm", "scispacy", "pytest"} & set(versions)  # missing, not pinned, not needed


class TestFolder:
    @pytest.mark.parametrize("row", systems(), ids=lambda row: row.model_type)
    def test_a_folder_just_written(self, row, tmp_path, installed):
        found = doctor.examine_folder(str(save_tiny(row, tmp_path / "model")))
        assert (found["model_type"], found["kind"]) == (row.model_type, row.kind)
        assert found["code"] == CLEAN and found["generation"] is None
        assert found["tested_with"]["transformers"] == doctor.compared(PINS["transformers"], PINS["transformers"])

    @pytest.mark.parametrize("name", [row.checkpoint for row in systems() if row.checkpoint])
    def test_a_shipped_name(self, name):
        found = doctor.examine_folder(name)
        assert found["folder"] == str(CHECKPOINTS / name) and found["code"] == CLEAN

    def test_code_that_differs_is_missing_or_is_not_ours(self, folder):
        (folder / "sinusoids.py").write_text("")
        (folder / "mine.py").write_text("")
        (folder / "slide_tiling.py").unlink()
        differing = {"differs": ["sinusoids.py"], "missing": ["slide_tiling.py"], "extra": ["mine.py"]}
        assert doctor.examine_folder(str(folder))["code"] == differing

    def test_a_report_without_a_length(self, folder):
        (folder / "generation_config.json").write_text('{"eos_token_id": 0}')
        assert doctor.examine_folder(str(folder))["generation"] == (
            f"{folder}/generation_config.json: found no max_new_tokens; expected the most tokens of a report; "
            "set it, to 128 for instance"
        )

    def test_versions_of_yesterday_and_tomorrow(self, folder, installed):
        record = {"hf_medreport": "0.0.9", "transformers": "99.0", "torch": PINS["torch"], "mamba": "1.0"}
        (folder / "tested_with.json").write_text(json.dumps(record))
        found = doctor.examine_folder(str(folder))["tested_with"]
        states = {name: one["state"] for name, one in found.items()}
        expected = {"hf_medreport": "newer than tested", "transformers": "older than tested", "torch": "tested"}
        assert states == expected | {"mamba": "missing"}

    def test_a_folder_that_does_not_say(self, folder):
        (folder / "tested_with.json").unlink()
        assert doctor.examine_folder(str(folder))["tested_with"] is None

    @pytest.mark.parametrize(
        ("file", "content", "message"),
        [
            ("config.json", None, "{}: found no config.json; expected a model folder; give the folder that holds it"),
            (
                "config.json",
                "[",
                "{}/config.json: found broken JSON (line 1); expected a JSON object; copy the file again",
            ),
            (
                "config.json",
                '{"model_type": "bert"}',
                "{}/config.json: found model_type 'bert', which this library does not have; expected "
                f"{', '.join(row.model_type for row in systems() if row.kind != 'generator')}; "
                "give a folder that this library wrote",
            ),
            (
                "tested_with.json",
                "[]",
                "{}/tested_with.json: found list; expected a JSON object; save or publish the model again",
            ),
            (
                "tested_with.json",
                '{"torch": 2}',
                "{}/tested_with.json: found torch 2; expected a version; save or publish the model again",
            ),
        ],
    )
    def test_refusals(self, folder, file, content, message):
        if content is None:
            (folder / file).unlink()
        else:
            (folder / file).write_text(content)
        assert refusal(folder) == message.format(folder)

    @pytest.mark.parametrize(("name", "found"), [("nowhere", "no such folder"), ("my model/config.json", "a file")])
    def test_no_folder(self, folder, name, found):
        path = folder.parent / name
        assert refusal(path) == f"{path}: found {found}; expected a model folder or one of {SHIPPED}; check the path"

    def test_no_name(self):
        assert (
            refusal("") == f"folder: found no such folder; expected a model folder or one of {SHIPPED}; check the path"
        )
