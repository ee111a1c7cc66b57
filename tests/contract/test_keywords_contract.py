"""Every registered model takes what transformers, PEFT and TRL pass, and refuses any other keyword by name."""

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from PIL import Image
from transformers import DynamicCache, EncoderDecoderCache, Trainer, TrainingArguments
from trl import RewardConfig, RewardTrainer, SFTConfig, SFTTrainer

from hf_medreport.modeling.keywords import ABSENT, CACHE_NAMES, PASSED
from hf_medreport.registry import systems
from tests.contract.test_causal_lm_contract import batch as text_batch
from tests.contract.test_report_contract import batch as report_batch
from tests.contract.test_report_contract import without_labels
from tests.steps import tokens_of_steps
from tests.tiny import film_array, tiny_model, tiny_processor

# Those that a Trainer trains by themselves; a generator and its text encoder are trained by their own recipe.
OTHER_TASKS = ("CAUSAL_LM", "FEATURE_EXTRACTION")
MODELS = [row for row in systems() if row.kind not in ("generator", "conditioner")]
WRITERS = [row for row in systems() if row.kind in ("report", "causal-lm")]
REPORTS = [row for row in systems() if row.kind == "report"]
LANGUAGE_MODELS = [row for row in systems() if row.kind == "causal-lm"]
GREEDY = {"max_new_tokens": 4, "do_sample": False}


def over(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.model_type)


def batch(row) -> dict:
    if row.kind == "report":
        return dict(report_batch(row))
    if row.kind == "causal-lm":
        return text_batch(row)
    if row.kind == "encoder":
        return dict(tiny_processor(row)(film_array(), text="heart normal."))
    if row.given == ("prompt",):
        picture = Image.fromarray(film_array())
        return dict(tiny_processor(row)(images=picture, text=["heart normal."], return_tensors="pt"))
    return dict(tiny_processor(row)(Image.fromarray(film_array()), return_tensors="pt"))


def empty_cache(model):
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    return EncoderDecoderCache(cache, DynamicCache()) if model.config.is_encoder_decoder else cache


@over(MODELS)
def test_forward_refuses_an_invented_keyword(row):
    with pytest.raises(TypeError) as error:
        tiny_model(row)(**batch(row), pixel_valuse=None)
    name = f"{row.resolve('model').__name__}.forward"
    expected = f"{name}: found keyword 'pixel_valuse'; expected one that it knows; the nearest is '"
    assert str(error.value).startswith(expected)
    if "pixel_values" in batch(row):
        assert str(error.value) == f"{expected}pixel_values'"


@over(WRITERS)
def test_generate_refuses_an_invented_keyword(row):
    inputs = {name: value for name, value in batch(row).items() if name != "labels"}
    with pytest.raises(TypeError) as error:
        tiny_model(row).generate(**inputs, max_new_token=4)
    name = f"{row.resolve('model').__name__}.generate"
    expected = "expected one that it knows; the nearest is 'max_new_tokens'"
    assert str(error.value) == f"{name}: found keyword 'max_new_token'; {expected}"


@over(MODELS)
def test_settings_that_any_model_is_passed_change_nothing(row):
    model, inputs = tiny_model(row), batch(row)
    expected = model(**inputs)[0]
    passed = {"num_items_in_batch", "logits_to_keep", "return_dict", "use_cache"}  # these have a meaning: no None
    assert torch.equal(model(**inputs, **dict.fromkeys((PASSED - passed) | (ABSENT - inputs.keys())))[0], expected)


@over([row for row in MODELS if row.model_type != "latent_gpt2"])
def test_an_input_that_a_model_does_not_name_is_not_ignored(row):
    model = tiny_model(row)
    with pytest.raises(TypeError, match="forward: found keyword 'token_type_ids'"):
        model(**batch(row), token_type_ids=torch.zeros(2, 4, dtype=torch.long))


