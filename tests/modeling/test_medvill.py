"""MedViLL: image tokens, shared embeddings, who sees whom, labels, and the heads of its own pre-training."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_medreport.modeling.configuration_medvill import FINDINGS, MedViLLConfig
from hf_medreport.modeling.image_tokens import ENCODERS
from hf_medreport.modeling.modeling_medvill import MedViLLForPreTraining, MedViLLModel, attention_bias
from hf_medreport.processing.image_processing_film import FilmImageProcessor
from hf_medreport.processing.label_text import label_text
from hf_medreport.processing.processing_medvill import MedViLLProcessor
from hf_medreport.processing.processing_radscribe import RadScribeProcessor
from hf_medreport.registry import system
from hf_medreport.systems.radscribe.row import TINY_BERT, TINY_MEDVILL
from tests.tiny import tiny_config, tiny_label_tokenizer, tiny_model, tiny_tokenizer

ROW = system("medvill")
IMAGE, TEXT = TINY_MEDVILL["num_image_embeds"], TINY_MEDVILL["max_text_tokens"] + 1  # 6 and 21
LENGTH = IMAGE + 2 + TEXT
CLS, SEP = 2, 3
CHEXNET = {"growth_rate": 4, "block_config": [1, 1, 1, 1], "num_init_features": 8, "bn_size": 2, "channels": 12}
RESNET = {"embedding_size": 4, "hidden_sizes": [4, 8, 8], "depths": [1, 1, 1], "channels": 12}
PATCHES = {"image_encoder": "bert_vit", "image_encoder_sizes": {"patch_size": 8, "channels": 12}}
ORACLE = {"label_mode": "oracle"}


def films(count=2, side=32, seed=1):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def texts(*words):
    processor = MedViLLProcessor(FilmImageProcessor(size=32), tiny_label_tokenizer(), TINY_MEDVILL["max_text_tokens"])
    return dict(processor(text=list(words)))


def states(model, inputs, pixels=None):
    with torch.no_grad():
        return model(films() if pixels is None else pixels, **inputs).last_hidden_state


# Image tokens


@pytest.mark.parametrize(
    ("name", "sizes", "side", "places", "width"),
    [
        ("vit", {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "patch_size": 8}, 64, 64, 32),
        ("resnet101", RESNET, 96, 9, 12),
        ("chexnet121", CHEXNET, 96, 9, 12),
        ("bert_vit", {"patch_size": 8, "channels": 12}, 32, 16, 12),
    ],
)
def test_each_image_encoder_gives_as_many_tokens_as_configured(name, sizes, side, places, width):
    config = tiny_config(ROW, image_encoder=name, image_encoder_sizes=sizes, image_size=side)
    encoder = ENCODERS[name](config).eval()
    features, class_features = encoder(films(side=side))
    assert features.shape == (2, places, width) and places == config.grid_size**2
    assert (class_features is not None) == (name == "vit")
    tokens, positions = encoder.tokens(features)
    assert tokens.shape == (2, IMAGE, width) and positions.shape == (IMAGE,)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_256_tokens_of_the_published_sizes(name):
    """512 px; both CNNs and the patches have 16 x 16 places, the ViT 32 x 32."""
    config = MedViLLConfig(image_encoder=name)
    assert config.sequence_length == 512
    with torch.no_grad():
        encoder = ENCODERS[name](config).eval()
        features, _ = encoder(films(1, 512))
        assert features.shape == ((1, 1024, 768) if name == "vit" else (1, 256, 2048))
        tokens, positions = encoder.tokens(features)
    assert tokens.shape[1] == 256 and positions.tolist() == list(range(256))


def test_token_mixing_reads_the_token_axis_and_has_its_shape_from_the_image_size():
    model = tiny_model(ROW)
    assert model.image_encoder.token_mixing.weight.shape == (IMAGE, (32 // 8) ** 2)
    assert tiny_model(ROW, image_size=64).image_encoder.token_mixing.weight.shape == (IMAGE, 64)
    features, class_features = model.image_features(films())
    mixed, places = model.image_encoder.tokens(features)
    linear = model.image_encoder.token_mixing
    by_hand = torch.einsum("np,bpd->bnd", linear.weight, features) + linear.bias[:, None]
    torch.testing.assert_close(mixed, by_hand)
    assert places.tolist() == list(range(IMAGE))
    shuffled = features[:, torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    outputs = [model(features=one, class_features=class_features).last_hidden_state for one in (features, shuffled)]
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3


def test_tokens_are_drawn_in_training_and_evenly_spaced_in_evaluation():
    encoder = ENCODERS["bert_vit"](tiny_config(ROW, **PATCHES))
    features = torch.arange(16.0).expand(1, 12, 16).transpose(1, 2)  # place i holds i
    torch.manual_seed(0)
    drawn = [encoder.train().tokens(features) for _ in range(20)]
    for tokens, places in drawn:
        assert places.tolist() == sorted(set(places.tolist())) and len(places) == IMAGE
        assert torch.equal(tokens[0, :, 0], places.float())
    assert len({tuple(places.tolist()) for _, places in drawn}) > 15
    for _ in range(2):
        tokens, places = encoder.eval().tokens(features)
        assert places.tolist() == [0, 3, 6, 9, 12, 15] and tokens[0, :, 0].tolist() == places.tolist()


def test_where_every_place_is_a_token_there_is_nothing_to_draw():
    encoder = ENCODERS["bert_vit"](tiny_config(ROW, **PATCHES, num_image_embeds=16)).train()
    assert encoder.tokens(torch.zeros(1, 16, 12))[1].tolist() == list(range(16))


def test_a_token_carries_the_position_of_its_place():
    """bert_vit picks places 0, 3, ... of 16: changing position 3 changes the second token, position 1 none."""
    model = tiny_model(ROW, **PATCHES)
    tokens, places = model.image_encoder.tokens(model.image_features(films())[0])
    embedded = []
    for changed in (None, 3, 1):
        with torch.no_grad():
            table = model.bert.embeddings.position_embeddings.weight
            kept = table.clone()
            if changed is not None:
                table[changed] += 1
            embedded.append(model.embed(model.image_projection(tokens), places, None, torch.zeros(2, 1).long())[0])
            table.copy_(kept)
    moved = (embedded[1] - embedded[0]).abs().amax(dim=(0, 2)) > 1e-6
    assert moved.tolist() == [False, True, False, False, False, False] and torch.equal(embedded[2], embedded[0])


# Embeddings


def test_position_segment_and_norm_are_one_module_for_image_and_text(tmp_path):
    model = tiny_model(ROW)
    names = [name for name, _ in model.named_parameters() if "position_embeddings" in name and "vit" not in name]
    assert names == ["bert.embeddings.position_embeddings.weight"]
    model.save_pretrained(tmp_path)
    loaded = MedViLLModel.from_pretrained(tmp_path)
    torch.manual_seed(0)
    for each in (model, loaded):  # also after loading
        embeddings = each.bert.embeddings
        image, places, ids = torch.randn(1, 4, 32), torch.arange(4), torch.tensor([[9, 10, 11]])
        before = each.embed(image, places, torch.zeros(1, 1, 32), ids)
        for weight in (embeddings.position_embeddings.weight, embeddings.LayerNorm.weight):
            kept = weight.detach().clone()
            with torch.no_grad():
                weight.mul_(2)
            after = each.embed(image, places, torch.zeros(1, 1, 32), ids)
            assert all(not torch.equal(one, other) for one, other in zip(before, after, strict=True))
            with torch.no_grad():
                weight.copy_(kept)


def test_embeddings_by_hand():
    """LN(token + position + segment): segment 0 for the image and both marks, 1 for text; marks at position 0."""
    model = tiny_model(ROW, **PATCHES)
    embeddings = model.bert.embeddings
    words, positions, segments = (
        getattr(embeddings, f"{name}_embeddings").weight for name in ("word", "position", "token_type")
    )
    image, places, ids = torch.randn(1, 3, 32), torch.tensor([0, 5, 7]), torch.tensor([[9, 10]])
    got = model.embed(image, places, None, ids)
    norm = embeddings.LayerNorm
    torch.testing.assert_close(got[0], norm(image + positions[places] + segments[0]))
    torch.testing.assert_close(got[1], norm(words[ids] + positions[:2] + segments[1]))
    torch.testing.assert_close(got[2], norm(words[[CLS, SEP]] + positions[0] + segments[0])[None])
    assert norm.eps == 1e-12


def test_a_vits_class_token_takes_the_place_of_the_word():
    """Projected and nothing else: no norm, position or segment is added."""
    model, inputs = tiny_model(ROW), texts("heart", "heart")
    _, class_features = model.image_features(films())
    _, _, marks = model.embed(torch.zeros(2, 1, 32), torch.zeros(1).long(), class_features, inputs["input_ids"])
    assert torch.equal(marks[:, :1], model.class_projection(class_features))
    assert not torch.equal(marks[0, 0], marks[1, 0]) and torch.equal(marks[0, 1], marks[1, 1])


# Who sees whom


def attentions(mask_mode, *words):
    """(batch, heads, row, column) of BERT's first layer, and of the second."""
    model = tiny_model(ROW, mask_mode=mask_mode)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        return model(films(len(words)), **texts(*words), output_attentions=True).attentions


