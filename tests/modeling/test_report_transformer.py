"""The from-scratch Transformer: its positions, its parts, what it can learn, and what it refuses."""

import math

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn.functional import cross_entropy

from hf_medreport.modeling.configuration_report_transformer import ReportTransformerConfig
from hf_medreport.modeling.keywords import CACHE
from hf_medreport.modeling.modeling_report_transformer import (
    ReportTransformerForCausalLM,
    ReportTransformerLayer,
)
from hf_medreport.modeling.sinusoids import sinusoids
from hf_medreport.registry import system
from hf_medreport.systems.report_transformer.noam import noam_schedule
from tests.tiny import tiny_model, tiny_tokenizer

ROW = system("report_transformer")
SIZES = {**ROW.tiny, "vocab_size": 11}


def model(**changes) -> ReportTransformerForCausalLM:
    torch.manual_seed(0)
    return ReportTransformerForCausalLM(ReportTransformerConfig(**{**SIZES, **changes})).eval()


def test_sinusoids_by_the_closed_form():
    table = sinusoids(torch.arange(64), 512)
    for position in (0, 1, 7, 63):
        for pair in (0, 1, 100, 255):
            angle = position / 10000 ** (2 * pair / 512)
            assert table[position, 2 * pair].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[position, 2 * pair + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_a_shift_of_position_is_a_rotation():
    """Why the paper chose them: each pair at p + k is the pair at p, turned by an angle that only k decides."""
    table = sinusoids(torch.arange(40), 8).unflatten(-1, (4, 2))
    turns = (table[:-5] * table[5:]).sum(-1)  # cosine of the angle between p and p + 5
    torch.testing.assert_close(turns, turns[:1].expand_as(turns))


def test_default_sizes_are_the_papers():
    with torch.device("meta"):
        built = ReportTransformerForCausalLM(ReportTransformerConfig())
    # A layer: 4 * 512^2 of attention, 2 * 512 * 2048 + 2048 + 512 of feed-forward, 2 * 2 * 512 of norms.
    layer = 4 * 512**2 + 2 * 512 * 2048 + 2048 + 512 + 4 * 512
    assert built.num_parameters() == 4 * layer + 50260 * 512  # one table of words, no table of positions
    assert not list(built.buffers())


def test_a_layer_is_torchs_post_norm_layer():
    """`nn.TransformerEncoderLayer` with the same weights gives the same states under a causal mask."""
    layer = ReportTransformerLayer(ReportTransformerConfig(**SIZES), 0).eval()
    twin = nn.TransformerEncoderLayer(32, 4, 48, dropout=0.0, batch_first=True).eval()
    attention, feed_forward = layer.attention, layer.feed_forward
    rows = [getattr(attention, name).weight for name in ("q_proj", "k_proj", "v_proj")]
    twin.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat(rows),
            "self_attn.in_proj_bias": torch.zeros(96),
            "self_attn.out_proj.weight": attention.o_proj.weight,
            "self_attn.out_proj.bias": torch.zeros(32),
            **{f"linear1.{name}": value for name, value in feed_forward.up_proj.named_parameters()},
            **{f"linear2.{name}": value for name, value in feed_forward.down_proj.named_parameters()},
            **{f"norm1.{name}": value for name, value in layer.attention_norm.named_parameters()},
            **{f"norm2.{name}": value for name, value in layer.feed_forward_norm.named_parameters()},
        }
    )
    states, hidden = torch.randn(2, 7, 32), torch.ones(7, 7).triu(1).bool()
    torch.testing.assert_close(layer(states, ~hidden), twin(states, src_mask=hidden), rtol=1e-5, atol=1e-5)


def test_words_are_scaled_by_the_root_of_the_width():
    built, met = model(), []
    built.model.layers[0].register_forward_pre_hook(lambda layer, arguments: met.append(arguments[0]))
    ids = torch.tensor([[3, 5]])
    built(ids)
    expected = built.model.embed_tokens.weight[ids] * math.sqrt(32) + sinusoids(torch.arange(2), 32)
    torch.testing.assert_close(met[0], expected)


def test_no_gradient_flows_from_a_word_to_a_later_one():
    built, met = model(), []
    dropout = built.model.dropout
    dropout.register_forward_hook(lambda part, arguments, states: met.append(states) or states.retain_grad())
    built(torch.tensor([[1, 2, 3, 4, 5]])).logits[0, 2].sum().backward()
    reached = met[0].grad[0].abs().sum(-1) > 0
    assert reached.tolist() == [True, True, True, False, False]


