"""RadScribe: a T5 decoder on MedViLL's states; labels, losses, and how it is joined from pretrained parts."""

import json
import math

import pytest
import torch
from transformers import MT5Config, MT5ForConditionalGeneration, T5Config, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from hf_medreport.modeling.configuration_radscribe import RadScribeConfig
from hf_medreport.modeling.modeling_medvill import MedViLLModel
from hf_medreport.modeling.modeling_radscribe import RadScribeForConditionalGeneration
from hf_medreport.registry import system
from hf_medreport.systems.radscribe.row import TINY_MEDVILL
from tests.tiny import tiny_config, tiny_model

ROW = system("radscribe")
LENGTH = TINY_MEDVILL["num_image_embeds"] + TINY_MEDVILL["max_text_tokens"] + 3
IDS = torch.tensor([[9, 3, 0], [10, 11, 3]])  # label text, [SEP], padding
NAMES = ["Edema", "Fracture"]
PREDICTED = {"label_mode": "predicted", "label_names": NAMES, "label_pieces": [[9], [10]], "label_separator": [6]}
TINY_T5 = {"d_model": 32, "d_ff": 48, "d_kv": 8, "num_layers": 1, "num_decoder_layers": 2, "num_heads": 4}
TINY_T5 |= {"vocab_size": 50, "decoder_start_token_id": 0, "dropout_rate": 0.0}


def films(count=2):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def label_ids():
    ids = torch.zeros(2, TINY_MEDVILL["max_text_tokens"] + 1, dtype=torch.long)
    ids[:, :3] = IDS
    return ids


def labels():
    return torch.tensor([[5, 6, 7, 0], [8, 0, -100, -100]])


def radscribe(**encoder):
    return tiny_model(ROW, encoder={**ROW.tiny["encoder"], **encoder})


# The decoder


@pytest.mark.parametrize("label_mode", ["none", "oracle"])
def test_the_decoder_attends_to_the_whole_sequence(label_mode):
    model = radscribe(label_mode=label_mode)
    model.set_attn_implementation("eager")
    told = {"label_ids": label_ids()} if label_mode == "oracle" else {}
    outputs = model(films(), **told, labels=labels(), output_attentions=True)
    heads, layers = ROW.tiny["decoder"]["num_heads"], ROW.tiny["decoder"]["num_layers"]
    assert len(outputs.cross_attentions) == layers
    for attention in outputs.cross_attentions:
        assert attention.shape == (2, heads, 4, LENGTH) and (attention > 0).all()  # padding too, as published
        torch.testing.assert_close(attention.sum(-1), torch.ones(2, heads, 4))
    assert outputs.encoder_last_hidden_state.shape == (2, LENGTH, 32)


def test_t5s_own_encoder_is_not_carried():
    model = radscribe()
    names = set(model.state_dict())
    assert {name.split(".")[0] for name in names} == {"encoder", "decoder", "lm_head"}
    own = MedViLLModel(model.config.encoder).state_dict()
    assert {name for name in names if name.startswith("encoder.")} == {f"encoder.{name}" for name in own}
    t5 = T5ForConditionalGeneration(model.config.decoder).state_dict()
    assert {name for name in names if name.startswith("decoder.")} == {key for key in t5 if key.startswith("decoder.")}


def test_padding_of_the_report_changes_nothing_where_there_is_a_label():
    model = radscribe()
    ids = torch.tensor([[0, 5, 6, 0, 0], [0, 5, 6, 7, 8]])
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    both = model(films(), decoder_input_ids=ids, decoder_attention_mask=mask).logits
    alone = model(films()[:1], decoder_input_ids=ids[:1, :3]).logits
    torch.testing.assert_close(both[:1, :3], alone, atol=1e-5, rtol=1e-4)


def test_decoder_inputs_are_the_labels_one_later():
    shifted = radscribe().prepare_decoder_input_ids_from_labels(labels())
    assert shifted.tolist() == [[0, 5, 6, 7], [0, 8, 0, 0]]


# Labels


def test_what_the_encoder_was_told_stands_in_the_output():
    assert radscribe()(films(), labels=labels()).label_source == "none"
    oracle = radscribe(label_mode="oracle")(films(), label_ids(), labels=labels())
    assert oracle.label_source == "oracle" and oracle.label_logits is None
    predicted = radscribe(**PREDICTED)
    assert predicted(films(), labels=labels()).label_source == "predicted"
    assert predicted(films(), label_ids(), labels=labels()).label_source == "oracle"  # given, so not its own


def test_oracle_labels_change_what_is_written():
    model, other = radscribe(label_mode="oracle"), label_ids()
    other[:, 0] = 12
    logits = [model(films(), ids, labels=labels()).logits for ids in (label_ids(), other)]
    assert (logits[0] - logits[1]).abs().max() > 1e-4