def test_full_mask_hides_the_padding_alone():
    for layer in attentions("full", "heart", "h"):
        for row, pieces in enumerate((5, 1)):
            seen = IMAGE + 2 + pieces + 1
            assert (layer[row, :, :, :seen] > 0).all() and (layer[row, :, :, seen:] == 0).all()


def test_bar_mask():
    """Text sees the image and the text up to itself; [CLS], image and [SEP] see all that is no padding."""
    expected = torch.zeros(2, LENGTH, LENGTH, dtype=torch.bool)
    for row, pieces in enumerate((5, 1)):
        seen = IMAGE + 2 + pieces + 1
        for one in range(LENGTH):
            for other in range(seen):
                expected[row, one, other] = one < IMAGE + 2 or other <= one
    for layer in attentions("bar", "heart", "h"):
        assert layer.shape == (2, 4, LENGTH, LENGTH)
        torch.testing.assert_close(layer.sum(-1), torch.ones(2, 4, LENGTH))
        assert torch.equal(layer > 0, expected[:, None].expand(-1, 4, -1, -1))


def test_legacy_mask_adds_one_number_to_a_whole_row():
    text = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]]).bool()
    bias = attention_bias("legacy", 3, text, torch.float32)
    assert bias.shape == (2, 1, 9, 9) and (bias == bias[..., :1]).all()
    assert bias[:, 0, :, 0].tolist() == [[0.0] * 7 + [-10000.0] * 2, [0.0] * 6 + [-10000.0] * 3]
    for layer in attentions("legacy", "heart", "h"):
        assert (layer > 0).all()  # so the padding is seen by all


