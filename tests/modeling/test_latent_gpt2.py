"""GPT-2 with a latent in every layer: where it enters, that it is GPT-2 without one, and what it writes."""

import json

import pytest
import torch
from torch.nn.functional import linear
from transformers import GPT2Config, GPT2LMHeadModel

from hf_medreport.modeling.configuration_latent_gpt2 import INJECTIONS, LatentGPT2Config
from hf_medreport.modeling.keywords import CACHE
from hf_medreport.modeling.modeling_latent_gpt2 import LatentGPT2LMHeadModel
from hf_medreport.processing.report_tokens import add_report_tokens
from hf_medreport.registry import system
from hf_medreport.systems.cxr_multitask.row import TINY_GPT2
from tests.tiny import tiny_model, tiny_tokenizer

ROW = system("latent_gpt2")
SIZE, WIDTH, LAYERS = 8, TINY_GPT2["n_embd"], TINY_GPT2["n_layer"]
IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
GREEDY = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": None}


def latents(rows=2, seed=1):
    return torch.randn(rows, SIZE, generator=torch.Generator().manual_seed(seed)) / 4


def by_hand(model, latent, layer):
    """The projected latent of a layer, (batch, 1, width)."""
    weight, bias = model.latent_projection.weight, model.latent_projection.bias
    if model.config.per_layer_projection:
        rows = slice(layer * WIDTH, (layer + 1) * WIDTH)
        weight, bias = weight[rows], bias[rows]
    return linear(latent, weight, bias)[:, None]


@torch.no_grad()
def hooked(model, latent):
    """For each block: what it was given, what its first norm saw, what GPT-2 made of it, and what it gave on."""
    heard = [{} for _ in model.transformer.h]
    for block, notes in zip(model.transformer.h, heard, strict=True):
        block.ln_1.register_forward_pre_hook(lambda _, inputs, n=notes: n.update(seen=inputs[0].clone()))
        block.ln_2.register_forward_pre_hook(lambda _, inputs, n=notes: n.update(halfway=inputs[0].clone()))
        block.mlp.register_forward_hook(lambda _, inputs, output, n=notes: n.update(made=n["halfway"] + output))
        block.register_forward_hook(lambda _, inputs, output, n=notes: n.update(given_on=output.clone()))
    embeddings = {}
    model.transformer.drop.register_forward_hook(lambda _, inputs, output: embeddings.update(all=output.clone()))
    model(IDS, latent=latent)
    for notes, before in zip(heard, [embeddings["all"], *(notes["given_on"] for notes in heard[:-1])], strict=True):
        notes["given"] = before
    return heard


@pytest.mark.parametrize("per_layer", [False, True], ids=["shared", "per layer"])
@pytest.mark.parametrize("injection", INJECTIONS)
def test_where_the_latent_enters(injection, per_layer):
    model, z = tiny_model(ROW, latent_injection=injection, per_layer_projection=per_layer), latents()
    torch.nn.init.normal_(model.latent_projection.bias)
    for layer, notes in enumerate(hooked(model, z)):
        before = injection == "pre_block" or (injection == "embedding_only" and layer == 0)
        after = injection == "post_block"
        e = by_hand(model, z, layer)
        torch.testing.assert_close(notes["seen"], notes["given"] + e if before else notes["given"])
        torch.testing.assert_close(notes["given_on"], notes["made"] + e if after else notes["made"])
        assert e.abs().max() > 0.1


def test_a_shared_projection_is_one_matrix_and_per_layer_ones_are_as_many_as_layers():
    for per_layer, factor in ((False, 1), (True, LAYERS)):
        projection = tiny_model(ROW, per_layer_projection=per_layer).latent_projection
        assert projection.weight.shape == (factor * WIDTH, SIZE)


@pytest.mark.parametrize("injection", INJECTIONS)
def test_another_latent_changes_every_layer_and_the_first_position(injection):
    model = tiny_model(ROW, latent_injection=injection)
    one, other = (hooked(tiny_model(ROW, latent_injection=injection), latents(seed=seed)) for seed in (1, 2))
    for notes, others in zip(one, other, strict=True):
        difference = (notes["given_on"] - others["given_on"]).abs().amax(dim=-1)  # (batch, text)
        assert (difference > 1e-3).all()
    logits = [model(IDS, latent=latents(seed=seed)).logits for seed in (1, 2)]
    assert ((logits[0] - logits[1])[:, 0].abs().amax(dim=-1) > 1e-3).all()


