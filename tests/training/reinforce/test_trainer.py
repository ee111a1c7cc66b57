"""The trainer on tiny models of every kind: what is sampled, that its gradient is REINFORCE's, and the start model."""

import pytest
import torch

from hf_medreport.data.slide_reports import SlideReports
from hf_medreport.processing.feature_files import PatchFeatures, write_features
from hf_medreport.registry import system
from hf_medreport.training.recipe import ReportRecipeArguments
from hf_medreport.training.reinforce.adapter import WEIGHTS, Adapter
from hf_medreport.training.reinforce.data import CaseCollator
from hf_medreport.training.reinforce.rewards import Rewards
from hf_medreport.training.reinforce.sampling import generate_reports
from hf_medreport.training.reinforce.trainer import ReinforceTrainer, Settings
from tests.tiny import film_array, tiny_model, tiny_processor

TEXTS = ["Clear.", "Effusion."]
LENGTH = 6


def records(reads: str, folder) -> list[dict]:
    """Two cases with reports."""
    if reads == "slide":
        for name in "ab":
            torch.manual_seed(ord(name))
            features = torch.randn(5, 16).numpy()
            write_features(folder / f"{name}.safetensors", PatchFeatures(features, torch.zeros(5, 2).long().numpy()))
        return SlideReports([(n, [folder / f"{n}.safetensors"], t) for n, t in zip("ab", TEXTS, strict=True)])
    films = [film_array(), film_array().T.copy()]
    return [{"image": one, "lateral": one, "mask": None, "text": t} for one, t in zip(films, TEXTS, strict=True)]


def by_letters(prompts, completions, reference, ended):
    return [float(sum(map(ord, text)) % 5) for text in completions]


def trainer(model_type: str, folder, rank: int = 0, **changes) -> ReinforceTrainer:
    row = system(model_type)
    model, processor = tiny_model(row), tiny_processor(row)
    settings = {"method": "self-critical", "samples": 3, "kl": 0.0, "temperature": 1.0, "max_new_tokens": LENGTH}
    arguments = {"report_to": "none", "per_device_train_batch_size": 2, "max_steps": 1, "save_strategy": "no"}
    return ReinforceTrainer(
        model=model,
        args=ReportRecipeArguments(str(folder), **arguments, learning_rate=1e-2, disable_tqdm=True),
        data_collator=CaseCollator(processor, row.reads, model.takes(), LENGTH),
        train_dataset=records(row.reads, folder),
        processing_class=processor.tokenizer,
        settings=Settings(**settings | changes),
        rewards=Rewards([by_letters], [1.0]),
        processor=processor,
        adapter=Adapter(model, rank, []) if rank else None,
    )


def batch_of(made: ReinforceTrainer) -> dict:
    return made._prepare_inputs(made.data_collator([made.train_dataset[index] for index in range(2)]))