@over([row for row in WRITERS if row.model_type != "cxr_multitask"])  # whose forward writes in one pass
@pytest.mark.parametrize("name", CACHE_NAMES)
def test_forward_takes_the_cache_by_either_name(row, name):
    model, inputs = tiny_model(row), {key: value for key, value in batch(row).items() if key != "labels"}
    if model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = torch.tensor([[0, 5], [0, 6]])
    elif row.kind == "report":
        inputs["input_ids"] = torch.tensor([[5, 6], [6, 7]])
    cache = empty_cache(model)
    with torch.no_grad():
        outputs = model(**inputs, **{name: cache}, use_cache=True)
    assert cache.get_seq_length() > 0
    torch.testing.assert_close(outputs.logits, model(**inputs).logits)
    other = empty_cache(model)
    with torch.no_grad():
        model(**inputs, cache=other, past_key_values=other, use_cache=True)  # one cache by both names is one cache
    with pytest.raises(TypeError, match="cache: found two, as cache and past_key_values; expected one; leave one out"):
        model(**inputs, cache=cache, past_key_values=other)


@over([row for row in WRITERS if row.model_type != "anatomical_report"])  # whose cache needs the prior beside it
@pytest.mark.parametrize("name", CACHE_NAMES)
def test_generate_takes_the_cache_by_either_name(row, name):
    model, inputs = tiny_model(row), {key: value for key, value in batch(row).items() if key != "labels"}
    decoder = model.decoder if row.model_type == "cxr_multitask" else model
    cache = empty_cache(decoder)
    with tokens_of_steps(model) as steps:
        generated = model.generate(**inputs, **{name: cache}, **GREEDY, eos_token_id=None)
    assert cache.get_seq_length() > 0 and steps[1:] == [1, 1, 1]
    assert torch.equal(generated, model.generate(**inputs, **GREEDY, eos_token_id=None))


@over(MODELS)
def test_a_step_of_trainer(row, tmp_path):
    if row.kind == "encoder":
        pytest.skip("an encoder alone has no loss; its pre-training is tested with its recipe")
    inputs = batch(row)
    if row.kind == "segmenter":
        inputs["labels"] = torch.ones(1, 2, 32, 32)
    if row.kind == "judge":
        inputs["labels"] = torch.zeros(1, len(row.tiny["questions"]), dtype=torch.long)
    if row.kind == "reward":
        inputs["labels"] = torch.ones(1)
    arguments = TrainingArguments(tmp_path, max_steps=1, use_cpu=True, report_to="none", disable_tqdm=True)
    trainer = Trainer(tiny_model(row), arguments, data_collator=lambda _: dict(inputs), train_dataset=[{}] * 8)
    trainer.args.remove_unused_columns = False
    assert trainer.train().global_step == 1


@over(REPORTS)
def test_a_step_of_peft_and_what_it_generates(row):
    """Adapters that start as nothing change nothing; a step changes what is generated or scored, base weights stay."""
    base, inputs = tiny_model(row), batch(row)
    expected = base.generate(**without_labels(inputs), **GREEDY)
    model = get_peft_model(base, LoraConfig(target_modules="all-linear", init_lora_weights=True))
    assert torch.equal(model.generate(**without_labels(inputs), **GREEDY), expected)
    before = model(**inputs).loss
    optimizer = torch.optim.SGD([value for value in model.parameters() if value.requires_grad], lr=0.1)
    before.backward()
    optimizer.step()
    model.eval()
    with torch.no_grad():
        assert model(**inputs).loss < before.detach()
        with model.disable_adapter():
            torch.testing.assert_close(model(**inputs).loss, before.detach())


@over(REPORTS)
@pytest.mark.parametrize(
    "task_type", ["SEQ_2_SEQ_LM", *(pytest.param(task, marks=pytest.mark.slow) for task in OTHER_TASKS)]
)
def test_pefts_wrappers_pass_none_for_what_a_model_does_not_name(row, task_type):
    inputs = batch(row)
    model = get_peft_model(tiny_model(row), LoraConfig(task_type=task_type, target_modules="all-linear"))
    torch.testing.assert_close(model(**inputs).loss, tiny_model(row)(**inputs).loss)


