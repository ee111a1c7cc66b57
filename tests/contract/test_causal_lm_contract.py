"""The contract of a language model: every registered system of kind `causal-lm` keeps it."""

import copy
import json

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, pipeline

from hf_medreport.modeling.keywords import CACHE
from hf_medreport.registry import register_auto_classes, systems
from tests.steps import tokens_of_steps
from tests.tiny import save_tiny, tiny_config, tiny_model, tiny_processor

ROWS = [row for row in systems() if row.kind == "causal-lm"]
pytestmark = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model_type)
GREEDY = {"max_new_tokens": 8, "do_sample": False}
LONG = {"max_new_tokens": 24, "do_sample": False, "eos_token_id": None}
PROMPTS = ["heart normal.", "left effusion, small."]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {row.model_type: save_tiny(row, tmp_path_factory.mktemp("contract") / row.model_type) for row in ROWS}


def prompts(row, texts=PROMPTS):
    """Texts of unequal length, padded on the left; and the latent of each, where a system takes one."""
    inputs = dict(tiny_processor(row)(texts, padding=True, padding_side="left", return_tensors="pt"))
    if "latent_size" in row.tiny:
        draws = [torch.Generator().manual_seed(len(text)) for text in texts]
        latents = [torch.randn(row.tiny["latent_size"], generator=draw) for draw in draws]
        inputs["latent"] = torch.stack(latents) / 10  # the words are to be heard beside it
    return inputs


def batch(row):
    inputs = prompts(row)
    return {**inputs, "labels": inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)}


def test_forward_loss_backward(row):
    model, inputs = tiny_model(row).train(), batch(row)
    outputs = model(**inputs)
    assert outputs.logits.shape == (*inputs["labels"].shape, model.config.vocab_size)
    manual = torch.nn.functional.cross_entropy(
        outputs.logits[:, :-1].flatten(0, 1), inputs["labels"][:, 1:].flatten(), ignore_index=-100
    )
    torch.testing.assert_close(outputs.loss, manual)
    outputs.loss.backward()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert trained and all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in trained)


def test_loss_of_accumulated_steps_is_divided_by_the_items_given(row):
    model, inputs = tiny_model(row), batch(row)
    items = (inputs["labels"][:, 1:] != -100).sum()
    torch.testing.assert_close(model(**inputs, num_items_in_batch=2 * items).loss, model(**inputs).loss / 2)


def test_saved_and_loaded_equal_to_the_last_bit(row, folders):
    inputs = batch(row)
    loaded = row.resolve("model").from_pretrained(folders[row.model_type])
    assert torch.equal(loaded(**inputs).logits, tiny_model(row)(**inputs).logits)


def test_folder_holds_safetensors_only(row, folders):
    suffixes = {path.suffix for path in folders[row.model_type].rglob("*") if path.is_file()}
    assert ".safetensors" in suffixes and not suffixes & {".bin", ".pt", ".pth", ".pkl", ".ckpt"}


def test_cached_generation_equals_recomputing_everything(row):
    """Greedy by hand: one forward over the whole text for each token, without a cache."""
    model, inputs = tiny_model(row), prompts(row)
    with tokens_of_steps(model) as steps:
        generated = model.generate(**inputs, **LONG)
    assert steps == [inputs["input_ids"].shape[1], *[1] * 23]
    while inputs["input_ids"].shape != generated.shape:
        best = model(**inputs, use_cache=False).logits[:, -1].argmax(-1, keepdim=True)
        inputs["input_ids"] = torch.cat([inputs["input_ids"], best], dim=1)
        inputs["attention_mask"] = torch.nn.functional.pad(inputs["attention_mask"], (0, 1), value=1)
    assert torch.equal(generated, inputs["input_ids"])
    assert len(set(generated[:, -24:].flatten().tolist())) > 2  # not one token repeated


def test_cached_beams_equal_beams_without_a_cache(row):
    model, inputs = tiny_model(row), prompts(row)
    with tokens_of_steps(model) as steps:
        cached = model.generate(**inputs, **LONG, num_beams=3)
    assert steps[1:] == [1] * 23
    assert torch.equal(cached, model.generate(**inputs, **LONG, num_beams=3, use_cache=False))


def test_a_cache_gives_the_logits_of_the_whole_text_however_it_is_cut(row):
    model, inputs = tiny_model(row), prompts(row)
    whole, cache, parts = model(**inputs).logits, None, []
    ids, mask = inputs.pop("input_ids"), inputs.pop("attention_mask")
    for begin, end in ((0, 9), (9, 10), (10, ids.shape[1])):
        piece = {"input_ids": ids[:, begin:end], "attention_mask": mask[:, :end], **inputs}
        outputs = model(**piece, cache=cache, use_cache=True)
        cache, parts = outputs[CACHE], [*parts, outputs.logits]
    torch.testing.assert_close(torch.cat(parts, dim=1)[mask.bool()], whole[mask.bool()], rtol=1e-4, atol=1e-4)
    assert whole.isfinite().all()


def test_only_the_last_rows_of_logits(row):
    model, inputs = tiny_model(row), prompts(row)
    torch.testing.assert_close(model(**inputs, logits_to_keep=3).logits, model(**inputs).logits[:, -3:])


def test_batch_equals_one_by_one(row):
    model, inputs = tiny_model(row), prompts(row)
    together = model.generate(**inputs, **GREEDY, eos_token_id=None)[:, -8:]
    for index, text in enumerate(PROMPTS):
        alone = model.generate(**prompts(row, [text]), **GREEDY, eos_token_id=None)[0, -8:]
        assert torch.equal(alone, together[index])


