"""Checkpoints of MedViLL, converted, with and without weights of an image encoder."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoProcessor,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

from hf_medreport.modeling.densenet_encoder import DenseNetEncoder
from hf_medreport.modeling.modeling_medvill import MedViLLModel
from hf_medreport.modeling.modeling_radscribe import RadScribeForConditionalGeneration
from hf_medreport.processing.input_error import InputError
from hf_medreport.registry import system
from hf_medreport.systems.radscribe.convert_medvill import convert, counted, rename_medvill
from hf_medreport.systems.radscribe.original.checkpoint_keys import encoder_key
from tests.cli.test_cli import run
from tests.modeling.radscribe_golden import state_dict
from tests.systems.radscribe.test_convert import lone_resnet, torchxrayvision_resnet
from tests.systems.radscribe.words import bert_words, t5_words
from tests.tiny import film_array, save_tiny
from tests.training.radscribe_golden import golden, original_name, tiny_radscribe

OPTIONS = {"num_heads": 4, "max_text_tokens": 19}
SHARED = ("position_embeddings.weight", "token_type_embeddings.weight", "LayerNorm.weight", "LayerNorm.bias")
TAIL = "use the file as the training saved it"


@pytest.fixture
def words(tmp_path):
    bert_words().save_pretrained(tmp_path / "bert")
    return {"tokenizer": str(tmp_path / "bert")}


def medvill_state(**changes) -> dict[str, torch.Tensor]:
    """The golden BERT as MedViLL saves it, with the heads of its pre-training and a projection of 40 channels."""
    golden_state = state_dict("chexnet121_nolabel")
    state = {
        key.replace("encoder.", "enc.", 1): value
        for key, value in golden_state.items()
        if key.startswith("encoder.") and "img_encoder" not in key
    }
    state |= {"enc.pooler.dense.weight": torch.zeros(32, 32), "enc.pooler.dense.bias": torch.zeros(32)}
    state |= {"mlm.predictions.bias": torch.zeros(120), "itm.linear.weight": torch.zeros(2, 32)}
    state["enc.img_encoder.model.0.weight"] = torch.zeros(64, 3, 7, 7)  # ImageNet's ResNet-50
    return {**state, **changes}


@pytest.fixture
def medvill_file(tmp_path):
    torch.save(medvill_state(), tmp_path / "pytorch_model.bin")
    return tmp_path / "pytorch_model.bin"


@pytest.mark.parametrize(("theirs", "ours"), [("ViT", "vit"), ("chexnet121", "chexnet121")])
def test_the_golden_keys(theirs, ours):
    """What RadScribe loads of MedViLL's names, and how many of its own it then lacks."""
    expected = golden("meta")["medvill_key_mapping"][theirs]
    state = {key: torch.zeros(1) for key in golden("meta")["medvill_key_mapping"]["source_keys"]}
    renamed = rename_medvill("c.bin", state, ours)
    # RadScribe's loader first takes the image encoder away, and calls the head of words `cls`.
    passed = {
        key.removeprefix("enc.").replace("mlm.", "cls.") for key in state if not key.startswith("enc.img_encoder")
    }
    assert sorted(passed) == expected["passed"] and renamed.unexpected == []
    loaded = {encoder_key(key, ours) for key in expected["loaded"]}
    assert set(renamed.weights) == loaded
    dropped = {"enc.img_encoder": 1, "enc.pooler": 1, "mlm": 1, "itm": 1}
    unused = {"enc.img_embeddings.img_embeddings": 2} if ours == "vit" else {}
    assert renamed.not_carried == dropped | unused
    assert sum(renamed.not_carried.values()) - 1 == len(expected["unexpected"])

    model = tiny_radscribe(ours, "oracle").encoder
    missing = model.state_dict().keys() - loaded
    # Theirs has the ViT's pooler too, and BERT's shared weights under two names, one of which here is in the file; and
    # torch does not count as missing how many batches a norm has seen.
    pooler = 2 if ours == "vit" else 0
    counters = sum(key.endswith("num_batches_tracked") for key in missing)
    assert len(missing) - counters + pooler + len(SHARED) - 1 == expected["missing_keys_count"]
    lacking = {encoder_key(key, ours) for key in expected["missing_examples"]}
    assert lacking <= missing