@pytest.mark.parametrize(("mask_mode", "seen"), [("full", False), ("bar", False), ("legacy", True)])
def test_what_stands_in_the_padding(mask_mode, seen):
    model, inputs = tiny_model(ROW, mask_mode=mask_mode), texts("heart", "left lung")
    before = states(model, inputs)[:, : IMAGE + 2 + 4]
    inputs["input_ids"] = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, 9)
    changed = (states(model, inputs)[:, : IMAGE + 2 + 4] - before).abs().max()
    assert changed > 1e-3 if seen else changed == 0


def test_mask_is_that_of_the_ids_where_none_is_given():
    model, inputs = tiny_model(ROW), texts("heart", "left lung")
    assert torch.equal(states(model, inputs), states(model, {"input_ids": inputs["input_ids"]}))


def test_sdpa_and_eager_agree_under_each_mask():
    for mask_mode in ("full", "bar", "legacy"):
        model, inputs = tiny_model(ROW, mask_mode=mask_mode), texts("heart", "left lung")
        expected = states(model, inputs)
        model.set_attn_implementation("eager")
        # 2e-3 as the golden set has it: a row at -10000 keeps three digits after the point
        torch.testing.assert_close(
            states(model, inputs), expected, atol=2e-3 if mask_mode == "legacy" else 1e-5, rtol=0
        )


