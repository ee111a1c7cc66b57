"""Every system goes through transformers' own ways: saved by parts, pushed, in any precision, on columns."""

import json
from pathlib import Path

import datasets
import pytest
import torch
from PIL import Image
from transformers import PreTrainedModel, pipeline

from hf_medreport.hub.folder import VERSIONS
from hf_medreport.registry import system, systems
from tests.contract.test_keywords_contract import batch
from tests.hub_server import HIDE_PACKAGE, HubServer, run_client
from tests.tiny import sample_array, sample_cases, save_tiny, tiny_model, tiny_processor

REPORTS = [row for row in systems() if row.kind == "report"]
# A pipeline of diffusers, and its parts, have contracts of their own.
MODELS = [row for row in systems() if row.kind not in ("generator", "conditioner")]
ATTENDING = [row for row in MODELS if row.kind != "judge"]
SHORT = {"max_new_tokens": 6}
ASSISTANT = (
    "assistant_model: found one; expected none; this model writes about an image, which an assistant does not see: "
    "leave it out"
)


def over(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.model_type)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {row.model_type: save_tiny(row, tmp_path_factory.mktemp("round") / row.model_type) for row in MODELS}


def contents(folder: Path) -> dict[str, object]:
    """All files of a model's folder; JSON as what it says."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != VERSIONS]
    return {
        str(path.relative_to(folder)): json.loads(path.read_text()) if path.suffix == ".json" else path.read_bytes()
        for path in files
    }


def pipe_of(folder, **options):
    return pipeline("image-to-text", model=str(folder), trust_remote_code=True, **options)


@over(MODELS)
def test_saving_model_and_processor_leaves_what_save_folder_leaves(row, folders, tmp_path):
    tiny_model(row).save_pretrained(tmp_path)
    tiny_processor(row).save_pretrained(tmp_path)
    assert contents(tmp_path) == contents(folders[row.model_type])


@over(REPORTS)
def test_a_saved_pipeline_is_one(row, folders, tmp_path):
    """Whether it was loaded by the folder's own code or by what is installed (and registered, once a test did so)."""
    pipe, sample = pipe_of(folders[row.model_type]), Image.fromarray(sample_array(row))
    pipe.save_pretrained(tmp_path)
    before, after = contents(folders[row.model_type]), contents(tmp_path)
    assert before.keys() == after.keys()
    assert all(before[name] == after[name] for name in before if name.endswith((".py", "model.safetensors")))
    for name in ("auto_map", "custom_pipelines"):
        assert after["config.json"][name] == before["config.json"][name]
    assert pipe_of(tmp_path)(sample, **SHORT) == pipe(sample, **SHORT)


PUSH = """
from hf_medreport.registry import system
from tests.tiny import tiny_model, tiny_processor
from transformers import pipeline
row = system("anatomical_report")
model, processor = tiny_model(row), tiny_processor(row)
model.push_to_hub("org/parts")
processor.push_to_hub("org/parts")
pipe = row.resolve("pipeline")(model=model, processor=processor, task="image-to-text")
pipe.push_to_hub("org/whole")
pipe.save_pretrained({folder!r}, push_to_hub=True, repo_id="org/saved")
"""
LOAD = """
import json
from transformers import pipeline
told = []
for repo in ("org/parts", "org/whole", "org/saved"):
    pipe = pipeline("image-to-text", model=repo, trust_remote_code=True)
    told.append(pipe({film!r}, max_new_tokens=6))
pipe.save_pretrained({folder!r})
told.append(pipeline("image-to-text", model={folder!r}, trust_remote_code=True)({film!r}, max_new_tokens=6))
print(json.dumps(told))
"""


@pytest.mark.slow  # what is pushed is what is saved, see above
def test_pushed_by_parts_or_whole_and_saved_from_there(film_png, tmp_path):
    """A folder that was saved from the Hub's copy names its own code, not the repository's."""
    saved, home = tmp_path / "from the hub", str(tmp_path / "home")
    with HubServer() as hub:
        root = Path(__file__).parents[2]
        run_client(hub, f"import sys; sys.path.insert(0, {str(root)!r})" + PUSH.format(folder=str(tmp_path / "local")))
        done = run_client(hub, HIDE_PACKAGE + LOAD.format(film=str(film_png), folder=str(saved)), HF_HOME=home)
        pushed = [set(hub.files(f"org/{name}")) for name in ("parts", "whole", "saved")]
    row = system("anatomical_report")
    model = tiny_model(row)
    here = row.resolve("pipeline")(model=model, processor=tiny_processor(row), task="image-to-text")
    assert json.loads(done.stdout.splitlines()[-1]) == [here(str(film_png), **SHORT)] * 4
    code = {path.name for path in saved.glob("*.py")}
    assert "pipeline_image_to_text.py" in code and all(code < files for files in pushed)
    assert "org/" not in "".join((saved / name).read_text() for name in ("config.json", "processor_config.json"))