def test_what_no_file_has_is_fresh_by_the_seed_and_reported(words, medvill_file, tmp_path):
    settings = {**words, **OPTIONS, "image_encoder": "resnet101", "image_size": 64}
    result = convert(medvill_file, tmp_path / "out", **settings)
    assert result == {
        "out": str(tmp_path / "out"),
        "image_encoder": "resnet101",
        "loaded": 2 * 16 + 5 + 2,  # BERT's layers and embeddings, the projection
        "fresh": {"image_encoder.conv": 2, "image_encoder.resnet": 5 * 94 + 94},  # a norm has five tensors
        "not_carried": {"enc.pooler": 2, "mlm": 1, "itm": 1, "enc.img_encoder": 1},
        "unexpected": [],
        "as_published": {},
    }
    model = AutoModel.from_pretrained(tmp_path / "out", trust_remote_code=True)
    assert model.config.mask_mode == "bar" and model.config.label_mode == "none"
    assert torch.equal(model.image_projection.weight, medvill_state()["enc.img_embeddings.img_embeddings.weight"])
    processor = AutoProcessor.from_pretrained(tmp_path / "out", trust_remote_code=True)
    batch = processor(film_array(), text="word7 word8")
    assert batch["input_ids"][0, :4].tolist() == [7, 8, 102, 0]
    assert model(**batch).last_hidden_state.shape == (1, 1 + 4 + 1 + 20, 32)

    first = load_file(tmp_path / "out" / "model.safetensors")
    convert(medvill_file, tmp_path / "same", **settings)
    convert(medvill_file, tmp_path / "other", **settings, seed=1)
    same, other = (load_file(tmp_path / name / "model.safetensors") for name in ("same", "other"))
    assert all(torch.equal(first[key], same[key]) for key in first)
    differ = {key for key in first if not torch.equal(first[key], other[key])}
    assert differ and counted(sorted(differ)).keys() == result["fresh"].keys()


def test_radscribe_is_trained_on_it(words, medvill_file, tmp_path):
    convert(medvill_file, tmp_path / "out", **words, **OPTIONS, image_encoder="bert_vit", image_size=64)
    save_tiny(system("radscribe"), tmp_path / "radscribe")
    decoder = RadScribeForConditionalGeneration.from_pretrained(tmp_path / "radscribe").config.decoder
    T5ForConditionalGeneration(T5Config(**{**decoder.to_dict(), "num_layers": 1})).save_pretrained(tmp_path / "t5")
    model = RadScribeForConditionalGeneration.from_encoder_decoder_pretrained(
        tmp_path / "out", tmp_path / "t5", encoder_label_mode="oracle", encoder_mask_mode="legacy"
    )
    key = "bert.encoder.layer.1.output.dense.weight"
    assert torch.equal(model.encoder.state_dict()[key], medvill_state()[f"enc.{key.removeprefix('bert.')}"])
    assert len(model.encoder.label_layers) == 3


@torch.no_grad()
def test_medvills_own_patch_embedding_is_the_bert_vits(words, tmp_path):
    """Its linear layer reads a patch row by row, the channels of a pixel side by side."""
    weight, bias = torch.randn(40, 32 * 32 * 3), torch.randn(40)
    patches = {"weight": weight, "bias": bias}
    state = {key: value for key, value in medvill_state().items() if "img_encoder" not in key}
    state |= {f"enc.img_encoder.patch_to_embedding.{key}": value for key, value in patches.items()}
    state["enc.img_encoder.pos_embedding"] = torch.zeros(1, 5, 40)  # never used there
    torch.save(state, tmp_path / "c.bin")
    result = convert(tmp_path / "c.bin", tmp_path / "out", **words, **OPTIONS, image_size=64)
    assert result["image_encoder"] == "bert_vit" and result["fresh"] == {}
    assert result["not_carried"]["enc.img_encoder"] == 1
    model = MedViLLModel.from_pretrained(tmp_path / "out")
    film = torch.randn(1, 3, 64, 64)
    found, _ = model.image_features(film)
    for place, (top, left) in enumerate([(0, 0), (0, 32), (32, 0), (32, 32)]):
        pixels = [film[0, :, top + row, left + column] for row in range(32) for column in range(32)]
        assert (found[0, place] - (weight @ torch.cat(pixels) + bias)).abs().max() < 1e-3


def tiny_vit(**changes) -> ViTForImageClassification:
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    torch.manual_seed(0)
    return ViTForImageClassification(ViTConfig(**{**sizes, "image_size": 16, "patch_size": 8, **changes})).eval()


@torch.no_grad()
def test_weights_of_a_vit(words, medvill_file, tmp_path):
    vit = tiny_vit()
    state = {original_name(f"encoder.image_encoder.{key}"): one for key, one in vit.state_dict().items()}
    state = {
        key.replace("encoder.img_encoder.model.", "vit.").replace("encoder.image_encoder.", ""): one
        for key, one in state.items()
    }
    assert "vit.encoder.layer.1.attention.attention.query.weight" in state  # as transformers named it for years
    save_file(state, tmp_path / "vit.safetensors")
    settings = {**words, **OPTIONS, "vit_heads": 4, "image_size": 32, "num_image_embeds": 6}
    result = convert(medvill_file, tmp_path / "out", image_weights=tmp_path / "vit.safetensors", **settings)
    assert result["image_encoder"] == "vit" and result["unexpected"] == ["classifier.bias", "classifier.weight"]
    assert result["fresh"] == {"image_encoder.token_mixing": 2, "class_projection": 2}
    assert result["not_carried"]["enc.img_embeddings.img_embeddings"] == 2
    model = MedViLLModel.from_pretrained(tmp_path / "out")
    films = torch.randn(1, 3, 32, 32)
    found, class_token = model.image_features(films)
    expected = vit.vit(films, interpolate_pos_encoding=True).last_hidden_state
    assert torch.allclose(torch.cat([class_token, found], 1), expected, atol=1e-5)
    assert scale_of(tmp_path / "out") == ([0.5] * 3, [0.5] * 3)