@pytest.mark.parametrize(
    "model_type",
    [
        "anatomical_report",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("cxr_multitask", "histgen", "radscribe")),
    ],
)
def test_the_gradient_is_that_of_the_reports_one_by_one(model_type, tmp_path):
    """REINFORCE by an independent way: each report's own cross-entropy, summed, times its advantage."""
    made = trainer(model_type, tmp_path)
    model, inputs, kept = made.model, batch_of(made), []
    write = made._write
    made._write = lambda *given: kept.append(write(*given)) or kept[0]
    torch.manual_seed(3)
    made.compute_loss(model, inputs).backward()
    ((written, rewards, advantages),) = kept
    gradients = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
    assert not model.training and rewards.shape == (2, 3) and len(set(rewards.flatten().tolist())) > 1
    assert by_letters([], written.texts, [], []) == rewards.flatten().tolist()

    model.zero_grad()
    shown = {name: value for name, value in inputs.items() if name in made.input_names}
    for report in range(6):
        one = {name: value[report // 3 : report // 3 + 1] for name, value in shown.items()}
        labels = written.labels[report : report + 1]
        labels = labels[:, labels[0] >= 0]
        logits = model(**one, labels=labels).logits
        total = torch.nn.functional.cross_entropy(logits[0].float(), labels[0], reduction="sum")
        (advantages.flatten()[report] * total / 6).backward()
    assert gradients
    for name, each in model.named_parameters():
        if name in gradients:
            assert torch.allclose(each.grad, gradients[name], rtol=1e-3, atol=1e-5), name


def test_what_is_sampled_is_the_models_own_distribution(tmp_path):
    """Not its settings of generation: with these it would write one token, again and again."""
    made = trainer("anatomical_report", tmp_path)
    model, inputs = made.model, batch_of(made)
    model.generation_config.update(max_new_tokens=1, num_beams=2, repetition_penalty=5.0, top_k=1)
    own = model.generation_config
    seen = model.see(pixel_values=inputs["pixel_values"])
    torch.manual_seed(0)
    written = generate_reports(model, made.tokenizer, seen, LENGTH, 200)
    assert model.generation_config is own and written.labels.shape[0] == 400
    first = model(pixel_values=inputs["pixel_values"], labels=written.labels[:2, :1]).logits[0, 0].softmax(-1)
    share = torch.bincount(written.labels[:200, 0], minlength=len(first)) / 200
    assert (share - first.detach()).abs().max() < 0.12
    greedy = generate_reports(model, made.tokenizer, seen, LENGTH, None)
    assert greedy.labels[0, 0] == first.argmax() and len(greedy.texts) == 2


def test_after_its_end_a_report_goes_no_further(tmp_path):
    made = trainer("anatomical_report", tmp_path)
    end = made.tokenizer.eos_token_id
    word = made.tokenizer("ab", add_special_tokens=False)["input_ids"]
    made.model.generate = lambda seen: torch.tensor([[*word, end, *word], [*word, *word, word[0]], [end] * 5])
    written = generate_reports(made.model, made.tokenizer, None, LENGTH, 1)
    assert written.texts == ["ab", "ababa", ""] and written.ended == [True, False, True]
    assert written.labels.tolist()[0] == [*word, end, -100, -100] and written.labels[2].tolist() == [end, *[-100] * 4]


@pytest.mark.parametrize("rank", [0, 2])
def test_kl_is_to_the_start_model(rank, tmp_path):
    """It is 0 before a step, whose gradient it leaves alone, and above 0 after one."""
    made = trainer("anatomical_report", tmp_path, rank, method="group-relative", kl=0.5)
    before = {name: each.clone() for name, each in made.model.state_dict().items()}
    made.train()
    (row,) = [row for row in made.state.log_history if "train_loss" in row]
    assert made.seen_of_log["kl"] == [pytest.approx(0, abs=1e-5)] and row["train_loss"] is not None
    changed = {name for name, each in made.model.state_dict().items() if not torch.equal(each, before[name])}
    assert changed and all("lora_" in name for name in changed) == bool(rank)
    made.compute_loss(made.model, batch_of(made))
    assert made.seen_of_log["kl"][1] > 1e-4


def test_an_adapter_is_kept_alone_and_merged(tmp_path):
    made = trainer("anatomical_report", tmp_path, rank=2)
    made.train()
    made.save_model(tmp_path / "checkpoint-1")
    assert (tmp_path / "checkpoint-1" / WEIGHTS).stat().st_size < 40_000
    assert not (tmp_path / "checkpoint-1" / "model.safetensors").exists()
    other = trainer("anatomical_report", tmp_path, rank=2)
    other.check_weights(tmp_path / "checkpoint-1")
    other.load_weights(tmp_path / "checkpoint-1")
    inputs, labels = batch_of(made), torch.tensor([[5, 6]] * 2)
    pixels = {"pixel_values": inputs["pixel_values"], "labels": labels}
    expected = made.model.eval()(**pixels).logits
    assert torch.equal(other.model.eval()(**pixels).logits, expected)
    with made.adapter.off():
        start = made.model(**pixels).logits
    assert not torch.allclose(start, expected, atol=1e-4)
    assert torch.equal(trainer("anatomical_report", tmp_path).model(**pixels).logits, start)
    merged = made.adapter.merged()
    assert torch.allclose(merged(**pixels).logits, expected, atol=1e-4)
    assert not any("lora" in name for name in merged.state_dict())
