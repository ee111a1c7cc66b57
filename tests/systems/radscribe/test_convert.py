"""Checkpoints of RadScribe, converted."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.radscribe.convert import convert, read_radscribe
from tests.cli.test_cli import run
from tests.modeling.radscribe_golden import CASES, OPTIONS, inputs, options, state_dict, vector
from tests.systems.radscribe.words import bert_words, t5_words, word_folders
from tests.tiny import film_array

T5_ENCODER = 2 * 8 + 2  # a layer's eight matrices and norms, the relative positions and the last norm
NOT_CARRIED = {"decoder.t5.encoder": T5_ENCODER}


@pytest.fixture
def words(tmp_path):
    return word_folders(tmp_path)


@pytest.fixture
def golden_file(tmp_path):
    save_file(state_dict("vit_label"), tmp_path / "c.safetensors")
    return tmp_path / "c.safetensors"


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_the_golden_checkpoints_give_the_golden_logits(case, words, tmp_path):
    save_file(state_dict(case), tmp_path / "c.safetensors")
    result = convert(tmp_path / "c.safetensors", tmp_path / "out", **words, **options(case))
    assert result["unexpected"] == [] and result["image_encoder"] == case.split("_")[0]
    pooler = {"encoder.img_encoder.model.pooler": 2} if case.startswith("vit") else {}
    assert result["not_carried"] == NOT_CARRIED | pooler
    told = case.endswith("_label")
    assert result["label_mode"] == ("oracle" if told else "none")
    assert result["encoder"]["num_label_layers"] == (3 if told else 0)
    side = 64 if case.startswith("vit") else 128
    assert (result["encoder"]["image_size"], result["encoder"]["num_image_embeds"]) == (side, 16)
    assert result["decoder"] == {"vocab_size": 100, "d_model": 32, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    model = AutoModelForImageTextToText.from_pretrained(tmp_path / "out", trust_remote_code=True).eval()
    seen = model.encoder(**inputs(case, "legacy"))
    logits = model(encoder_outputs=seen, labels=vector("in", "labels")).logits
    kept = vector("in", "labels") != -100
    assert (logits - vector(case, "logits"))[kept].abs().max() < 2e-3

    processor = AutoProcessor.from_pretrained(tmp_path / "out", trust_remote_code=True)
    batch = processor({"frontal": film_array(), **({"labels": []} if told else {})})
    assert batch["pixel_values"].shape == (1, 3, side, side)
    ids = model.generate(**batch, max_new_tokens=3)
    assert ids[0, 0] == 0 and model.generation_config.max_new_tokens == 128


def test_a_training_checkpoint_tells_what_no_shape_does(words, tmp_path):
    state = {f"module.{key}": value.half() for key, value in state_dict("chexnet121_label").items()}
    configs = {"img_size": 128, "num_image_embeds": 9, "seq_len": 19, "img_encoder": "chexnet121", "use_amp": True}
    whole = {"model": state, "optimizer": {"state": {}}, "scheduler": {}, "step": 7, "epoch": 1, "configs": configs}
    torch.save(whole, tmp_path / "train_checkpoint_epoch_1_step_7.pt")
    result = convert(tmp_path / "train_checkpoint_epoch_1_step_7.pt", tmp_path / "out", **words, num_heads=4)
    sizes = {"image_size": 128, "num_image_embeds": 9, "max_text_tokens": 19, "num_label_layers": 3}
    assert result["encoder"] == sizes and result["image_encoder_sizes"]["growth_rate"] == 4
    stronger = {"num_image_embeds": 16, "max_text_tokens": 5, "num_heads": 4}
    model, _ = read_radscribe(tmp_path / "train_checkpoint_epoch_1_step_7.pt", **stronger)
    assert (model.config.encoder.num_image_embeds, model.config.encoder.max_text_tokens) == (16, 5)
    assert model.config.encoder.image_size == 128 and model.dtype == torch.float32


def test_names_that_are_not_known_are_reported(words, golden_file):
    state = state_dict("vit_label")
    state["encoder.txt_embeddings.position_ids"] = torch.arange(48)[None]
    state["encoder.img_encoder.classifier.weight"] = torch.zeros(2)
    state["label_head.weight"] = torch.zeros(2)
    save_file(state, golden_file)
    result = convert(golden_file, golden_file.parent / "out", **words, **options("vit"))
    assert result["unexpected"] == ["encoder.img_encoder.classifier.weight", "label_head.weight"]
    assert result["not_carried"]["position_ids"] == 1


def test_a_gated_decoder(golden_file):
    state = state_dict("vit_nolabel")
    for key in [key for key in state if ".wi.weight" in key]:
        up = state.pop(key)
        state |= {key.replace("wi", "wi_0"): up, key.replace("wi", "wi_1"): up.clone()}
    save_file(state, golden_file)
    model, _ = read_radscribe(golden_file, **options("vit"))
    assert model.config.decoder.is_gated_act and model.config.decoder.d_ff == 64


class Bottleneck(nn.Module):
    """A block of torchxrayvision's ResNet: torchvision's, and a ReLU before the shortcut is added."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.downsample = None
        if channels != 4 * width:
            shortcut = nn.Conv2d(channels, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(4 * width))

    def forward(self, hidden):
        answer = self.bn1(self.conv1(hidden)).relu()
        answer = self.bn2(self.conv2(answer)).relu()
        answer = self.bn3(self.conv3(answer)).relu()
        return (answer + (hidden if self.downsample is None else self.downsample(hidden))).relu()