def test_no_word_hears_of_a_later_one(row):
    """The causal mask: with another last token, all rows but the last stay as they are."""
    model, inputs = tiny_model(row), prompts(row)
    before = model(**inputs).logits
    inputs["input_ids"][:, -1] += 1
    after = model(**inputs).logits
    assert torch.equal(before[:, :-1], after[:, :-1]) and not torch.equal(before[:, -1], after[:, -1])


@pytest.mark.parametrize("mode", [{"num_beams": 3}, {"do_sample": True, "top_k": 5}], ids=["beam", "sampling"])
def test_beam_and_sampling(row, mode):
    model, inputs = tiny_model(row), prompts(row)
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append(model.generate(**inputs, **{**GREEDY, **mode}))
    assert torch.equal(*runs) and runs[0].shape[0] == 2


def test_the_single_best_token_sampled_is_greedy(row):
    model, inputs = tiny_model(row), prompts(row)
    sampled = model.generate(**inputs, max_new_tokens=8, do_sample=True, top_k=1)
    assert torch.equal(sampled, model.generate(**inputs, **GREEDY))


def test_one_beam_is_greedy_and_a_beam_a_token_finds_the_best(row):
    model, inputs = tiny_model(row), prompts(row, PROMPTS[:1])
    scores = {}
    for beams in (1, model.config.vocab_size):  # two tokens and a beam for every first one: nothing is left out
        ids = model.generate(
            **inputs, max_new_tokens=2, min_new_tokens=2, num_beams=beams, do_sample=False, eos_token_id=None
        )
        longer = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids)}
        logits = model(**longer).logits[:, -3:-1].log_softmax(-1)
        scores[beams] = logits.gather(-1, ids[:, -2:, None]).sum().item()
    assert scores[model.config.vocab_size] >= scores[1] - 1e-4


def test_bfloat16(row):
    model, inputs = tiny_model(row).to(torch.bfloat16), batch(row)
    outputs = model(**inputs)
    assert outputs.logits.dtype == torch.bfloat16 and outputs.loss.isfinite()
    full = tiny_model(row)(**inputs).loss
    assert abs(outputs.loss.float() - full) / full < 0.1
    assert model.generate(**prompts(row), **GREEDY).shape[0] == 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_loaded_in_half_precision(row, folders, dtype):
    model, inputs = row.resolve("model").from_pretrained(folders[row.model_type], dtype=dtype), batch(row)
    full = tiny_model(row)(**inputs).logits
    assert (model(**inputs).logits.float() - full).norm() / full.norm() < 0.1
    assert model.generate(**prompts(row), **GREEDY).shape[0] == 2


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
        grads.append([parameter.grad for parameter in model.parameters()])
    for plain, checkpointed in zip(*grads, strict=True):
        torch.testing.assert_close(plain, checkpointed)


@pytest.mark.parametrize("auto", [AutoModel, AutoModelForCausalLM], ids=lambda auto: auto.__name__)
def test_auto_classes_load_the_folder(row, folders, auto):
    model = auto.from_pretrained(folders[row.model_type], trust_remote_code=True)
    assert model.config.model_type == row.model_type
    assert torch.equal(model(**batch(row)).logits, tiny_model(row)(**batch(row)).logits)


def test_the_installed_code_loads_the_folder_where_remote_code_is_refused(row, folders):
    register_auto_classes()
    model = AutoModelForCausalLM.from_pretrained(folders[row.model_type], trust_remote_code=False)
    assert type(model) is row.resolve("model")
    tokenizer = AutoTokenizer.from_pretrained(folders[row.model_type], trust_remote_code=False)
    assert tokenizer(PROMPTS)["input_ids"] == tiny_processor(row)(PROMPTS)["input_ids"]


def test_the_tokenizer_comes_with_the_folder(row, folders):
    tokenizer = AutoTokenizer.from_pretrained(folders[row.model_type], trust_remote_code=True)
    assert tokenizer(PROMPTS)["input_ids"] == tiny_processor(row)(PROMPTS)["input_ids"]
    assert tokenizer.decode(tokenizer(PROMPTS[0])["input_ids"]) == PROMPTS[0]


def test_pipeline_goes_on_from_a_prompt(row, folders):
    pipe = pipeline("text-generation", model=str(folders[row.model_type]), trust_remote_code=True)
    alone = [pipe(text, **GREEDY) for text in PROMPTS]
    assert all(one[0]["generated_text"].startswith(text) for one, text in zip(alone, PROMPTS, strict=True))
    assert pipe(PROMPTS, batch_size=2, **GREEDY) == alone


def test_loads_in_a_process_without_hf_medreport(row, folders, fresh):
    """Only transformers and torch: an import of hf_medreport there is an error."""
    code = f"""
import json, sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "hf_medreport":
            raise ImportError("hidden: " + name)
sys.meta_path.insert(0, Hidden())
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, pipeline
folder = {str(folders[row.model_type])!r}
for auto in (AutoModel, AutoModelForCausalLM, AutoTokenizer):
    auto.from_pretrained(folder, trust_remote_code=True)
pipe = pipeline("text-generation", model=folder, trust_remote_code=True)
assert "hf_medreport" not in sys.modules
print(json.dumps(pipe({PROMPTS[0]!r}, **{GREEDY!r})))
"""
    done = fresh.run(code)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "warn" not in done.stderr.lower() and "deprecat" not in done.stderr.lower(), done.stderr
    ours = pipeline("text-generation", model=str(folders[row.model_type]), trust_remote_code=True)
    assert json.loads(done.stdout.splitlines()[-1]) == ours(PROMPTS[0], **GREEDY)


def test_configuration_refuses_a_misspelt_field(row):
    field = next(iter(row.tiny))
    with pytest.raises(ValueError, match=f"did you mean '{field}'"):
        row.resolve("config")(**{**copy.deepcopy(row.tiny), field[:-2] + field[-1]: 1})