@pytest.mark.parametrize("injection", INJECTIONS)
def test_the_gradient_reaches_the_latent(injection):
    model, z = tiny_model(ROW, latent_injection=injection), latents().requires_grad_()
    model(IDS, latent=z, labels=IDS).loss.backward()
    assert z.grad.isfinite().all() and (z.grad.abs().amax(dim=1) > 0).all()
    assert (model.latent_projection.weight.grad.abs().amax(dim=1) > 0).all()


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    """A random GPT-2 and its folder."""
    torch.manual_seed(0)
    sizes = {**TINY_GPT2, "attn_pdrop": 0, "vocab_size": 257}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0, pad_token_id=0)).eval()
    with torch.no_grad():
        for parameter in model.transformer.h.parameters():
            parameter.add_(torch.randn_like(parameter) / 10)
    folder = tmp_path_factory.mktemp("gpt2")
    model.save_pretrained(folder)
    return model, folder


@pytest.mark.parametrize("injection", INJECTIONS)
def test_a_gpt2_folder_loads_and_without_a_latent_it_is_gpt2_to_the_last_bit(gpt2, injection):
    plain, folder = gpt2
    model = LatentGPT2LMHeadModel.from_pretrained(folder, latent_size=SIZE, latent_injection=injection).eval()
    assert model.latent_projection.weight.any()
    expected, mask = plain(IDS).logits, torch.ones_like(IDS)
    assert torch.equal(model(IDS).logits, expected)
    assert torch.equal(model(IDS, attention_mask=mask).logits, expected)
    assert not torch.equal(model(IDS, latent=latents()).logits, expected)
    assert torch.equal(model.generate(IDS, **GREEDY), plain.generate(IDS, **GREEDY))


@pytest.mark.parametrize("per_layer", [False, True], ids=["shared", "per layer"])
@pytest.mark.parametrize("injection", INJECTIONS)
def test_a_projection_of_zeros_leaves_gpt2_as_it_was_to_the_last_bit(gpt2, injection, per_layer):
    plain, folder = gpt2
    settings = {"latent_injection": injection, "per_layer_projection": per_layer, "zero_init_projection": True}
    model = LatentGPT2LMHeadModel.from_pretrained(folder, latent_size=SIZE, **settings).eval()
    assert not model.latent_projection.weight.any() and not model.latent_projection.bias.any()
    assert torch.equal(model(IDS, latent=latents()).logits, plain(IDS).logits)
    built = LatentGPT2LMHeadModel(model.config)
    assert not built.latent_projection.weight.any() and built.transformer.h[0].mlp.c_fc.weight.any()


def test_zeros_do_not_stay_zeros_in_training(gpt2):
    model = LatentGPT2LMHeadModel.from_pretrained(gpt2[1], latent_size=SIZE, zero_init_projection=True)
    model(IDS, latent=latents(), labels=IDS).loss.backward()
    assert (model.latent_projection.weight.grad.abs().amax(dim=1) > 0).all()


def test_what_was_gpt2_is_saved_and_loaded_as_latent_gpt2(gpt2, tmp_path):
    model = LatentGPT2LMHeadModel.from_pretrained(gpt2[1], latent_size=SIZE, per_layer_projection=True).eval()
    assert model.config.model_type == "latent_gpt2"
    model.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert (written["model_type"], written["latent_size"]) == ("latent_gpt2", SIZE)
    loaded = LatentGPT2LMHeadModel.from_pretrained(tmp_path).eval()
    assert loaded.config.per_layer_projection and loaded.config.model_type == "latent_gpt2"
    assert torch.equal(loaded(IDS, latent=latents()).logits, model(IDS, latent=latents()).logits)
    assert loaded.lm_head.weight is loaded.transformer.wte.weight


def test_defaults_are_the_published_ones_where_there_are_any():
    config = LatentGPT2Config()
    assert (config.latent_size, config.latent_injection, config.per_layer_projection) == (2048, "pre_block", False)
    assert (config.n_embd, config.n_layer, config.n_head, config.n_positions) == (768, 12, 12, 1024)


def test_projected_beforehand_is_the_same():
    model, z = tiny_model(ROW, per_layer_projection=True), latents()
    embeds = model.project_latent(z)
    assert embeds.shape == (2, LAYERS, WIDTH)
    assert torch.equal(model(IDS, latent_embeds=embeds).logits, model(IDS, latent=z).logits)


