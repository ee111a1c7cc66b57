"""Publishing against a Hub on loopback with the real client, each time in a clean subprocess."""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from safetensors.numpy import save_file

from hf_medreport.hub.identifiers import identifiers_in
from hf_medreport.hub.publish import check_folder, prepare_publication, publish
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import CHECKPOINTS
from hf_medreport.version import __version__
from tests.hub_server import Blob, client_command, run_client

REPO = "org/chest"
PUBLISH = """
import json, sys, time
time.sleep = lambda seconds: None  # between its retries the client would wait 23 s in all; it still makes every retry
from hf_medreport.hub.publish import publish
from hf_medreport.processing.input_error import InputError
try:
    print(publish(*json.loads({arguments!r}), **json.loads({options!r})))
except InputError as error:
    sys.exit(str(error))
"""
DOWNLOAD = """
import shutil
from huggingface_hub import snapshot_download
shutil.copytree(snapshot_download({repo_id!r}, revision={revision!r}), {to!r})
"""


@pytest.fixture
def folder(tmp_path):
    """A made-up model as a saved folder, with a report that must never leave the machine."""
    folder = tmp_path / "chest"
    (folder / "patch_encoder").mkdir(parents=True)
    (folder / "__pycache__").mkdir()
    auto_map = {"AutoConfig": "modeling_toy.ToyConfig", "AutoModel": "modeling_toy.ToyModel"}
    pipelines = {"image-to-text": {"impl": "pipeline_toy.ToyPipeline"}}
    write_json(folder / "config.json", {"model_type": "toy", "auto_map": auto_map, "custom_pipelines": pipelines})
    write_json(folder / "tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["modeling_toy.ToyTokenizer", None]}})
    write_json(folder / "tokenizer.json", {})
    (folder / "modeling_toy.py").write_text("from .layers_toy import Layer\n\nENCODER = 'patch_encoder'\n")
    write_json(folder / "patch_encoder" / "config.json", {"model_type": "vit"})
    (folder / "layers_toy.py").write_text("import torch\n\n\nclass Layer(torch.nn.Module): ...\n")
    (folder / "pipeline_toy.py").write_text("")  # an empty file takes another way through the client
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n# chest\n")
    (folder / "report.txt").write_text("Mr Smith has a cough.")
    save_file({"weight": np.arange(1000, dtype=np.float32)}, folder / "model.safetensors")
    save_file({"weight": np.arange(500, dtype=np.float32)}, folder / "patch_encoder" / "model.safetensors")
    return folder


def write_json(path, content):
    path.write_text(json.dumps(content))


def published(folder):
    """What of the folder must arrive, by hand: all but the report and the byte code."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "report.txt" and path.suffix != ".pyc"
    }


def code(folder, repo_id=REPO, **options):
    return PUBLISH.format(arguments=json.dumps([str(folder), repo_id]), options=json.dumps(options))


def run_publish(hub, folder, repo_id=REPO, *, check=True, env=None, **options):
    return run_client(hub, code(folder, repo_id, **options), check=check, **(env or {}))


def refusal(hub, folder, repo_id=REPO, **options):
    """The one line that a failed publish ends with."""
    done = run_publish(hub, folder, repo_id, check=False, **options)
    assert done.returncode == 1, done.stderr
    return done.stderr.splitlines()[-1]


class TestPublish:
    def test_a_clean_cache_gets_the_same_bytes(self, hub, folder, tmp_path):
        (folder / "__pycache__" / "modeling_toy.cpython-311.pyc").write_bytes(b"\0")
        done = run_publish(hub, folder)
        to = tmp_path / "downloaded"
        download = DOWNLOAD.format(repo_id=REPO, revision=None, to=str(to))
        run_client(hub, download, hide_package=True)
        (to / ".gitattributes").unlink()  # the Hub's own
        assert {p.relative_to(to).as_posix(): p.read_bytes() for p in to.rglob("*") if p.is_file()} == published(folder)
        assert done.stderr == "not published: __pycache__/, report.txt\n"
        repo = hub.repos[REPO]
        assert done.stdout == f"{hub.url}/{REPO}/commit/{repo.branches['main']}\n"
        assert len(repo.commits) == 2  # the Hub's first one, and ours
        assert not repo.private

    def test_a_second_publish_updates_and_removes_what_went_away(self, hub, folder):
        run_publish(hub, folder)
        tree = hub.repos[REPO].commits[hub.repos[REPO].branches["main"]]
        tree["notes.png"] = Blob(b"somebody's own")
        save_file({"weight": np.zeros(1000, dtype=np.float32)}, folder / "model.safetensors")
        shutil.rmtree(folder / "patch_encoder")
        done = run_publish(hub, folder)
        assert hub.files(REPO) == published(folder) | {"notes.png": b"somebody's own"}
        removed = "removed from main: patch_encoder/config.json, patch_encoder/model.safetensors"
        assert removed in done.stderr.splitlines()

    def test_the_same_folder_again_makes_no_commit(self, hub, folder):
        first, second = run_publish(hub, folder), run_publish(hub, folder)
        assert first.stdout == second.stdout
        assert len(hub.repos[REPO].commits) == 2

    def test_a_revision_is_a_branch_and_main_stays(self, hub, folder):
        hub.create(REPO)
        run_publish(hub, folder, revision="study/two")
        assert hub.files(REPO, "study/two") == published(folder)
        assert hub.files(REPO) == {}
        (folder / "layers_toy.py").write_text("import numpy\n")
        run_publish(hub, folder, revision="study/two")  # it is there now
        assert hub.files(REPO, "study/two") == published(folder)

    def test_private(self, hub, folder):
        run_publish(hub, folder, private=True)
        assert hub.repos[REPO].private
        download = DOWNLOAD.format(repo_id=REPO, revision=None, to="nowhere")
        stranger = run_client(hub, download, check=False, HF_TOKEN="stranger")
        assert "RepositoryNotFoundError" in stranger.stderr

    def test_private_never_writes_to_a_public_repository(self, hub, folder):
        hub.create(REPO)
        assert refusal(hub, folder, private=True) == (
            "org/chest: found a public repository; expected a private one; "
            "make it private in its settings, or publish under another name"
        )
        assert hub.files(REPO) == {} and hub.lfs == {}

    def test_a_gitignore_in_the_repository_hides_nothing(self, hub, folder):
        repo = hub.create(REPO)
        repo.commits[repo.branches["main"]][".gitignore"] = Blob(b"*.safetensors\n")
        run_publish(hub, folder)
        assert published(folder).items() <= hub.files(REPO).items()


class TestInterrupted:
    """Whatever breaks, a branch is what it was or what it was to become, and the same command finishes the work."""

    DROPPED = "expected an answer; check the network and publish again; nothing half-made is left"

    @pytest.mark.parametrize("uploads", [pytest.param(0, marks=pytest.mark.slow), 1])
    def test_dropped_in_an_upload(self, hub, folder, uploads):
        run_publish(hub, folder)
        before = dict(hub.repos[REPO].branches)
        save_file({"weight": np.ones(1000, dtype=np.float32)}, folder / "model.safetensors")
        save_file({"weight": np.ones(500, dtype=np.float32)}, folder / "patch_encoder" / "model.safetensors")
        stored = len(hub.lfs)
        hub.break_lfs(after=uploads)
        for revision in (None, "new"):
            line = refusal(hub, folder, revision=revision)
            assert line.startswith(f"{REPO}: found no connection to {hub.url} (") and line.endswith(self.DROPPED)
            assert hub.repos[REPO].branches == before
            assert len(hub.lfs) == stored + uploads
        hub.heal()
        run_publish(hub, folder)
        assert hub.files(REPO) == published(folder)

    @pytest.mark.parametrize("revision", [pytest.param(None, marks=pytest.mark.slow), "new"])
    def test_dropped_in_the_commit(self, hub, folder, revision):
        before = dict(hub.create(REPO).branches)
        hub.commit_fault = "drop"
        assert refusal(hub, folder, revision=revision).endswith(self.DROPPED)
        assert hub.repos[REPO].branches == before
        hub.heal()
        hub.requests.clear()
        run_publish(hub, folder, revision=revision)
        assert hub.files(REPO, revision or "main") == published(folder)
        assert not [path for method, path in hub.requests if method == "PUT"]  # the weights were there already

    def test_the_answer_to_the_commit_is_lost(self, hub, folder):
        hub.commit_fault = "lost"
        assert refusal(hub, folder).endswith(self.DROPPED)
        assert hub.files(REPO) == published(folder)
        hub.heal()
        assert run_publish(hub, folder).stdout.endswith(f"/commit/{hub.repos[REPO].branches['main']}\n")
        assert len(hub.repos[REPO].commits) == 2

    def test_killed_in_an_upload(self, hub, folder, tmp_path):
        before = dict(hub.create(REPO).branches)
        hub.break_lfs(after=1, how="stall")
        with subprocess.Popen(**client_command(hub, code(folder, revision="new"), HF_HOME=str(tmp_path))) as client:
            assert hub.faulted.wait(60)
            client.kill()
        assert hub.repos[REPO].branches == before
        hub.heal()
        run_publish(hub, folder, revision="new")
        assert hub.files(REPO, "new") == published(folder)

    def test_another_commit_meanwhile(self, hub, folder, tmp_path):
        repo = hub.create(REPO)
        hub.break_lfs(after=1, how="stall")
        command = client_command(hub, code(folder), HF_HOME=str(tmp_path))
        with subprocess.Popen(**command, stderr=subprocess.PIPE) as client:
            assert hub.faulted.wait(60)
            repo.commit("main", {"README.md": Blob(b"theirs")})
            hub.heal()  # the upload that hung breaks off, and the client repeats it by itself
            stderr = client.communicate(timeout=60)[1]
        assert stderr.splitlines()[-1] == (
            "org/chest: found another commit made meanwhile; expected an unchanged branch; publish again"
        )
        assert hub.files(REPO) == {"README.md": b"theirs"}


class TestTheHubRefuses:
    def test_wrong_token(self, hub, folder):
        assert refusal(hub, folder, env={"HF_TOKEN": "wrong"}) == (
            "org/chest: found no valid access token; expected a token that may write to org; "
            "run `hf auth login` or set HF_TOKEN"
        )

    def test_the_token_given_wins_over_the_environment(self, hub, folder):
        run_publish(hub, folder, env={"HF_TOKEN": "wrong"}, token="dummy")
        assert hub.files(REPO) == published(folder)

    def test_somebody_elses_namespace(self, hub, folder):
        assert refusal(hub, folder, "strangers/chest") == (
            "strangers/chest: found a token without write access; expected a token that may write to strangers; "
            "use a token with write access, or have an owner of strangers add you"
        )

    def test_offline(self, hub, folder):
        assert refusal(hub, folder, env={"HF_HUB_OFFLINE": "1"}) == (
            "org/chest: found offline mode; expected a connection to the Hub; unset HF_HUB_OFFLINE and publish again"
        )
        assert hub.requests == []

    def test_nobody_answers(self, hub, folder):
        assert refusal(hub, folder, env={"HF_ENDPOINT": "http://127.0.0.1:9"}) == (
            "org/chest: found no connection to http://127.0.0.1:9 (ConnectError); expected an answer; "
            "check the network and publish again; nothing half-made is left"
        )

    def test_a_revision_that_is_no_branch_name(self, hub, folder):
        line = refusal(hub, folder, revision="refs/pr/1")
        assert line == (
            "org/chest: found a refusal by the Hub (400: Invalid reference for a branch: refs/pr/1); "
            "expected what the Hub accepts; mend what it names and publish again"
        )

    def test_out_of_order(self, hub, folder):
        hub.create(REPO)
        hub.commit_fault = "500"
        assert refusal(hub, folder) == (
            "org/chest: found the Hub out of order (500); expected an answer; "
            "publish again later; nothing half-made is left"
        )


AGAIN, SAVED = "save the model again", "give a folder that save_pretrained wrote"
PICKLE = (
    "found a pickle file; expected weights as .safetensors; "
    "save the model again with save_pretrained and move this file out of the folder"
)
BOTH = "expected model_type and auto_map; save the model again with hf-medreport, which writes both"
CODE = "expected its code in the folder; save the model again so that its code is copied along"
DEEP = f"found JSON nested too deeply; expected a JSON object; {AGAIN}"
REFUSED = [
    # (file, its new content or None to remove it, the message)
    ("config.json", None, f"chest: found no config.json; expected a model folder; {SAVED}"),
    ("config.json", b'{\n"a": ', f"chest/config.json: found broken JSON (line 2); expected a JSON object; {AGAIN}"),
    ("config.json", b"\xff", f"chest/config.json: found broken JSON (not UTF-8); expected a JSON object; {AGAIN}"),
    ("config.json", b"[]", f"chest/config.json: found list; expected a JSON object; {AGAIN}"),
    ("config.json", b'{"auto_map": {"AutoModel": "m.M"}}', f"chest/config.json: found no model_type; {BOTH}"),
    ("config.json", b'{"model_type": "toy"}', f"chest/config.json: found no auto_map; {BOTH}"),
    ("modeling_toy.py", None, f"chest/config.json: found modeling_toy.py named but missing; {CODE}"),
    ("pipeline_toy.py", None, f"chest/config.json: found pipeline_toy.py named but missing; {CODE}"),
    ("layers_toy.py", None, f"chest/modeling_toy.py: found layers_toy.py named but missing; {CODE}"),
    (
        "layers_toy.py",
        b"x = 1\ndef",
        "chest/layers_toy.py: found code that does not parse (line 2); expected python; mend it",
    ),
    ("pytorch_model.bin", b"", f"chest/pytorch_model.bin: {PICKLE}"),
    ("checkpoint-5/optimizer.pt", b"", f"chest/checkpoint-5/optimizer.pt: {PICKLE}"),
    ("a.pth", b"", f"chest/a.pth: {PICKLE}"),
    ("a.pkl", b"", f"chest/a.pkl: {PICKLE}"),
    ("a.ckpt", b"", f"chest/a.ckpt: {PICKLE}"),
    (
        "model.safetensors",
        b"",
        f"chest/model.safetensors: found broken or truncated weights; expected a complete .safetensors file; {AGAIN}",
    ),
    (
        "model.safetensors.index.json",
        b'{"weight_map": {"a": "model-1.safetensors"}}',
        "chest/model.safetensors.index.json: found model-1.safetensors named but missing; "
        f"expected every shard; {AGAIN}",
    ),
    *(
        (
            "model.safetensors.index.json",
            json.dumps({"weight_map": {"a": name}}).encode(),
            f"chest/model.safetensors.index.json: found {str(name)[:60]!r} as a file of weights; "
            f"expected the name of a .safetensors file beside it; {AGAIN}",
        )
        for name in ("../../x.safetensors", "/etc/passwd", 5, None, "..", "a/b.safetensors")
    ),
    (
        "model.safetensors.index.json",
        b'{"weight_map": []}',
        f"chest/model.safetensors.index.json: found no weight_map; expected the file of each weight; {AGAIN}",
    ),
    ("tokenizer_config.json", b"[" * 100_000, f"chest/tokenizer_config.json: {DEEP}"),
    *(
        (
            "tokenizer_config.json",
            json.dumps({"auto_map": auto_map}).encode(),
            f"chest/tokenizer_config.json: found {found}; {AGAIN}",
        )
        for auto_map, found in (
            ({"AutoTokenizer": 5}, "auto_map of AutoTokenizer that names no class; expected 'module.Class'"),
            ({"AutoTokenizer": [5, None]}, "auto_map of AutoTokenizer that names no class; expected 'module.Class'"),
            ({"AutoTokenizer": {}}, "auto_map of AutoTokenizer that names no class; expected 'module.Class'"),
            ({"AutoTokenizer": []}, "auto_map of AutoTokenizer that names no class; expected 'module.Class'"),
            ({"AutoTokenizer": "../x.Y"}, "auto_map of AutoTokenizer that names no class; expected 'module.Class'"),
            ("m.M", "auto_map that is a str; expected names by task or class"),
        )
    ),
    *(
        (
            "tokenizer_config.json",
            json.dumps({"custom_pipelines": {"x": task}}).encode(),
            f"chest/tokenizer_config.json: found custom_pipelines of x that names no class; "
            f"expected 'module.Class'; {AGAIN}",
        )
        for task in ({"pt": []}, {"impl": 5}, 5, "toy")
    ),
    (
        "README.md",
        None,
        "chest: found no README.md; expected a model card; "
        "write it with hf_medreport.hub.card.write_card from the evaluation's JSON",
    ),
    (
        "README.md",
        b"---\na: [\n---\n",
        "chest/README.md: found unreadable metadata; expected YAML; mend the lines between the two ---",
    ),
]


class TestTheFolderIsRefused:
    @pytest.mark.parametrize(("name", "content", "message"), REFUSED)
    def test_message(self, folder, name, content, message):
        path = folder / name
        if content is None:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        with pytest.raises(InputError) as caught:
            check_folder(folder)
        assert str(caught.value) == message

    def test_weights_cut_short(self, folder):
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(InputError, match="model.safetensors: found broken or truncated weights"):
            check_folder(folder)

    def test_no_weights(self, folder):
        (folder / "model.safetensors").unlink()
        shutil.rmtree(folder / "patch_encoder")
        with pytest.raises(InputError) as caught:
            check_folder(folder)
        expected = "expected a .safetensors file; save the model with save_pretrained"
        assert str(caught.value) == f"chest: found no weights; {expected}"

    @pytest.mark.parametrize(("name", "found"), [("nowhere", "nothing"), ("chest/config.json", "a file")])
    def test_no_folder(self, folder, name, found):
        path = folder.parent / name
        with pytest.raises(InputError) as caught:
            check_folder(path)
        assert str(caught.value) == f"{path.name}: found {found}; expected a model folder; {SAVED}"

    @pytest.mark.parametrize("repo_id", ["chest", "a/b/c", "org/chest report", "org/", "", "../chest"])
    def test_the_name(self, folder, repo_id):
        with pytest.raises(InputError) as caught:
            publish(folder, repo_id)
        assert str(caught.value) == (
            f"repository: found {repo_id!r}; expected ORG/NAME of letters, digits, '-', '_' and '.'; "
            "give a name such as my-hospital/chest-report"
        )


class TestWhatGoes:
    """What the model needs goes up, nothing else that lies in the folder."""

    STAYS = ("notes.md", "sort_patients.py", "slide-4711.safetensors", "reports/README.md", "reports/config.json")
    STAYS += ("reports/model.safetensors", "patch_encoder/README.md", "patch_encoder/LICENSE", "LICENSE-of-the-data")
    STAYS += ("patch_encoder/deeper/config.json", "patch_encoder/helper.py", "predictions.jsonl", "records.json")

    def test_what_no_part_of_the_model_names_stays(self, folder):
        files = check_folder(folder)[0]
        weights = (folder / "model.safetensors").read_bytes()
        for name in self.STAYS:
            (folder / name).parent.mkdir(exist_ok=True)
            content = weights if name.endswith(".safetensors") else b"{}" if name.endswith(".json") else b""
            (folder / name).write_bytes(content)
        assert check_folder(folder) == (files, sorted(["__pycache__/", "report.txt", *self.STAYS]))
        assert "patch_encoder/model.safetensors" in files and "layers_toy.py" in files

    def test_a_subfolder_goes_by_the_card_too_and_weights_by_their_index(self, folder):
        (folder / "modeling_toy.py").write_text("from .layers_toy import Layer\n")
        assert "patch_encoder/config.json" in check_folder(folder)[1]
        (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n\n`patch_encoder/` holds the encoder.\n")
        assert "patch_encoder/config.json" in check_folder(folder)[0]
        (folder / "model.safetensors").rename(folder / "part-1.safetensors")
        assert "part-1.safetensors" in check_folder(folder)[1]
        write_json(folder / "model.safetensors.index.json", {"weight_map": {"weight": "part-1.safetensors"}})
        assert "part-1.safetensors" in check_folder(folder)[0]

    @pytest.mark.parametrize("name", ["LICENSE", "anything.txt", "patch_encoder/model.safetensors", "more", "pipe"])
    def test_links_and_devices_are_refused(self, folder, name):
        secret = folder.parent / "secret"
        secret.mkdir()
        (secret / "secret.txt").write_text("MRN 4711")
        (folder / name).unlink(missing_ok=True)
        if name == "pipe":
            os.mkfifo(folder / name)
        else:
            (folder / name).symlink_to(secret if name == "more" else secret / "secret.txt")
        with pytest.raises(InputError, match=f"chest/{name}: found a (link|device or pipe); expected"):
            check_folder(folder)

    def test_a_dry_run_says_sizes_and_sends_nothing(self, folder):
        publication = prepare_publication(folder)
        assert publication.left_out == ["__pycache__/", "report.txt"] and publication.renewed == []
        assert publication.sizes == {name: len(content) for name, content in published(folder).items()}
        lines = str(publication).splitlines()
        assert f"{len(published(folder)['model.safetensors']):>15,}  model.safetensors" in lines
        assert lines[-1].split() == [
            f"{sum(publication.sizes.values()):,}",
            "bytes",
            "in",
            f"{len(lines) - 1}",
            "files",
        ]


PLANTED = {
    "Films of DOE^JANE are left out.": "a patient's name",
    "| MRN | 00471123 |": "the number of a patient or study",
    "The patient's ID is kept apart. PatientID: 4711-23": None,  # by hand: 4711 has four digits, so it is found
    "accession number A-99887766": "the number of a patient or study",
    "born on 3 May 1950": "a date of birth",
    "PatientBirthDate=19500503": "a date of birth",
    "hf-medreport train --config /home/jane/study.yaml": "a path of a machine",
    r"from C:\Users\jane\films": "a path of a machine",
    r"\\server\films\a.png": "a path of a machine",
    "See https://example.org/data/x, ./data/x, a/data/b, 3/4 and 2^n.": "",
    "Trained in 2024, 3.5.2024 to 8.5.2024, on 471123 films.": "",
}


class TestIdentifiers:
    @pytest.mark.parametrize("text", PLANTED)
    def test_forms(self, text):
        what = "the number of a patient or study" if PLANTED[text] is None else PLANTED[text]
        assert list(identifiers_in(f"# chest\n\n{text}\n")) == ([(3, what)] if what else [])

    @pytest.mark.parametrize(
        ("name", "content", "line"),
        [
            ("README.md", b"---\nlicense: mit\n---\nOf DOE^JANE.\n", 4),
            ("config.json", None, 1),
            ("evaluation.json", b'{"n": 3,\n "table": "/home/jane/table.csv"}', 2),
            ("tokenizer_config.json", b'{"name_or_path": "/data/jane/t5"}', 1),
        ],
    )
    def test_a_publication_is_refused_unless_told(self, folder, name, content, line):
        path = folder / name
        if content is None:  # beside what there is
            content = json.dumps(json.loads(path.read_text()) | {"PatientID": "00471123"}).encode()
        path.write_bytes(content)
        with pytest.raises(InputError) as error:
            publish(folder, REPO)
        assert str(error.value).startswith(f"chest/{name}, line {line}: found what reads like ")
        assert str(error.value).endswith("remove it, or publish it all the same with `allow_identifiers`")
        assert not {"DOE", "jane", "00471123"} & set(re.findall(r"\w+", str(error.value)))
        assert name in prepare_publication(folder, allow_identifiers=True).files

    def test_so_is_the_metadata_of_weights(self, folder):
        save_file({"weight": np.zeros(3, np.float32)}, folder / "model.safetensors", {"made_from": "/home/jane/films"})
        with pytest.raises(InputError, match="chest/model.safetensors, line 1: found what reads like a path"):
            prepare_publication(folder)

    @pytest.mark.parametrize("shipped", sorted(path.name for path in CHECKPOINTS.iterdir() if path.is_dir()))
    def test_the_shipped_models_hold_none_and_go_whole(self, shipped):
        publication = prepare_publication(CHECKPOINTS / shipped, unchecked=True)
        there = {p.relative_to(CHECKPOINTS / shipped).as_posix() for p in (CHECKPOINTS / shipped).rglob("*")}
        there = {path for path in there if (CHECKPOINTS / shipped / path).is_file() and "__pycache__" not in path}
        assert there - set(publication.files) <= {"run.json"}


class TestTheCodeIsRenewed:
    """What goes up of a system of ours is the installed library's, and the folder stays as it is."""

    def test_a_folder_of_yesterday(self, hub, tmp_path):
        folder = shutil.copytree(CHECKPOINTS / "histgen-tiny", tmp_path / "histgen-tiny")
        (folder / "sinusoids.py").write_text("def")
        (folder / "modeling_histgen.py").unlink()
        write_json(folder / "tested_with.json", {"transformers": "4.0"})
        before = published(folder)
        done = run_publish(hub, folder)
        names = "modeling_histgen.py, sinusoids.py, tested_with.json"
        assert done.stderr == f"renewed in the commit, from hf-medreport {__version__}: {names}\n"
        assert hub.files(REPO) == published(CHECKPOINTS / "histgen-tiny")
        assert published(folder) == before

    @pytest.mark.slow
    def test_a_folder_of_today(self, hub):
        assert run_publish(hub, CHECKPOINTS / "histgen-tiny").stderr == ""