def test_padding_counts_no_position_on_either_side():
    built, text = model(), [4, 7, 2, 9]
    alone = built(torch.tensor([text])).logits
    left = built(torch.tensor([[0, 0, *text]]), attention_mask=torch.tensor([[0, 0, 1, 1, 1, 1]])).logits
    right = built(torch.tensor([[*text, 0]]), attention_mask=torch.tensor([[1, 1, 1, 1, 0]])).logits
    torch.testing.assert_close(left[:, 2:], alone)
    torch.testing.assert_close(right[:, :4], alone)
    assert left.isfinite().all() and right.isfinite().all()  # the rows of padding too


def test_positions_matter():
    built = model()
    first, second = built(torch.tensor([[4, 7, 2]])).logits[0, -1], built(torch.tensor([[7, 4, 2]])).logits[0, -1]
    assert not torch.allclose(first, second, atol=1e-3)


def test_labels_that_are_not_learned_do_not_count():
    built, ids = model(), torch.tensor([[4, 7, 2, 9]])
    labels = torch.tensor([[-100, -100, 2, 9]])
    outputs = built(ids, labels=labels)
    torch.testing.assert_close(outputs.loss, cross_entropy(outputs.logits[0, 1:3], torch.tensor([2, 9])))
    assert outputs.get(CACHE) is None  # no cache is built where something is learned


def test_embedding_and_head_are_one_table_unless_asked():
    tied, apart = model(), model(tie_word_embeddings=False)
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    assert apart.lm_head.weight is not apart.model.embed_tokens.weight
    grown = model()
    grown.resize_token_embeddings(14)
    assert grown(torch.tensor([[13]])).logits.shape == (1, 1, 14)


def test_a_fresh_model_loads_through_the_meta_device_as_it_was(tmp_path):
    """transformers builds on the meta device and fills in weights: positions must not be lost on the way."""
    built = model()
    built.save_pretrained(tmp_path)
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(ReportTransformerForCausalLM.from_pretrained(tmp_path)(ids).logits, built(ids).logits)
    halved = ReportTransformerForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16)
    assert halved(ids).logits.dtype == torch.bfloat16


def test_fresh_predictions_are_nearly_flat():
    torch.manual_seed(0)
    built = ReportTransformerForCausalLM(ReportTransformerConfig(**{**SIZES, "vocab_size": 500, "hidden_size": 64}))
    ids = torch.randint(0, 500, (8, 30))
    assert abs(built.eval()(ids, labels=ids).loss.item() - math.log(500)) < 1