@pytest.mark.parametrize("per_layer", [False, True], ids=["shared", "per layer"])
@pytest.mark.parametrize("injection", INJECTIONS)
def test_cached_generation_is_uncached_generation_with_the_latent_on(injection, per_layer):
    model = tiny_model(ROW, latent_injection=injection, per_layer_projection=per_layer)
    runs = [model.generate(IDS, latent=latents(), use_cache=cached, **GREEDY) for cached in (True, False)]
    assert torch.equal(*runs) and runs[0].shape == (2, 12)
    assert len(set(runs[0][:, 4:].flatten().tolist())) > 2
    assert not torch.equal(runs[0], model.generate(IDS, **GREEDY))  # the latent is heard


@pytest.mark.parametrize("mode", [{"num_beams": 3}, {"do_sample": True, "top_k": 1, "num_return_sequences": 2}])
def test_every_beam_keeps_the_latent_of_its_own_text(mode):
    """The same words with two latents, together and each alone."""
    model, options = tiny_model(ROW), {**GREEDY, **mode}
    words, z = IDS[:1].expand(2, -1), latents()
    together = model.generate(words, latent=z, **options)
    alone = [model.generate(words[:1], latent=z[row, None], **options) for row in range(2)]
    assert torch.equal(together, torch.cat(alone)) and not torch.equal(*alone)


def test_the_single_likeliest_token_and_a_temperature_near_zero_are_greedy():
    model, z = tiny_model(ROW), latents()
    expected = model.generate(IDS, latent=z, **GREEDY)
    sampling = {**GREEDY, "do_sample": True}
    assert torch.equal(model.generate(IDS, latent=z, **sampling, top_k=1), expected)
    assert torch.equal(model.generate(IDS, latent=z, **sampling, temperature=1e-4, top_k=0), expected)
    torch.manual_seed(0)
    assert not torch.equal(model.generate(IDS, latent=z, **sampling, temperature=2.0, top_k=0), expected)


def test_only_the_top_k_are_drawn():
    model, z = tiny_model(ROW), latents()[:1].expand(200, -1)
    torch.manual_seed(0)
    ids = IDS[:1].expand(200, -1)
    sampling = {"do_sample": True, "temperature": 5.0, "top_k": 3, "max_new_tokens": 1, "eos_token_id": None}
    drawn = set(model.generate(ids, latent=z, **sampling)[:, -1].tolist())
    assert drawn == set(model(IDS[:1], latent=z[:1]).logits[0, -1].topk(3).indices.tolist())


def test_a_seed_decides_what_is_drawn():
    model, z, runs = tiny_model(ROW), latents(), []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        runs.append(model.generate(IDS, latent=z, **{**GREEDY, "do_sample": True, "top_k": 50}))
    assert torch.equal(runs[0], runs[1]) and not torch.equal(runs[0], runs[2])


@pytest.fixture
def speaking():
    """A model and its tokenizer, which has a start, an end and a padding token of its own."""
    tokenizer = tiny_tokenizer()
    add_report_tokens(tokenizer)
    model = tiny_model(ROW)
    model.resize_token_embeddings(len(tokenizer))
    for name in ("bos", "eos", "pad"):
        for holder in (model.config, model.generation_config):
            setattr(holder, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))
    return model, tokenizer


def test_generate_text_goes_on_from_a_prompt(speaking):
    model, tokenizer = speaking
    torch.manual_seed(0)
    text = model.generate_text("No", latents(1), 0.9, 5, tokenizer=tokenizer, max_new_tokens=12)
    assert text.startswith("No") and len(text) > 2 and not any(sign in text for sign in ("<start>", "<end>", "<pad>"))
    torch.manual_seed(0)
    words = tokenizer("No")["input_ids"]
    ids = model.generate(
        torch.tensor([[tokenizer.bos_token_id, *words]]), latent=latents(1), do_sample=True, temperature=0.9, top_k=5,
        max_new_tokens=12,
    )  # fmt: skip
    assert text == tokenizer.decode(ids[0], skip_special_tokens=True)


def test_generate_text_hears_temperature_top_k_and_latent(speaking):
    model, tokenizer = speaking

    def text(latent, **settings):
        torch.manual_seed(0)
        return model.generate_text("No", latent, tokenizer=tokenizer, max_new_tokens=12, **settings)

    cold = text(latents(1), temperature=1e-4)
    assert cold == text(latents(1), top_k=1) != text(latents(1), temperature=5.0)
    assert cold != text(latents(1, seed=2), top_k=1) and cold != text(None, top_k=1)
    assert text(latents(1)) == text(latents(1), temperature=0.7, top_k=50)


def test_generate_text_stops_at_the_end_token(speaking):
    """Without a bias in GPT-2's head, a table row that is long and along the last state wins."""
    model, tokenizer = speaking
    with torch.no_grad():
        model.transformer.ln_f.bias.fill_(1.0)
        model.lm_head.weight[tokenizer.eos_token_id] = 100.0
    assert model.generate_text("No", latents(1), tokenizer=tokenizer, max_new_tokens=12) == "No"


