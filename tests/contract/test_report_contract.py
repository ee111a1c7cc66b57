"""The contract of a report model (docs/models/index.md): every registered system of kind `report` keeps it."""

import copy

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModel, AutoModelForImageTextToText, AutoProcessor, pipeline

from hf_medreport.registry import systems
from tests.steps import tokens_of_steps
from tests.tiny import sample_array, sample_cases, save_tiny, tiny_config, tiny_model, tiny_processor

ROWS = [row for row in systems() if row.kind == "report"]
pytestmark = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)
GREEDY = {"max_new_tokens": 8, "do_sample": False}
LONG = {"max_new_tokens": 24, "do_sample": False, "eos_token_id": None}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {row.model_type: save_tiny(row, tmp_path_factory.mktemp("contract") / row.model_type) for row in ROWS}


@pytest.fixture
def sample_png(row, tmp_path):
    """A file that this system reports."""
    path = tmp_path / "sample.png"
    Image.fromarray(sample_array(row)).save(path)
    return path


def batch(row, count=2, text=("heart normal.", "left effusion, small.")):
    return tiny_processor(row)(sample_cases(row, count), text_target=list(text[:count]))


def without_labels(inputs):
    return {name: value for name, value in inputs.items() if name != "labels"}


def test_forward_loss_backward(row):
    model, inputs = tiny_model(row).train(), batch(row)
    outputs = model(**inputs)
    assert outputs.logits.shape[:2] == inputs["labels"].shape
    manual = torch.nn.functional.cross_entropy(
        outputs.logits.flatten(0, 1), inputs["labels"].flatten(), ignore_index=-100
    )
    torch.testing.assert_close(outputs.get("text_loss", outputs.loss), manual)  # where reports are one task of several
    outputs.loss.backward()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert trained and all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in trained)


def test_saved_and_loaded_equal_to_the_last_bit(row, folders):
    inputs = batch(row)
    expected = tiny_model(row)(**inputs).logits
    loaded = row.resolve("model").from_pretrained(folders[row.model_type])
    assert torch.equal(loaded(**inputs).logits, expected)