# Labels


def test_a_label_changes_what_is_made_of_the_film_before_bert():
    model = tiny_model(ROW, **ORACLE)
    assert len(model.label_layers) == 3 and model.label_layers[0].norm.eps == 1e-5
    kept = []
    model.bert.encoder.register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    for words in ("'edema'", "'fracture'"):
        states(model, texts(words, words))
    image = slice(1, 1 + IMAGE)
    assert (kept[0][:, image] - kept[1][:, image]).abs().min(dim=1).values.max() > 1e-4
    assert torch.equal(kept[0][:, 0], kept[1][:, 0]) and torch.equal(kept[0][:, 1 + IMAGE], kept[1][:, 1 + IMAGE])


@pytest.mark.parametrize(("mask_mode", "seen"), [("full", False), ("bar", False), ("legacy", True)])
def test_label_attention_sees_the_padding_in_legacy_alone(mask_mode, seen):
    model, inputs = tiny_model(ROW, **ORACLE, mask_mode=mask_mode), texts("'edema'", "'a'")
    kept = []
    model.bert.encoder.register_forward_pre_hook(lambda _, args: kept.append(args[0][:, 1 : 1 + IMAGE]))
    states(model, inputs)
    states(model, {**inputs, "input_ids": inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, 9)})
    changed = (kept[0] - kept[1]).abs().max()
    assert changed > 1e-4 if seen else changed == 0


NAMES = ("Edema", "Fracture", "Lung Opacity")
WRITER = RadScribeProcessor(FilmImageProcessor(size=32), tiny_tokenizer(), tiny_label_tokenizer(), 20, list(NAMES))
PREDICTED = {"label_mode": "predicted", "label_names": NAMES}


@given(st.lists(st.lists(st.sampled_from(NAMES), unique=True), min_size=1, max_size=4), st.sampled_from([20, 12, 3]))
@settings(max_examples=60, deadline=None)
def test_predicted_text_is_what_the_tokenizer_would_write(named, most):
    """In the order of `label_names`, cut to what the model takes, also where nothing is named."""
    named = [[name for name in NAMES if name in names] for names in named]
    model = predicting_model(most)
    logits = torch.tensor([[5.0 if name in names else -5.0 for name in NAMES] for names in named])
    WRITER.max_text_tokens = most
    ids, mask = WRITER.label_inputs(named)
    got_ids, got_mask = model.predicted_text(logits)
    assert torch.equal(got_ids, ids) and torch.equal(got_mask, mask.bool())


def predicting_model(most=20, **changes):
    WRITER.max_text_tokens = 20
    return tiny_model(ROW, **PREDICTED, max_text_tokens=most, **WRITER.label_pieces(), **changes)


def test_predicted_labels_are_told_to_bert_and_given_ones_take_their_place():
    model = predicting_model()
    with torch.no_grad():
        model.label_head.bias.copy_(torch.tensor([9.0, -9.0, 9.0]))
    outputs = model(films())
    assert outputs.label_source == "predicted" and outputs.label_logits.shape == (2, 3)
    assert (outputs.label_logits.sigmoid() >= 0.5).tolist() == [[True, False, True]] * 2
    ids, mask = WRITER.label_inputs([["Edema", "Lung Opacity"]] * 2)
    told = model(films(), ids, mask)
    assert told.label_source == "oracle" and torch.equal(told.last_hidden_state, outputs.last_hidden_state)
    other = model(films(), *WRITER.label_inputs([["Fracture"]] * 2))
    assert not torch.allclose(other.last_hidden_state, outputs.last_hidden_state)