def test_padding_on_the_left_takes_no_position():
    model, z = tiny_model(ROW), latents(1)
    padded, mask = torch.tensor([[0, 0, *IDS[0]]]), torch.tensor([[0, 0, 1, 1, 1, 1]])
    expected = model(IDS[:1], latent=z).logits
    torch.testing.assert_close(model(padded, latent=z, attention_mask=mask).logits[:, 2:], expected)
    assert not torch.allclose(model(padded, latent=z).logits[:, 2:], expected, atol=1e-2)


@pytest.mark.parametrize("embedded", [False, True], ids=["ids", "embeddings"])
def test_positions_count_what_is_cached(embedded):
    """A text in two pieces, the second with the mask of both, as generation gives it."""
    model, z = tiny_model(ROW), latents()
    padded = torch.nn.functional.pad(IDS, (2, 0))
    mask = torch.nn.functional.pad(torch.ones_like(IDS), (2, 0))
    whole = model(padded, latent=z, attention_mask=mask).logits[:, -1]
    cache = model(padded[:, :-2], latent=z, attention_mask=mask[:, :-2], use_cache=True)[CACHE]
    last = padded[:, -2:]
    piece = {"inputs_embeds": model.transformer.wte(last)} if embedded else {"input_ids": last}
    torch.testing.assert_close(
        model(**piece, latent=z, attention_mask=mask, cache=cache).logits[:, -1], whole, atol=1e-4, rtol=1e-4
    )


NAN = latents(3)
NAN[0, 2] = float("nan")
NAN[2, 7] = float("inf")
REFUSED_LATENTS = {
    "too narrow": (
        torch.zeros(2, 7),
        "latent: found shape (2, 7); expected (batch, 8); pass the latent that the model was built for, or set "
        "latent_size",
    ),
    "one vector": (
        torch.zeros(8),
        "latent: found shape (8,); expected (batch, 8); pass the latent that the model was built for, or set "
        "latent_size",
    ),
    "a latent a word": (
        torch.zeros(2, 4, 8),
        "latent: found shape (2, 4, 8); expected (batch, 8); pass the latent that the model was built for, or set "
        "latent_size",
    ),
    "NaN and infinite": (
        NAN,
        "latent: found NaN or infinite values in rows [0, 2]; expected finite numbers; check the images and the "
        "encoder that made it",
    ),
    "one for two texts": (
        torch.zeros(1, 8),
        "latent: found 1 rows for 2 texts; expected one a text; repeat or choose the rows",
    ),
    "three for two texts": (
        torch.zeros(3, 8),
        "latent: found 3 rows for 2 texts; expected one a text; repeat or choose the rows",
    ),
}


@pytest.mark.parametrize("case", REFUSED_LATENTS)
def test_latents_that_are_refused(case):
    latent, message = REFUSED_LATENTS[case]
    with pytest.raises(ValueError) as raised:
        tiny_model(ROW)(IDS, latent=latent)
    assert str(raised.value) == message


@pytest.mark.parametrize("case", ["too narrow", "NaN and infinite"])
def test_generation_refuses_them_before_the_first_token(case):
    latent, message = REFUSED_LATENTS[case]
    with pytest.raises(ValueError) as raised:
        tiny_model(ROW).generate(IDS, latent=latent, **GREEDY)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"latent_injection": "every_block"},
            "LatentGPT2Config: found latent_injection='every_block'; expected one of pre_block, post_block, "
            "embedding_only; correct the configuration",
        ),
        (
            {"latent_inject": "post_block"},
            "LatentGPT2Config: found unknown field 'latent_inject'; expected one of its fields; did you mean "
            "'latent_injection'?",
        ),
        (
            {"latent_sise": 8},
            "LatentGPT2Config: found unknown field 'latent_sise'; expected one of its fields; did you mean "
            "'latent_size'?",
        ),
    ],
)
def test_configurations_that_are_refused(fields, message):
    with pytest.raises(ValueError) as raised:
        LatentGPT2Config(**fields)
    assert str(raised.value) == message


def test_the_padding_of_texts_that_ended_is_no_warning(monkeypatch):
    """`generate` drops a mask of ones and pads what ended; transformers would then miss the mask."""
    said = []
    monkeypatch.setattr("transformers.modeling_utils.logger.warning_once", said.append)
    tiny_model(ROW, pad_token_id=3)(torch.tensor([[5, 6], [5, 3]]), use_cache=True)
    assert said == []