def test_learns_four_sentences_by_heart():
    """By the paper's schedule; then each sentence is told from its first two letters to its end."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    sentences = ["No effusion.", "Heart is large.", "Lungs are clear.", "Left nodule."]
    texts = [sentence + tokenizer.eos_token for sentence in sentences]
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    # End and padding are the same id here: by the mask.
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    learner = ReportTransformerForCausalLM(ReportTransformerConfig(**{**SIZES, "vocab_size": len(tokenizer)})).train()
    optimizer = torch.optim.Adam(learner.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)
    schedule = noam_schedule(optimizer, d_model=32, warmup=400)
    for _ in range(300):
        loss = learner(**inputs, labels=labels).loss
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    prompts = tokenizer([sentence[:2] for sentence in sentences], return_tensors="pt")
    told = learner.eval().generate(**prompts, max_new_tokens=30, do_sample=False)
    assert tokenizer.batch_decode(told, skip_special_tokens=True) == sentences
    assert loss < 0.05  # not 0: nobody knows that "L" goes on with "u" or with "e"


def test_drafts_of_an_assistant_change_no_greedy_word():
    """Several new tokens at once, and a cache that is cut back where the draft was wrong."""
    writer, ids = tiny_model(ROW), tiny_tokenizer()("heart normal, heart", return_tensors="pt")
    plain = writer.generate(**ids, max_new_tokens=12, do_sample=False, eos_token_id=None)
    assert torch.equal(plain, writer.generate(**ids, max_new_tokens=12, prompt_lookup_num_tokens=4, eos_token_id=None))
    assert torch.equal(plain, writer.generate(**ids, max_new_tokens=12, assistant_model=tiny_model(ROW, seed=1)))


# --- bad input ---

CONFIG = "ReportTransformerConfig: found "
REFUSED_SIZES = {
    "misspelt field": (
        {"hiden_size": 32},
        CONFIG + "unknown field 'hiden_size'; expected one of its fields; did you mean 'hidden_size'?",
    ),
    "width and heads": (
        {"num_attention_heads": 5},
        CONFIG + "hidden_size=32; expected a multiple of num_attention_heads=5; correct the configuration",
    ),
    "odd width": (
        {"hidden_size": 15, "num_attention_heads": 3},
        CONFIG + "hidden_size=15; expected an even number, for pairs of sine and cosine; correct the configuration",
    ),
    "no layer": (
        {"num_hidden_layers": 0},
        CONFIG + "num_hidden_layers=0; expected at least 1; correct the configuration",
    ),
    "no vocabulary": (
        {"vocab_size": 0},
        CONFIG + "vocab_size=0; expected at least 1; correct the configuration",
    ),
    "all dropped out": (
        {"dropout": 1.0},
        CONFIG + "dropout=1.0; expected at least 0 and below 1; correct the configuration",
    ),
    "end outside the vocabulary": (
        {"eos_token_id": 50258},
        CONFIG + "eos_token_id=50258; expected 0 to 10 (vocab_size); correct the configuration",
    ),
}
LONG = "(max_position_embeddings); shorten the prompt or ask for fewer new tokens"
TOKENIZER = "use the tokenizer that lies beside the weights"
SHAPE = "expected (batch, tokens) with at least one token; begin a text with the start token"
MASK = "with what the cache has seen; leave it out where nothing is padded"
REFUSED_IDS = {
    "prompt longer than the positions": (
        {"input_ids": torch.ones(1, 65, dtype=torch.long)},
        f"input_ids: found 65 tokens; expected at most 64 {LONG}",
    ),
    "id above the vocabulary": (
        {"input_ids": torch.tensor([[1, 11]])},
        f"input_ids: found id 11; expected 0 to 10; {TOKENIZER}",
    ),
    "id below 0": (
        {"input_ids": torch.tensor([[1, -100]])},
        f"input_ids: found id -100; expected 0 to 10; {TOKENIZER}",
    ),
    "no token": (
        {"input_ids": torch.ones(2, 0, dtype=torch.long)},
        f"input_ids: found shape (2, 0); {SHAPE}",
    ),
    "a text without its batch": (
        {"input_ids": torch.tensor([1, 2])},
        f"input_ids: found shape (2,); {SHAPE}",
    ),
    "mask of another length": (
        {"input_ids": torch.tensor([[1, 2]]), "attention_mask": torch.ones(1, 3)},
        f"attention_mask: found shape (1, 3); expected (1, 2), {MASK}",
    ),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED_SIZES.values(), ids=REFUSED_SIZES)
def test_refused_configurations(changes, message):
    with pytest.raises(ValueError) as error:
        ReportTransformerConfig(**{**SIZES, **changes})
    assert str(error.value) == message


@pytest.mark.parametrize(("inputs", "message"), REFUSED_IDS.values(), ids=REFUSED_IDS)
def test_refused_inputs(inputs, message):
    with pytest.raises(ValueError) as error:
        model()(**inputs)
    assert str(error.value) == message


def test_a_generation_longer_than_the_positions_says_so():
    with pytest.raises(ValueError) as error:
        model().generate(torch.ones(1, 60, dtype=torch.long), max_new_tokens=9, eos_token_id=None)
    assert str(error.value) == f"input_ids: found 65 tokens; expected at most 64 {LONG}"


def test_a_static_cache_is_refused():
    with pytest.raises(ValueError) as error:
        model().generate(torch.ones(1, 2, dtype=torch.long), max_new_tokens=2, cache_implementation="static")
    assert str(error.value) == (
        "cache: found a StaticCache; expected a cache that grows with the text; leave cache_implementation out"
    )


def test_folders_saved_before_the_stack_had_a_name_load(tmp_path):
    """Their weights have no `model.` before them."""
    built = model()
    built.save_pretrained(tmp_path)
    before = {name.removeprefix("model."): value for name, value in load_file(tmp_path / "model.safetensors").items()}
    assert "embed_tokens.weight" in before
    save_file(before, tmp_path / "model.safetensors", {"format": "pt"})
    ids = torch.tensor([[4, 7, 2, 9]])
    loaded = ReportTransformerForCausalLM.from_pretrained(tmp_path)
    assert torch.equal(loaded(ids).logits, built(ids).logits)
    assert loaded.base_model is loaded.model and loaded.model(ids).last_hidden_state.shape == (1, 4, 32)