@over([row for row in LANGUAGE_MODELS if row.model_type == "latent_gpt2"])  # the other takes no embeddings
@pytest.mark.parametrize("tuning", [PromptTuningConfig, PrefixTuningConfig], ids=lambda tuning: tuning.__name__)
def test_pefts_prompts_are_cached(row, tuning):
    """PEFT looks for `past_key_values` on any transformers: without it each step would begin with the prompt again."""
    torch.manual_seed(0)
    model = get_peft_model(tiny_model(row), tuning(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval()
    inputs = {name: value for name, value in batch(row).items() if name in ("input_ids", "attention_mask")}
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(3 if value.requires_grad else 1)  # loud enough to be heard
    with tokens_of_steps(model.get_base_model()) as steps:
        generated = model.generate(**inputs, **GREEDY, eos_token_id=None)
    assert steps[-3:] == [1, 1, 1]
    plain = tiny_model(row).generate(**inputs, **GREEDY, eos_token_id=None)
    assert not torch.equal(generated, plain)
    if tuning is PromptTuningConfig:  # PEFT's prefix lives in the cache alone
        assert torch.equal(generated, model.generate(**inputs, **GREEDY, eos_token_id=None, use_cache=False))


@over(WRITERS)
def test_generate_takes_what_transformers_takes(row):
    """Stop strings with their tokenizer, remote code refused or not, names that stand for nothing."""
    model, inputs = tiny_model(row), {name: value for name, value in batch(row).items() if name != "labels"}
    tokenizer = getattr(tiny_processor(row), "tokenizer", tiny_processor(row))
    told = {"stop_strings": ["heart"], "tokenizer": tokenizer, "trust_remote_code": False, "token_type_ids": None}
    expected = model.generate(**inputs, **GREEDY, eos_token_id=None)
    assert torch.equal(model.generate(**inputs, **GREEDY, eos_token_id=None, **told), expected)


@over(LANGUAGE_MODELS)
def test_a_step_of_peft_on_a_language_model(row):
    """By PEFT's own class for them, which passes None for inputs that a call does not have."""
    model = get_peft_model(tiny_model(row), LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"))
    inputs = batch(row)
    model(**inputs).loss.backward()
    trained = [value for value in model.parameters() if value.requires_grad]
    assert trained and all(value.grad is not None for value in trained)
    del inputs["labels"]
    assert torch.equal(model.generate(**inputs, **GREEDY), tiny_model(row).generate(**inputs, **GREEDY))


@over([row for row in LANGUAGE_MODELS if row.model_type == "latent_gpt2"])  # TRL asks for a backbone with a head on it
def test_a_step_of_sft(row, tmp_path):
    texts = Dataset.from_dict({"text": ["heart normal.", "left effusion, small."]})
    arguments = SFTConfig(tmp_path, max_steps=1, use_cpu=True, bf16=False, report_to="none", disable_tqdm=True)
    tokenizer = tiny_processor(row)
    trainer = SFTTrainer(tiny_model(row), args=arguments, train_dataset=texts, processing_class=tokenizer)
    trainer.train()
    assert trainer.state.log_history[-1]["train_loss"] > 0


@over(LANGUAGE_MODELS)
def test_a_step_of_a_reward_trainer_with_margins(row, tmp_path):
    """The margin reaches forward as it would a reward model's: scores here are the logits of all words."""
    pairs = {"chosen_ids": [[5, 6, 7]], "rejected_ids": [[5, 9, 8]], "margin": [0.5]}
    arguments = RewardConfig(tmp_path, max_steps=1, use_cpu=True, bf16=False, report_to="none", disable_tqdm=True)
    model = tiny_model(row)
    model.config.num_labels = 1  # asked for
    trainer = RewardTrainer(
        model, args=arguments, train_dataset=Dataset.from_dict(pairs), processing_class=tiny_processor(row)
    )
    trainer.train()
    assert trainer.state.global_step == 1


@over([row for row in WRITERS if row.model_type in ("histgen", "report_transformer")])  # whose layers are ours
def test_a_cache_in_training_with_checkpointing_is_refused(row):
    """Layers run twice for their gradient: the cache would hold every key twice."""
    model, inputs = tiny_model(row).train(), batch(row)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    with pytest.raises(ValueError, match="cache: found one in training with gradient checkpointing; expected none"):
        model(**inputs, cache=empty_cache(model))
    model.gradient_checkpointing_disable()
    assert model(**inputs, cache=empty_cache(model)).loss.isfinite()


def test_an_adapter_on_histgens_projection_is_heard_where_no_gradient_is_asked_for():
    row = next(row for row in REPORTS if row.model_type == "histgen")
    model, inputs = tiny_model(row), batch(row)
    adapted = get_peft_model(model, LoraConfig(target_modules=["feature_projection"], init_lora_weights=False)).eval()
    with torch.no_grad():
        without_gradient = adapted(**inputs).logits
        assert not torch.allclose(without_gradient, tiny_model(row)(**inputs).logits, atol=1e-3)
    torch.testing.assert_close(without_gradient, adapted(**inputs).logits)