def scale_of(folder) -> tuple[list[float], list[float]]:
    films = AutoProcessor.from_pretrained(folder, trust_remote_code=True).image_processor
    assert (films.fit, films.resample) == ("pad", "bilinear")
    return films.image_mean, films.image_std


@torch.no_grad()
def test_weights_of_chexnet(words, medvill_file, tmp_path):
    torch.manual_seed(0)
    net = DenseNetEncoder(growth_rate=4, block_config=[2, 2, 2, 2], num_init_features=8, bn_size=2).eval()
    state = {f"module.densenet121.{key}": value for key, value in net.state_dict().items()}
    state["module.densenet121.classifier.0.weight"] = torch.zeros(14, 16)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "model.pth")
    settings = {**words, **OPTIONS, "image_size": 64}
    result = convert(medvill_file, tmp_path / "out", image_weights=tmp_path / "model.pth", **settings)
    assert result["image_encoder"] == "chexnet121" and result["fresh"] == {"image_encoder.conv": 2}
    assert result["unexpected"] == ["densenet121.classifier.0.weight"]
    model = MedViLLModel.from_pretrained(tmp_path / "out")
    films = torch.randn(1, 3, 64, 64)
    assert torch.equal(model.image_encoder.densenet.features(films), net.features(films))
    assert scale_of(tmp_path / "out") == ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@torch.no_grad()
def test_weights_of_torchxrayvisions_autoencoder(words, medvill_file, tmp_path):
    net = torchxrayvision_resnet()
    torch.save(lone_resnet(net), tmp_path / "elastic.pt")
    settings = {**words, **OPTIONS, "image_size": 64}
    result = convert(medvill_file, tmp_path / "out", image_weights=tmp_path / "elastic.pt", **settings)
    assert result["image_encoder"] == "resnet101" and result["fresh"] == {"image_encoder.conv": 2}
    assert result["unexpected"] == ["layer4.0.conv1.weight", "uplayer1.0.bn1.weight"]
    model = MedViLLModel.from_pretrained(tmp_path / "out")
    film = torch.randn(1, 1, 64, 64)
    found = model.image_encoder.resnet(film).last_hidden_state
    assert (found - net(film)).abs().max() < 1e-4
    # A film of 0 to 1 becomes -1024 to 1024.
    (mean, *_), (deviation, *_) = scale_of(tmp_path / "out")
    assert ((0 - mean) / deviation, (1 - mean) / deviation) == (-1024, 1024)


def without(part: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in medvill_state().items() if part not in key}


NAMED = {"image_encoder": "chexnet121", "image_size": 64}