REFUSALS = {
    "labels for a model that takes none": (
        {},
        {"label_ids": label_ids(), "labels": labels()},
        "label_ids: found labels for a model with label_mode none; expected films alone; leave them out",
    ),
    "no labels for a model that needs them": (
        {"label_mode": "oracle"},
        {"labels": labels()},
        "label_ids: found no labels; expected those of each film, for label_mode is oracle; give them, or use a model "
        "that predicts them or needs none",
    ),
    "targets of another number of labels": (
        PREDICTED,
        {"labels": labels(), "label_targets": torch.zeros(2, 3)},
        "label_targets: found shape (2, 3); expected (2, 2), one a label name; give -100 where a label is not known",
    ),
    "neither ids nor labels": (
        {},
        {},
        "forward: found neither decoder_input_ids nor labels; expected one; pass the report",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(case):
    encoder, inputs, message = REFUSALS[case]
    with pytest.raises(ValueError) as error:
        radscribe(**encoder)(films(), **inputs)
    assert str(error.value) == message


def test_generate_refuses_labels_for_a_model_that_takes_none():
    with pytest.raises(ValueError, match="^label_ids: found labels for a model with label_mode none; expected films"):
        radscribe().generate(films(), label_ids(), max_new_tokens=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"label_loss_weight": -1.0},
            "RadScribeConfig: found label_loss_weight=-1.0; expected 0 or more; correct the configuration",
        ),
        (
            {"decoder": {**ROW.tiny["decoder"], "d_model": 40}},
            "RadScribeConfig: found a decoder of width 40 beside an encoder of 32; expected one width; correct the "
            "configuration",
        ),
        (
            {"label_los_weight": 1.0},
            "RadScribeConfig: found unknown field 'label_los_weight'; expected one of its fields; did you mean "
            "'label_loss_weight'?",
        ),
    ],
)
def test_configurations_that_do_not_fit(changes, message):
    with pytest.raises(ValueError) as error:
        RadScribeConfig(**{**ROW.tiny, **changes})
    assert str(error.value) == message


# Losses


def test_label_loss_by_hand():
    """Summed over the labels of a film, mean over films of which one is known.

    Scores of 0 have cross-entropy log 2 whatever the truth; 2 has log(1 + e^-2) for present and 2 more for absent.
    """
    model = radscribe(**PREDICTED)
    logits = torch.tensor([[0.0, 2.0], [2.0, 0.0], [7.0, 7.0]])
    targets = torch.tensor([[1, 0], [1, -100], [-100, -100]])
    present = math.log(1 + math.exp(-2))
    expected = (math.log(2) + present + 2 + present) / 2
    assert model.label_loss(logits, targets).item() == pytest.approx(expected, abs=1e-6)
    assert model.label_loss(logits, torch.full((3, 2), -100)) is None


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_loss_is_the_reports_and_weighted_the_labels(weight):
    model = tiny_model(ROW, encoder={**ROW.tiny["encoder"], **PREDICTED}, label_loss_weight=weight)
    outputs = model(films(), labels=labels(), label_targets=torch.tensor([[1, 0], [-100, -100]]))
    torch.testing.assert_close(outputs.loss, outputs.text_loss + weight * outputs.label_loss)
    unknown = model(films(), labels=labels(), label_targets=torch.full((2, 2), -100))
    assert unknown.label_loss is None and torch.equal(unknown.loss, unknown.text_loss)
    alone = model(films(), labels=labels())
    assert alone.label_loss is None and torch.equal(alone.loss, outputs.text_loss)


def test_the_label_head_learns_and_the_labels_it_writes_pass_no_gradient():
    model = radscribe(**PREDICTED).train()
    model(films(), labels=labels()).loss.backward()
    assert model.encoder.label_head.weight.grad is None
    model(films(), labels=labels(), label_targets=torch.tensor([[1, 0], [0, 1]])).loss.backward()
    assert model.encoder.label_head.weight.grad.abs().sum() > 0


def test_accumulated_batches_make_one_large_batch():
    """Films with 4 and 2 tokens: the mean over 6 tokens, not of two means."""
    model = radscribe()
    whole = model(films(), labels=labels()).loss
    parts = [
        model(films()[row : row + 1], labels=labels()[row : row + 1], num_items_in_batch=torch.tensor(6)).loss
        for row in range(2)
    ]
    torch.testing.assert_close(sum(parts), whole)
    means = [model(films()[row : row + 1], labels=labels()[row : row + 1]).loss for row in range(2)]
    assert abs(sum(means) / 2 - whole) > 1e-3


# Joined from pretrained parts

GATED = {**TINY_T5, "feed_forward_proj": "gated-gelu"}
# Class, sizes, whether the output layer is the embedding (it is in the first T5 alone), and whether its config.json
# says so: published ones do, those that today's transformers writes call every T5 tied.
FAMILY = {
    "t5": (T5ForConditionalGeneration, T5Config(**TINY_T5), True, True),
    "t5 v1.1, published": (T5ForConditionalGeneration, T5Config(**GATED, tie_word_embeddings=False), False, True),
    "t5 v1.1, saved again": (T5ForConditionalGeneration, T5Config(**GATED, tie_word_embeddings=False), False, False),
    "mt5, published": (MT5ForConditionalGeneration, MT5Config(**GATED), False, True),
    "mt5, saved again": (MT5ForConditionalGeneration, MT5Config(**GATED), False, False),
}


