"""RadScribe against vectors made by RadScribe's own classes: every intermediate, logits, loss, ids, gradients."""

import pytest
import torch
from PIL import Image

from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.processing_medvill import RADSCRIBE_SCALE
from tests.modeling.radscribe_golden import CASES, golden_model, inputs, vector
from tests.training.radscribe_golden import golden, original_name

FULL, LEGACY = 1e-4, 2e-3  # the original's mask of -10000 rounds the scores by that much
END = 1
# The heuristic by which beams stop differs between versions of transformers; "never" waits as the original's did.
BEAM = {
    "early_stopping": "never",
    "num_beams": 2,
    "min_new_tokens": 6,
    "no_repeat_ngram_size": 2,
    "repetition_penalty": 1.3,
}


@pytest.fixture(params=CASES)
def case(request):
    return request.param


@pytest.fixture(params=("full", "legacy"))
def mode(request):
    return request.param


@pytest.fixture
def model(case, mode, tmp_path):
    return golden_model(case, mode, tmp_path)


def assert_near(found: torch.Tensor, case: str, name: str, tolerance: float) -> None:
    assert (found - vector(case, name).reshape(found.shape)).abs().max() < tolerance, name


@torch.no_grad()
def test_image_tokens_and_embeddings(model, case, mode):
    encoder, given = model.encoder, inputs(case, mode)
    features, class_features = encoder.image_features(given["pixel_values"])
    if case.startswith("vit"):
        hidden = encoder.image_encoder.vit.embeddings(given["pixel_values"], interpolate_pos_encoding=True)
        assert_near(hidden, case, "vit_embeddings", FULL)
        assert_near(torch.cat([class_features, features], 1), case, "vit_last_hidden_state", FULL)
        assert_near(class_features, case, "vit_cls", FULL)
    else:
        hidden = encoder.image_encoder.densenet.features(given["pixel_values"])
        assert_near(hidden, case, "features", FULL)
    tokens, places = encoder.image_encoder.tokens(features)
    assert_near(tokens, case, "image_tokens", FULL)
    if not case.startswith("vit"):
        assert torch.equal(places, vector(case, "image_positions")[0])
    image, text, marks = encoder.embed(encoder.image_projection(tokens), places, class_features, given["input_ids"])
    assert_near(image, case, "image_embedding", FULL)
    assert_near(text, case, "text_embedding", FULL)
    assert_near(marks[:, :1], case, "cls_embedding", FULL)
    assert_near(marks[:, 1:], case, "sep_embedding", FULL)


@torch.no_grad()
def test_states_logits_and_loss(model, case, mode):
    answers = []
    for layer in model.encoder.label_layers:
        layer.register_forward_hook(lambda _, given, output: answers.append(output))
    seen = model.encoder(**inputs(case, mode), output_hidden_states=True)
    assert len(answers) == (3 if case.endswith("_label") else 0)
    for index, answer in enumerate(answers):
        assert_near(answer, case, f"cross_attention_{index}", FULL)
    tolerance, suffix = (FULL, "_fullmask") if mode == "full" else (LEGACY, "")
    assert_near(seen.hidden_states[0], case, "bert_input", FULL)
    for index, states in enumerate(seen.hidden_states[1:]):
        assert_near(states, case, f"bert_layer_{index}", LEGACY)  # of the original's mask alone
    assert_near(seen.last_hidden_state, case, f"bert_output{suffix}", tolerance)

    ids = vector("in", "decoder_input_ids")
    mask = ((ids != 0) | (torch.arange(ids.shape[1]) == 0)).long()  # padding is hidden, the start never
    hidden = []
    model.decoder.register_forward_hook(lambda _, given, output: hidden.append(output.last_hidden_state))
    output = model(encoder_outputs=seen, labels=vector("in", "labels"), decoder_attention_mask=mask)
    assert_near(hidden[0], case, "decoder_last_hidden_state", LEGACY)
    assert_near(output.logits, case, f"logits{suffix}", tolerance)
    assert_near(output.loss[None], case, "loss", tolerance)
    assert output.label_source == ("oracle" if case.endswith("_label") else "none")


def until_end(ids: torch.Tensor) -> list[list[int]]:
    """The ids of each row up to its end token; behind it versions of transformers pad differently."""
    rows = ids.tolist()
    return [row[: row.index(END) + 1] if END in row else row for row in rows]


def test_greedy_and_beam_ids(model, case, mode):
    with torch.no_grad():
        seen = model.encoder(**inputs(case, mode))
    for name, settings in {
        "greedy_ids": {},
        "greedy_ids_min_steps": {"min_new_tokens": 12},
        "beam_ids_epoch0_like": BEAM,
    }.items():
        ids = model.generate(encoder_outputs=seen, max_new_tokens=12, do_sample=False, **settings)
        assert until_end(ids) == until_end(vector(case, name)), name


def test_gradient_norms(case, tmp_path):
    model = golden_model(case, "legacy", tmp_path)
    model(encoder_outputs=model.encoder(**inputs(case, "legacy")), labels=vector("in", "labels")).loss.backward()
    expected = {name: norm for name, norm in golden("meta")["gradient_norms"][case].items() if norm is not None}
    found = {original_name(name): one.grad.norm().item() for name, one in model.named_parameters()}
    assert found.keys() == expected.keys()
    for name, norm in expected.items():
        assert found[name] == pytest.approx(norm, rel=1e-3, abs=1e-5), name


@pytest.mark.parametrize(("number", "border"), [(0, 0), (2, 1), (3, 0)], ids=("larger", "not square", "smaller"))
def test_the_transform(number, border):
    """Of a film that is not square the original keeps the longer side; its middle is our crop. At the crop's border
    ours has no neighbor to average with. The set's fourth film is rounded to another scale along its longer side."""
    image = golden("transform")[f"transform/{number}/image_uint8"].numpy()
    expected = golden("transform")[f"transform/{number}/pixel_values"]
    mean, deviation = RADSCRIBE_SCALE
    films = FilmImageProcessor(64, image_mean=mean, image_std=deviation, fit="crop", resample="bilinear")
    gray = Image.fromarray(image).convert("L")  # the set's pictures are colored noise, which films are not
    found = films(gray, return_tensors="pt")["pixel_values"][0]
    top, left = ((side - 64) // 2 for side in expected.shape[1:])
    difference = (found - expected[:, top : top + 64, left : left + 64]).abs()
    inner = difference[:, border : 64 - border, border : 64 - border]
    assert inner.max() < 1 / 255 / min(deviation)  # the original rounds to 8 bits after resizing, we do not