@over(ATTENDING)
@pytest.mark.parametrize("kind", ["eager", "sdpa"])
def test_attention_of_either_kind(row, kind, folders):
    """All that attends, down to the last part, attends so, and gives the same."""
    model = row.resolve("model").from_pretrained(folders[row.model_type], attn_implementation=kind)
    parts = [part for part in model.modules() if isinstance(part, PreTrainedModel)]
    attending = [part for part in parts if part is model or part is not getattr(model, "segmenter", None)]
    assert {part.config._attn_implementation for part in attending} == {kind}
    inputs = batch(row)
    name = "last_hidden_state" if row.kind == "encoder" else "logits"
    states, expected = (each(**inputs)[name] for each in (model, tiny_model(row)))
    if row.kind == "causal-lm":  # of padding each kind makes something else
        states, expected = (each[inputs["attention_mask"].bool()] for each in (states, expected))
    torch.testing.assert_close(states, expected)


@over(REPORTS)
@pytest.mark.parametrize(
    "dtype", [torch.float16, pytest.param(torch.bfloat16, marks=pytest.mark.slow)], ids=["float16", "bfloat16"]
)
def test_pipeline_in_half_precision(row, dtype, folders):
    """A batch with beams and evidence, of a model whose every weight but those kept whole is half."""
    pipe = pipe_of(folders[row.model_type], dtype=dtype)
    assert pipe.model.dtype == dtype
    for (record,) in pipe(sample_cases(row, 2), batch_size=2, num_beams=2, return_evidence=True, **SHORT):
        assert record["sentences"] and all(part["evidence"].min() >= 0 for part in record["sentences"])


@over(REPORTS)
def test_an_assistant_is_refused_with_the_same_words(row, folders):
    pipe = pipe_of(folders[row.model_type])
    inputs = {name: value for name, value in batch(row).items() if name != "labels"}
    for call in (
        lambda: pipe.model.generate(**inputs, assistant_model=pipe.model),
        lambda: pipe(sample_cases(row, 1)[0], assistant_model=pipe.model),
        lambda: type(pipe)(model=pipe.model, processor=pipe.processor, assistant_model=pipe.model),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert str(error.value) == ASSISTANT


@over(REPORTS)
def test_no_case_one_case_and_a_column_of_cases(row, folders):
    pipe = pipe_of(folders[row.model_type], **SHORT)
    films = [Image.fromarray(sample_array(row)), Image.fromarray(sample_array(row).swapaxes(0, 1).copy())]
    expected = [pipe(film) for film in films]
    column = datasets.Dataset.from_dict({"image": films}, datasets.Features({"image": datasets.Image()}))["image"]
    assert pipe([]) == [] and pipe(column) == expected and pipe(column, batch_size=2) == expected
    assert pipe(column[:0]) == []


@over([row for row in REPORTS if row.given])
def test_cases_with_and_without_what_may_be_given_in_one_batch(row, folders):
    """Each report is that of its case alone: nothing is taken from a neighbor."""
    pipe = pipe_of(folders[row.model_type])
    if row.given == ("labels",):  # this one names labels itself where it is given none
        pipe = row.resolve("pipeline")(
            model=predicting(row), processor=pipe.processor, task="image-to-text", device="cpu"
        )
    lungs = Image.fromarray((sample_array(row) > 250).astype("uint8") * 255)
    extra = {"mask": lungs, "labels": ["Edema"]}[row.given[0]]
    films = [Image.fromarray(sample_array(row)), *(Image.fromarray(sample_array(row)[::-1].copy()) for _ in range(3))]
    cases = [films[0], {"frontal": films[1], row.given[0]: extra}, {"frontal": films[2]}]
    cases.append({"frontal": films[3], row.given[0]: extra})
    alone = [pipe(case, **SHORT) for case in cases]
    assert pipe(cases, batch_size=4, **SHORT) == alone
    if row.given == ("labels",):
        assert [record["label_source"] for (record,) in alone] == ["predicted", "oracle"] * 2


def predicting(row):
    """A tiny model that predicts labels."""
    encoder = {**row.tiny["encoder"], "label_mode": "predicted", "label_names": ["Edema", "Fracture"]}
    return tiny_model(row, encoder={**encoder, "label_pieces": [[9], [10]], "label_separator": [6]})


WRONG = {
    "too short": (
        {"label_ids": torch.zeros(2, 4, dtype=torch.long)},
        "label_ids: found shape (2, 4); expected (2, 21)",
    ),
    "too large": (
        {"label_ids": torch.full((2, 21), 60)},
        "label_ids: found 60 to 60 (torch.int64); expected integers from 0 to 59",
    ),
    "a mask of others": (
        {"label_ids": torch.ones(2, 21, dtype=torch.long), "label_mask": torch.ones(2, 4)},
        "label_mask: found shape (2, 4); expected (2, 21)",
    ),
    "nothing": (
        {"label_ids": torch.zeros(2, 21, dtype=torch.long), "label_mask": torch.zeros(2, 21)},
        "label_mask: found a text without any token",
    ),
}


@pytest.mark.parametrize("given, message", WRONG.values(), ids=WRONG)
def test_wrong_label_ids_are_called_by_their_name(given, message):
    row = system("radscribe")
    model = predicting(row)
    with pytest.raises(ValueError) as error:
        model(torch.zeros(2, 3, 32, 32), **given, decoder_input_ids=torch.zeros(2, 1, dtype=torch.long))
    assert str(error.value).startswith(message)