@pytest.fixture
def medvill(tmp_path):
    model = tiny_model(system("medvill"), seed=5)
    model.save_pretrained(tmp_path / "medvill")
    return model, str(tmp_path / "medvill")


def same_weights(part, source):
    expected, got = source.state_dict(), part.state_dict()
    return expected.keys() == got.keys() and all(torch.equal(got[key], expected[key]) for key in expected)


@pytest.mark.parametrize("name", FAMILY)
def test_joined_from_folders_keeps_every_weight(medvill, name, tmp_path):
    """And writes what the T5 writes that is handed MedViLL's states; also after saving and loading."""
    kind, sizes, tied, says_so = FAMILY[name]
    torch.manual_seed(2)
    writer = kind(sizes).eval()
    if not tied:
        writer.lm_head.weight = torch.nn.Parameter(torch.randn(50, 32))
    writer.save_pretrained(tmp_path / "t5")
    if says_so:
        path = tmp_path / "t5" / "config.json"
        published = json.loads(path.read_text()) | {"tie_word_embeddings": tied}
        published.pop("scale_decoder_outputs", None)
        path.write_text(json.dumps(published))
    seeing, folder = medvill
    joined = RadScribeForConditionalGeneration.from_encoder_decoder_pretrained(folder, str(tmp_path / "t5"))
    joined.save_pretrained(tmp_path / "joined")
    states = BaseModelOutput(seeing(films()).last_hidden_state)
    ids = torch.tensor([[0, 5, 6], [0, 7, 8]])
    expected = writer(encoder_outputs=states, decoder_input_ids=ids).logits
    for model in (joined, RadScribeForConditionalGeneration.from_pretrained(tmp_path / "joined")):
        assert same_weights(model.encoder, seeing) and same_weights(model.decoder, writer.decoder)
        assert torch.equal(model.lm_head.weight, writer.lm_head.weight)
        assert (model.lm_head.weight is model.decoder.embed_tokens.weight) == tied and not model.training
        torch.testing.assert_close(model(films(), decoder_input_ids=ids).logits, expected, atol=1e-4, rtol=1e-4)

    options = {"max_new_tokens": 6, "num_beams": 3, "do_sample": False}
    stock = writer.generate(encoder_outputs=states, use_cache=False, **options)  # its cache has too few layers for it
    assert torch.equal(joined.generate(films(), **options), stock)


def test_the_encoders_configuration_can_be_changed_on_the_way(medvill, tmp_path):
    T5ForConditionalGeneration(T5Config(**TINY_T5)).save_pretrained(tmp_path / "t5")
    model = RadScribeForConditionalGeneration.from_encoder_decoder_pretrained(
        medvill[1], str(tmp_path / "t5"), encoder_mask_mode="bar", label_loss_weight=0.25
    )
    assert model.config.encoder.mask_mode == "bar" and model.config.label_loss_weight == 0.25


def test_parts_of_other_widths_are_refused(medvill, tmp_path):
    T5ForConditionalGeneration(T5Config(**{**TINY_T5, "d_model": 40})).save_pretrained(tmp_path / "t5")
    with pytest.raises(ValueError) as error:
        RadScribeForConditionalGeneration.from_encoder_decoder_pretrained(medvill[1], str(tmp_path / "t5"))
    message = "RadScribeConfig: found a decoder of width 40 beside an encoder of 32; expected one width; correct the "
    assert str(error.value) == message + "configuration"


def test_a_decoder_of_another_name_is_read_as_a_t5():
    config = tiny_config(ROW).to_dict()
    config["decoder"]["model_type"] = "mt5"
    assert RadScribeConfig(**config).decoder.model_type == "t5"


# Evidence


@pytest.mark.parametrize("label_mode", ["none", "oracle"])
def test_evidence_of_a_sentence_sums_to_one_and_is_of_the_film(label_mode):
    model = radscribe(label_mode=label_mode)
    told = (label_ids(), (label_ids() != 0).long()) if label_mode == "oracle" else ()
    generated = torch.tensor([[0, 5, 6, 7, 8], [0, 9, 6, 7, 0]])
    sentences = torch.tensor([[-1, 0, 0, 1, 1], [-1, 0, 0, 1, -1]])
    scores, evidence = model.sentence_evidence(generated, sentences, films(), *told)
    assert scores.shape == (2, 5) and (scores[:, 0] == 0).all() and (scores[:, 1:] < 0).all()
    side = model.config.encoder.grid_size
    assert evidence.shape == (2, 2, side, side) and (evidence >= 0).all()
    torch.testing.assert_close(evidence.sum((-2, -1)), torch.ones(2, 2))
    logits = model(films(), *told, decoder_input_ids=generated[:, :-1]).logits.log_softmax(-1)
    torch.testing.assert_close(scores[:, 1:], logits.gather(-1, generated[:, 1:, None])[..., 0])