def torchxrayvision_resnet() -> nn.Sequential:
    """The first seven children of its autoencoder, tiny, with statistics of their own."""
    torch.manual_seed(0)
    stages = [
        nn.Sequential(Bottleneck(first, width, stride), Bottleneck(4 * width, width, 1))
        for first, width, stride in ((4, 2, 1), (8, 4, 2), (16, 6, 2))
    ]
    stem = nn.Conv2d(1, 4, 7, 2, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    net = nn.Sequential(*stem, *stages).eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return net


def lone_resnet(net: nn.Sequential) -> dict[str, torch.Tensor]:
    """Its state as the library names it, with what lies after the third stage."""
    names = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3"}
    state = {f"{names[key[0]]}{key[1:]}": value for key, value in net.state_dict().items()}
    return state | {"layer4.0.conv1.weight": torch.zeros(2), "uplayer1.0.bn1.weight": torch.zeros(2)}


def resnet_state(**changes) -> dict[str, torch.Tensor]:
    """The golden checkpoint, with a ResNet in place of its DenseNet."""
    state = {key: value for key, value in state_dict("chexnet121_label").items() if "img_encoder" not in key}
    net = nn.Sequential(*torchxrayvision_resnet(), nn.Conv2d(24, 40, 1))
    state |= {f"encoder.img_encoder.model.{key}": one for key, one in net.state_dict().items()}
    return state | changes


@torch.no_grad()
def test_a_resnet_is_torchxrayvisions(golden_file):
    save_file(resnet_state(), golden_file)
    model, renamed = read_radscribe(golden_file, image_size=128, **OPTIONS)
    assert renamed.unexpected == [] and model.config.encoder.image_encoder == "resnet101"
    films = torch.randn(2, 3, 128, 128)
    net = torchxrayvision_resnet()
    conv = model.encoder.image_encoder.conv
    expected = nn.functional.max_pool2d(conv(net(films.mean(1, keepdim=True))), 2).flatten(2).transpose(1, 2)
    found, _ = model.encoder.image_features(films)
    assert found.shape == (2, 16, 40) and (found - expected).abs().max() < 1e-4


def broken(drop: str = "", case: str = "vit_label", **changes) -> dict[str, torch.Tensor]:
    state = {key: value for key, value in state_dict(case).items() if not drop or not key.startswith(drop)}
    return {**state, **{key.replace("__", "."): value for key, value in changes.items()}}


PATCHES = "encoder.img_encoder.model.embeddings.patch_embeddings"
CNN = {"image_size": 128}
VIT_POSITIONS = {"encoder.img_encoder.model.embeddings.position_embeddings": torch.zeros(1, 18, 32)}
TAIL = "use the file as the training saved it"


@pytest.mark.parametrize(
    ("state", "changes", "message"),
    [
        (
            broken("encoder.encoder.layer.1.output"),
            {},
            "c.safetensors: found no tensor for encoder.bert.encoder.layer.1.output.LayerNorm.bias and 3 more; "
            f"expected a whole RadScribe checkpoint; {TAIL}",
        ),
        (
            broken("encoder.txt_embeddings.word"),
            {},
            "c.safetensors: found no tensor for bert.embeddings.word_embeddings.weight; expected a whole checkpoint; "
            f"{TAIL}",
        ),
        (
            broken("encoder.encoder.layer.0"),
            {},
            "c.safetensors: found no bert.encoder.layer.0 before bert.encoder.layer.1; expected all layers from 0 on; "
            f"{TAIL}",
        ),
        (
            {"enc.txt_embeddings.word_embeddings.weight": torch.zeros(2, 2), "itm.linear.weight": torch.zeros(2)},
            {},
            "c.safetensors: found parts enc, itm; expected encoder and decoder.t5; use `convert medvill`",
        ),
        (
            {"transformer.wte.weight": torch.zeros(2, 2)},
            {},
            "c.safetensors: found parts transformer; expected encoder and decoder.t5; is it a checkpoint of RadScribe?",
        ),
        (
            broken(),
            {"image_encoder": "chexnet121"},
            "c.safetensors: found the image encoder vit; expected chexnet121; correct `image_encoder` or leave it out",
        ),
        (
            resnet_state(**{"encoder.img_encoder.model.7.0.conv1.weight": torch.zeros(2, 2, 1, 1)}),
            CNN,
            "c.safetensors: found a ResNet of four stages; expected one of vit, chexnet121, resnet101; is it a "
            "checkpoint of RadScribe?",
        ),
        (
            broken("encoder.img_encoder"),
            {},
            "c.safetensors: found no image encoder that is known; expected one of vit, chexnet121, resnet101; is it a "
            "checkpoint of RadScribe?",
        ),
        (
            broken(decoder__t5__lm_head__weight=torch.zeros(100, 32)),
            {},
            "c.safetensors: found decoder.t5.lm_head.weight and decoder.t5.decoder.embed_tokens.weight that differ; "
            f"expected one tensor under both names; {TAIL}",
        ),
        (
            broken(encoder__img_embeddings__LayerNorm__weight=torch.zeros(32)),
            {},
            "c.safetensors: found encoder.txt_embeddings.LayerNorm.weight and encoder.img_embeddings.LayerNorm.weight "
            f"that differ; expected one tensor under both names; {TAIL}",
        ),
        (
            broken(encoder__class_transform_layer__weight=torch.zeros(32, 16)),
            {},
            "c.safetensors: found encoder.class_projection.weight of shape (32, 16); expected (32, 32), as the others "
            f"have it; {TAIL}",
        ),
        (
            broken(decoder__t5__shared__weight=torch.zeros(100)),
            {},
            "c.safetensors: found decoder.t5.shared.weight and decoder.t5.decoder.embed_tokens.weight that differ; "
            f"expected one tensor under both names; {TAIL}",
        ),
        (
            broken(**VIT_POSITIONS),
            {},
            f"c.safetensors: found 17 positions of the ViT; expected a square number; {TAIL}",
        ),
        (
            broken(**{f"{PATCHES}.projection.weight": torch.zeros(32)}),
            {},
            "c.safetensors: found image_encoder.vit.embeddings.patch_embeddings.projection.weight of shape (32,); "
            f"expected 4 axes; {TAIL}",
        ),
        (
            broken(),
            {"vit_heads": 5},
            "vit_heads: found 5; expected a divisor of the ViT's width 32; correct `vit_heads`",
        ),
        (
            broken(),
            {"num_heads": None},
            "c.safetensors: found BERT of width 32; expected a published one (128, 256, 512, 768, 1024); "
            "pass `num_heads`, as it was trained: no tensor tells it",
        ),
        (
            broken(),
            {"image_size": 512},
            "image_size: found 512; expected 64, as the checkpoint's layer over tokens has it; leave out `image_size`",
        ),
        (
            broken(case="chexnet121_label"),
            {"image_size": 100, "vit_heads": None},
            "MedViLLConfig: found image_size=100; expected a multiple of 32, the image encoder's stride; correct the "
            "options",
        ),
        (
            broken(case="chexnet121_label"),
            {"image_size": 128, "num_image_embeds": 17, "vit_heads": None},
            "MedViLLConfig: found num_image_embeds=17; expected at most 16, the places of a film of 128 px; correct "
            "the options",
        ),
        (
            broken(),
            {"max_text_tokens": 48},
            "MedViLLConfig: found max_text_tokens=48; expected 1 to 47, BERT's positions; correct the options",
        ),
        (
            broken(),
            {"mask_mode": "causal"},
            "MedViLLConfig: found mask_mode='causal'; expected one of full, bar, legacy; correct the options",
        ),
        (
            broken(),
            {"max_distance": 4},
            "max_distance: found 4; expected more than 4, half of the checkpoint's buckets; correct `max_distance`",
        ),
    ],
)
def test_refused(state, changes, message, words, golden_file):
    save_file({key: value.contiguous() for key, value in state.items()}, golden_file)
    with pytest.raises(InputError) as error:
        convert(golden_file, golden_file.parent / "out", **{**words, **options("vit"), **changes})
    assert str(error.value) == message and not (golden_file.parent / "out").exists()


T5_REMEDY = "pass `tokenizer` with the folder or id of the T5 that was trained"
BERT_REMEDY = "pass `label_tokenizer` with the folder or id of bert-base-uncased"


@pytest.mark.parametrize(
    ("option", "given", "message"),
    [
        (
            "tokenizer",
            bert_words(),
            f"given: found 120 words; expected those of the decoder's 100 embeddings; {T5_REMEDY}",
        ),
        (
            "label_tokenizer",
            t5_words(),
            f"given: found 100 words; expected 120, as the encoder has embeddings; {BERT_REMEDY}",
        ),
        (
            "tokenizer",
            t5_words(marks={0: "</s>", 1: "<pad>", 2: "<unk>"}),
            f"given: found padding 1 and end 0; expected 0 and 1, as T5 has them; {T5_REMEDY}",
        ),
        (
            "label_tokenizer",
            bert_words(marks={0: "[PAD]", 1: "[UNK]", 2: "[CLS]", 3: "[SEP]", 4: "[MASK]"}),
            "given: found [CLS], [SEP] and [PAD] as 2, 3 and 0; expected [CLS], [SEP] and [PAD] as 101, 102 and 0; "
            + BERT_REMEDY,
        ),
        ("tokenizer", None, f"given: found no tokenizer; expected a folder or id; {T5_REMEDY}"),
        ("label_tokenizer", None, f"given: found no tokenizer; expected a folder or id; {BERT_REMEDY}"),
    ],
)
def test_refused_tokenizers(option, given, message, words, golden_file):
    folder = golden_file.parent / "given"
    if given is not None:
        given.save_pretrained(folder)
    with pytest.raises(InputError) as error:
        convert(golden_file, golden_file.parent / "out", **{**words, **options("vit"), option: str(folder)})
    assert str(error.value) == message and not (golden_file.parent / "out").exists()


def test_the_published_tokenizers_are_asked_for_where_they_are_not_at_hand(golden_file, monkeypatch):
    asked = []

    def offline(name):
        asked.append(name)
        raise OSError("We couldn't connect")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", offline)
    with pytest.raises(InputError) as error:
        convert(golden_file, golden_file.parent / "out", **options("vit"))
    assert str(error.value) == f"bert-base-uncased: found no tokenizer; expected a folder or id; {BERT_REMEDY}"
    assert asked == ["google-bert/bert-base-uncased"]


class Surprise:
    """An object whose unpickling would leave a trace."""

    def __reduce__(self):
        return (open, ("executed.txt", "w"))


def test_files_that_are_no_checkpoint(words, golden_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": {}, "configs": Surprise()}, tmp_path / "pickle.pt")
    (tmp_path / "short.safetensors").write_bytes(golden_file.read_bytes()[:5000])
    for name, message in {
        "pickle.pt": "pickle.pt: found objects besides tensors; expected a state dict saved by torch.save; save "
        "model.state_dict() only",
        "short.safetensors": "short.safetensors: found broken safetensors; expected a complete file; copy it again",
    }.items():
        with pytest.raises(InputError) as error:
            convert(tmp_path / name, tmp_path / "out", **words, **options("vit"))
        assert str(error.value) == message and not (tmp_path / "executed.txt").exists()


def test_the_command(capsys, words, golden_file):
    out = golden_file.parent / "out"
    flags = ["--num-heads", 4, "--vit-heads", 4, "--max-distance", 20, "--max-text-tokens", 19]
    folders = ["--tokenizer", words["tokenizer"], "--label-tokenizer", words["label_tokenizer"]]
    code, printed, _ = run(capsys, "convert", "radscribe", golden_file, "--out", out, *flags, *folders)
    assert code == 0 and printed.splitlines() == [
        f"written: {out} (image encoder vit, labels oracle)",
        f"not carried: decoder.t5.encoder ({T5_ENCODER}), encoder.img_encoder.model.pooler (2)",
        "unexpected keys: none",
        "this model is given labels that RadScribe takes from the very report it is to write",
    ]
    wrong = ["--image-encoder", "resnet101"]
    code, _, err = run(capsys, "convert", "radscribe", golden_file, "--out", out, *flags, *folders, *wrong)
    assert code == 2 and err.startswith("c.safetensors: found the image encoder vit; expected resnet101; ")