def test_folder_holds_safetensors_only(row, folders):
    suffixes = {path.suffix for path in folders[row.model_type].rglob("*") if path.is_file()}
    assert ".safetensors" in suffixes and not suffixes & {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


def test_cached_generation_equals_recomputing_everything(row):
    """Greedy by hand: one forward over the whole text for each token, without a cache."""
    model, inputs = tiny_model(row), without_labels(batch(row))
    with tokens_of_steps(model) as steps:
        generated = model.generate(**inputs, **LONG)
    assert steps[1:] == [1] * (len(steps) - 1) and len(steps) >= 23  # a prefill may be a film alone
    name, ids = (
        ("decoder_input_ids", generated[:, :1]) if model.config.is_encoder_decoder else ("input_ids", generated[:, :0])
    )
    while ids.shape != generated.shape:
        logits = model(**inputs, **{name: ids}).logits[:, -1]
        ids = torch.cat([ids, logits.argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(generated, ids)
    assert len(set(generated.flatten().tolist())) > 2  # not one token repeated


def test_cached_beams_equal_beams_without_a_cache(row):
    model, inputs = tiny_model(row), without_labels(batch(row))
    with tokens_of_steps(model) as steps:
        cached = model.generate(**inputs, **LONG, num_beams=3)
    assert steps[1:] == [1] * (len(steps) - 1) and len(steps) >= 23
    assert torch.equal(cached, model.generate(**inputs, **LONG, num_beams=3, use_cache=False))


def test_batch_equals_one_by_one(row):
    model, inputs = tiny_model(row), without_labels(batch(row))
    together = model.generate(**inputs, **GREEDY, eos_token_id=None)
    for index in range(2):
        alone = {name: value[index : index + 1] for name, value in inputs.items()}
        assert torch.equal(model.generate(**alone, **GREEDY, eos_token_id=None)[0], together[index])


@pytest.mark.parametrize("mode", [{"num_beams": 3}, {"do_sample": True, "top_k": 5}], ids=["beam", "sampling"])
def test_beam_and_sampling(row, mode):
    model, inputs = tiny_model(row), without_labels(batch(row))
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append(model.generate(**inputs, **{**GREEDY, **mode}))
    assert torch.equal(*runs) and runs[0].shape[0] == 2


def test_one_beam_is_greedy_and_a_beam_a_token_finds_the_best(row):
    model, inputs = tiny_model(row), without_labels(batch(row, 1))
    words = model.get_output_embeddings().weight.shape[0]
    scores = {}
    for beams in (1, words):  # two tokens and a beam for every first one: nothing is left out
        ids = model.generate(**inputs, max_new_tokens=2, min_new_tokens=2, num_beams=beams, eos_token_id=None)
        ids = ids[:, -2:]  # without the start token of an encoder-decoder
        logits = model(**inputs, labels=ids).logits.log_softmax(-1)
        scores[beams] = logits.gather(-1, ids[..., None]).sum().item()
    assert scores[words] >= scores[1] - 1e-4


def test_bfloat16(row):
    model = tiny_model(row).to(torch.bfloat16)
    inputs = batch(row)
    outputs = model(**inputs)
    assert outputs.logits.dtype == torch.bfloat16 and outputs.loss.isfinite()
    full = tiny_model(row)(**inputs).loss
    assert abs(outputs.loss.float() - full) / full < 0.1
    assert model.generate(**without_labels(inputs), **GREEDY).shape[0] == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_loaded_in_half_precision(row, folders, dtype):
    model, inputs = row.resolve("model").from_pretrained(folders[row.model_type], dtype=dtype), batch(row)
    full = tiny_model(row)(**inputs).logits
    assert (model(**inputs).logits.float() - full).norm() / full.norm() < 0.1
    assert model.generate(**without_labels(inputs), **GREEDY).shape[0] == 2


def test_built_on_the_meta_device(row):
    with torch.device("meta"):
        model = row.resolve("model")(tiny_config(row))
    assert all(parameter.is_meta for parameter in model.parameters())


def test_gradient_checkpointing_changes_nothing(row):
    grads = []
    for checkpointing in (False, True):
        model = tiny_model(row).train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        model(**batch(row)).loss.backward()
        grads.append([p.grad for p in model.parameters() if p.grad is not None])
    for plain, checkpointed in zip(*grads, strict=True):
        torch.testing.assert_close(plain, checkpointed)


@pytest.mark.parametrize("auto", [AutoModel, AutoModelForImageTextToText], ids=lambda auto: auto.__name__)
def test_auto_classes_load_the_folder(row, folders, auto):
    model = auto.from_pretrained(folders[row.model_type], trust_remote_code=True)
    assert model.config.model_type == row.model_type
    assert torch.equal(model(**batch(row)).logits, tiny_model(row)(**batch(row)).logits)


def test_pipeline_takes_paths_images_lists_and_cases(row, folders, sample_png):
    pipe = pipeline("image-to-text", model=str(folders[row.model_type]), trust_remote_code=True, max_new_tokens=6)
    (from_path,) = pipe(str(sample_png))
    assert set(from_path) == {"generated_text"}
    assert pipe(Image.open(sample_png)) == [from_path]
    assert pipe({"frontal": str(sample_png)}) == [from_path]
    assert pipe([str(sample_png), str(sample_png)], batch_size=2) == [[from_path], [from_path]]


def test_pipeline_gives_each_film_its_own_sequences(row, folders):
    pipe = pipeline("image-to-text", model=str(folders[row.model_type]), trust_remote_code=True)
    films = [Image.fromarray(np.roll(sample_array(row), 7 * index, axis=0)) for index in range(3)]
    options = {"max_new_tokens": 6, "num_beams": 3, "num_return_sequences": 2}
    for evidence in (False, True):
        alone = [pipe(film, return_evidence=evidence, **options) for film in films]
        together = pipe(films, batch_size=2, return_evidence=evidence, **options)
        texts = [[[record["generated_text"] for record in case] for case in cases] for cases in (alone, together)]
        assert texts[0] == texts[1] and [len(case) for case in together] == [2, 2, 2]


def test_the_stock_pipeline_of_today_takes_a_prompt(row, folders, sample_png):
    """`image-text-to-text`, to which transformers redirects the old name, with its own pipeline class."""
    pipe = pipeline("image-text-to-text", model=str(folders[row.model_type]), trust_remote_code=True)
    film = Image.open(sample_png)
    (alone,) = pipe(images=film, text="heart", max_new_tokens=6)
    assert alone["generated_text"].startswith("heart")
    together = pipe(images=[film, film], text=["heart", "left lung"], max_new_tokens=6)
    assert together[0]["generated_text"] == alone["generated_text"]


def test_pipeline_evidence_adds_up(row, folders, sample_png):
    pipe = pipeline("image-to-text", model=str(folders[row.model_type]), trust_remote_code=True, max_new_tokens=12)
    (record,) = pipe(str(sample_png), return_evidence=True)
    assert record["sentences"] and set(record) == {"generated_text", "sections", "sentences"}
    for sentence in record["sentences"]:
        assert sentence["text"] in record["generated_text"] and sentence["mean_logprob"] <= 0
        assert sentence["evidence"].min() >= 0 and sentence["evidence"].sum() == pytest.approx(1, abs=1e-5)


def test_processor_round_trip(row, folders):
    processor = AutoProcessor.from_pretrained(folders[row.model_type], trust_remote_code=True)
    inputs, expected = processor(sample_cases(row, 1), text_target=["heart"]), batch(row, 1, ["heart"])
    assert all(torch.equal(inputs[name], expected[name]) for name in expected)


def test_loads_in_a_process_without_hf_medreport(row, folders, sample_png, fresh):
    """Only transformers and torch: an import of hf_medreport there is an error."""
    code = f"""
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "hf_medreport":
            raise ImportError("hidden: " + name)
sys.meta_path.insert(0, Hidden())
from transformers import AutoModel, AutoProcessor, pipeline
folder = {str(folders[row.model_type])!r}
AutoModel.from_pretrained(folder, trust_remote_code=True)
AutoProcessor.from_pretrained(folder, trust_remote_code=True)
pipe = pipeline("image-to-text", model=folder, trust_remote_code=True)
assert "hf_medreport" not in sys.modules
print(pipe({str(sample_png)!r}, max_new_tokens=6)[0]["generated_text"])
"""
    done = fresh.run(code)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "warn" not in done.stderr.lower() and "deprecat" not in done.stderr.lower(), done.stderr
    ours = pipeline("image-to-text", model=str(folders[row.model_type]), trust_remote_code=True)
    assert done.stdout.rstrip("\n") == ours(str(sample_png), max_new_tokens=6)[0]["generated_text"]


def test_configuration_refuses_a_misspelt_field(row):
    field = next(iter(row.tiny))
    with pytest.raises(ValueError, match=f"did you mean '{field}'"):
        row.resolve("config")(**{**copy.deepcopy(row.tiny), field[:-2] + field[-1]: 1})