@pytest.mark.parametrize(
    ("state", "changes", "message"),
    [
        (
            without("layer.1.output.dense"),
            NAMED,
            "pytorch_model.bin: found no tensor for bert.encoder.layer.1.output.dense.bias and 1 more; expected a "
            f"whole MedViLL checkpoint; {TAIL}",
        ),
        (
            without("enc.txt_embeddings"),
            NAMED,
            "pytorch_model.bin: found parts enc, itm, mlm; expected enc.txt_embeddings and enc.encoder; is it a "
            "checkpoint of MedViLL?",
        ),
        (
            state_dict("vit_label"),
            NAMED,
            "pytorch_model.bin: found parts decoder, encoder; expected enc.txt_embeddings and enc.encoder; use "
            "`convert radscribe`",
        ),
        (
            medvill_state(**{"enc.img_embeddings.position_embeddings.weight": torch.zeros(48, 32)}),
            NAMED,
            "pytorch_model.bin: found enc.txt_embeddings.position_embeddings.weight and "
            "enc.img_embeddings.position_embeddings.weight that differ; expected one tensor under both names; " + TAIL,
        ),
        (
            medvill_state(**{"enc.img_embeddings.img_embeddings.bias": torch.zeros(8)}),
            NAMED,
            "pytorch_model.bin: found image_projection.bias of shape (8,); expected (32,), as the others have it; "
            + TAIL,
        ),
        (
            medvill_state(),
            {"image_encoder": "swin"},
            "image_encoder: found 'swin'; expected one of vit, resnet101, chexnet121, bert_vit; correct "
            "`image_encoder`",
        ),
        (
            medvill_state(),
            {"image_encoder": "vit"},
            "MedViLLConfig: found a ViT of width 768 beside a BERT of 32; expected one width, for nothing projects the "
            "one to the other; correct the options",
        ),
        (
            medvill_state(),
            {**NAMED, "image_size": 50},
            "MedViLLConfig: found image_size=50; expected a multiple of 32, the image encoder's stride; correct the "
            "options",
        ),
        (
            medvill_state(),
            {**NAMED, "num_heads": 7},
            "num_heads: found 7; expected a divisor of BERT's width 32; correct `num_heads`",
        ),
        (
            medvill_state(),
            {**NAMED, "mask_mode": "diagonal"},
            "MedViLLConfig: found mask_mode='diagonal'; expected one of full, bar, legacy; correct the options",
        ),
        (
            medvill_state(**{"enc.img_encoder.patch_to_embedding.weight": torch.zeros(40, 3 * 32 * 31)})
            | {"enc.img_encoder.patch_to_embedding.bias": torch.zeros(40)},
            {},
            "pytorch_model.bin: found enc.img_encoder.patch_to_embedding.weight of shape (40, 2976); expected a matrix "
            f"over square patches of 3 channels; {TAIL}",
        ),
        (
            medvill_state(),
            {**NAMED, "image_encoder": "resnet101", "image_weights": tiny_vit().state_dict()},
            "image.pt: found the image encoder vit; expected resnet101; correct `image_encoder` or leave it out",
        ),
        (
            medvill_state(),
            {"image_weights": {"stem.weight": torch.zeros(2)}},
            "image.pt: found parts stem, without features.conv0.weight; expected a DenseNet's features; is it a "
            "checkpoint of DenseNet-121?",
        ),
        (
            medvill_state(),
            {"image_weights": lone_resnet(torchxrayvision_resnet()) | {"conv1.weight": torch.zeros(4, 3, 7, 7)}},
            "image.pt: found image_encoder.resnet.embedder.embedder.convolution.weight of shape (4, 3, 7, 7); expected "
            f"(4, 1, 7, 7), as the others have it; {TAIL}",
        ),
        (
            medvill_state(),
            {
                "image_weights": {
                    key: one for key, one in tiny_vit().state_dict().items() if "layernorm.bias" not in key
                }
            },
            f"image.pt: found no tensor for image_encoder.vit.layernorm.bias; expected a whole image encoder; {TAIL}",
        ),
        (
            medvill_state(),
            {"image_weights": {"vit.embeddings.patch_embeddings.projection.weight": torch.zeros(32, 3, 8, 8)}},
            "image.pt: found no tensor for image_encoder.vit.embeddings.position_embeddings; expected a whole "
            f"checkpoint; {TAIL}",
        ),
    ],
)
def test_refused(state, changes, message, words, tmp_path):
    torch.save(state, tmp_path / "pytorch_model.bin")
    changes = {"image_size": 64, "num_image_embeds": 4} | changes
    if "image_weights" in changes:
        torch.save(changes["image_weights"], tmp_path / "image.pt")
        heads = {"vit_heads": 4} if any("patch_embeddings" in key for key in changes["image_weights"]) else {}
        changes = {**changes, **heads, "image_weights": tmp_path / "image.pt"}
    with pytest.raises(InputError) as error:
        convert(tmp_path / "pytorch_model.bin", tmp_path / "out", **{**words, **OPTIONS, **changes})
    assert str(error.value) == message and not (tmp_path / "out").exists()


def test_a_tokenizer_of_another_vocabulary(medvill_file, tmp_path):
    t5_words().save_pretrained(tmp_path / "t5")
    with pytest.raises(InputError) as error:
        convert(medvill_file, tmp_path / "out", str(tmp_path / "t5"), **OPTIONS, **NAMED)
    assert str(error.value) == (
        "t5: found 100 words; expected 120, as the encoder has embeddings; pass `tokenizer` with the folder or id of "
        "bert-base-uncased"
    )


def test_the_command(capsys, words, medvill_file, tmp_path):
    flags = ["--tokenizer", words["tokenizer"], "--num-heads", 4, "--max-text-tokens", 19, "--image-size", 64]
    flags += ["--image-encoder", "bert_vit"]
    code, printed, _ = run(capsys, "convert", "medvill", medvill_file, "--out", tmp_path / "out", *flags)
    assert code == 0 and printed.splitlines() == [
        f"written: {tmp_path / 'out'} (image encoder bert_vit, 39 tensors loaded)",
        "fresh, to be trained: image_encoder.patches (2)",
        "not carried: enc.pooler (2), mlm (1), itm (1), enc.img_encoder (1)",
        "unexpected keys: none",
    ]