def test_the_threshold_is_a_probability():
    logits = torch.tensor([[0.0, 0.4, 1.0]])  # probabilities 0.5, 0.6, 0.73
    for threshold, named in ((0.5, list(NAMES)), (0.55, ["Fracture", "Lung Opacity"]), (0.7, ["Lung Opacity"])):
        ids, _ = predicting_model(label_threshold=threshold).predicted_text(logits)
        assert torch.equal(ids, WRITER.label_inputs([named])[0])


def test_labels_are_flagged():
    assert tiny_model(ROW)(films(), **texts("a", "b")).label_source == "none"  # a text, no labels
    assert tiny_model(ROW)(films()).label_source == "none"
    assert tiny_model(ROW, **ORACLE)(films(), **texts("a", "b")).label_source == "oracle"


def test_default_names_are_chexperts_findings():
    assert label_text(FINDINGS).count("'") == 26 and "No Finding" not in FINDINGS


# The heads of pre-training


def pretraining_model():
    torch.manual_seed(0)
    return MedViLLForPreTraining(tiny_config(ROW, mask_mode="bar")).eval()


def test_losses_by_hand():
    model, inputs = pretraining_model(), texts("heart", "left lung")
    labels, match = torch.full((2, TEXT), -100), torch.tensor([1, 0])
    labels[0, 1], labels[1, 0], labels[1, 2] = 9, 10, 11
    outputs = model(films(), **inputs, labels=labels, match_labels=match)
    assert outputs.prediction_logits.shape == (2, TEXT, TINY_BERT["vocab_size"])
    scores = outputs.prediction_logits.log_softmax(-1)
    words = -(scores[0, 1, 9] + scores[1, 0, 10] + scores[1, 2, 11]) / 3
    whole = outputs.match_logits.log_softmax(-1)
    pairs = -(whole[0, 1] + whole[1, 0]) / 2
    torch.testing.assert_close(outputs.word_loss, words)
    torch.testing.assert_close(outputs.match_loss, pairs)
    torch.testing.assert_close(outputs.loss, words + pairs)
    assert model(films(), **inputs).loss is None
    torch.testing.assert_close(model(films(), **inputs, match_labels=match).loss, pairs)


def test_a_batch_without_a_masked_word_has_a_loss_of_zero():
    model, inputs = pretraining_model(), texts("heart", "left lung")
    assert model(films(), **inputs, labels=torch.full((2, TEXT), -100)).loss == 0


def test_the_words_are_scored_with_the_embedding_also_after_loading(tmp_path):
    model = pretraining_model()
    assert model.words.decoder.weight is model.medvill.get_input_embeddings().weight
    model.save_pretrained(tmp_path)
    loaded = MedViLLForPreTraining.from_pretrained(tmp_path)
    assert loaded.words.decoder.weight is loaded.medvill.get_input_embeddings().weight
    expected = model.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in loaded.state_dict().items())


def test_a_masked_word_is_guessed_without_what_follows_it():
    """Of what comes later only the states of the image know, from the second layer on: here there is one."""
    torch.manual_seed(0)
    config = tiny_config(ROW, mask_mode="bar", bert={**TINY_BERT, "num_hidden_layers": 1})
    model, inputs = MedViLLForPreTraining(config).eval(), texts("heart", "left lung")
    before = model(films(), **inputs).prediction_logits
    inputs["input_ids"][:, 3] = 20
    after = model(films(), **inputs).prediction_logits
    assert torch.equal(before[:, :3], after[:, :3]) and not torch.equal(before[:, 3], after[:, 3])
