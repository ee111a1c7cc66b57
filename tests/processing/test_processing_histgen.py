"""The processor of HistGen: slides, feature files and arrays in, bags and ids out."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoProcessor

from hf_medreport.processing.feature_files import PatchFeatures, write_features
from hf_medreport.processing.image_processing_tile import TileImageProcessor
from hf_medreport.processing.input_error import InputError
from hf_medreport.processing.processing_histgen import HistGenProcessor
from hf_medreport.registry import system
from tests.tiny import save_tiny, tiny_patch_encoder, tiny_processor, tiny_tokenizer, tissue_array

ROW = system("histgen")


def bag(patches: int, width: int = 16) -> PatchFeatures:
    features = np.random.default_rng(patches).normal(size=(patches, width)).astype(np.float32)
    return PatchFeatures(features, np.zeros((patches, 2), np.int64), {"slide": "x"})


def test_a_slide_is_tiled_and_encoded(tmp_path):
    Image.fromarray(tissue_array()).save(tmp_path / "slide.png")
    inputs = tiny_processor(ROW)(str(tmp_path / "slide.png"))
    assert inputs["patch_features"].shape == (1, 16, 16)  # 64 px a side, tiles of 16, all tissue
    picture = tissue_array()
    first = tiny_patch_encoder().encode(picture[None, :16, :16], TileImageProcessor(patch_px=16, size=16))
    torch.testing.assert_close(inputs["patch_features"][0, 0], torch.from_numpy(first[0]))


def test_feature_files_arrays_and_several_slides(tmp_path):
    write_features(tmp_path / "a.safetensors", bag(5))
    torch.save(torch.from_numpy(bag(2).features), tmp_path / "b.pt")
    processor = tiny_processor(ROW)
    case = {"slides": [str(tmp_path / "a.safetensors"), tmp_path / "b.pt"]}
    inputs = processor([case, bag(3), bag(4).features, torch.from_numpy(bag(1).features)])
    # Regions hold 3 patches: the 5 of the first slide are padded to 6 before the 2 of the second.
    assert inputs["patch_attention_mask"].tolist() == [
        [1, 1, 1, 1, 1, 0, 1, 1],
        [1, 1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [1, 0, 0, 0, 0, 0, 0, 0],
    ]
    assert np.array_equal(inputs["patch_features"][0, 6:].numpy(), bag(2).features)
    assert inputs["patch_features"][0, 5].abs().sum() == 0


def test_reports_become_labels_and_prompts():
    processor, words = tiny_processor(ROW), tiny_tokenizer()
    labels = processor([bag(2), bag(2)], text_target=["ab", "abcd"], max_length=4)["labels"]
    a = words("a")["input_ids"][0]
    assert labels.tolist() == [[a, a + 1, 0, -100], [a, a + 1, a + 2, a + 3]]  # a cut report does not end
    prompts = processor(text=["ab", "c"])
    assert prompts["decoder_input_ids"].tolist() == [[0, a, a + 1], [0, 0, a + 2]]
    assert prompts["decoder_attention_mask"].tolist() == [[1, 1, 1], [0, 1, 1]]


def test_the_patch_encoder_travels_with_the_folder(tmp_path):
    folder = save_tiny(ROW, tmp_path / "model")
    assert (folder / "patch_encoder" / "model.safetensors").is_file()
    again = AutoProcessor.from_pretrained(folder, trust_remote_code=True)
    picture = Image.fromarray(tissue_array())
    expected = tiny_processor(ROW)(picture)["patch_features"]
    assert torch.equal(again(picture)["patch_features"], expected)
    again.save_pretrained(tmp_path / "copy")  # from where it came, loaded or not
    assert (tmp_path / "copy" / "patch_encoder" / "config.json").is_file()


def test_resolution_for_slides_that_do_not_say():
    processor = tiny_processor(ROW)
    processor.image_processor = TileImageProcessor(patch_px=16, mpp=1.0, size=16, tissue="otsu")
    picture = Image.fromarray(tissue_array())
    assert processor(picture, slide_mpp=0.5)["patch_features"].shape[1] == 4
    with pytest.raises(InputError, match="`slide_mpp`"):
        processor(picture)


def learned(**kind) -> HistGenProcessor:
    """A processor whose model learned from its own encoder's tiles."""
    processor = tiny_processor(ROW)
    processor.learned_from = {"encoder_revision": [processor.patch_encoder.revision], "patch_px": [16], **kind}
    return processor


def made(patches: int = 3, **info) -> PatchFeatures:
    return PatchFeatures(bag(patches).features, None, {"slide": "x.svs", **info})


def test_what_the_model_learned_from_travels_and_holds_every_bag(tmp_path, caplog):
    processor = learned(mpp=[0.5, 0.5])
    processor.save_pretrained(tmp_path)
    again = AutoProcessor.from_pretrained(tmp_path, trust_remote_code=True)
    assert again.learned_from == processor.learned_from
    own = {"encoder_revision": processor.patch_encoder.revision, "patch_px": "16", "mpp": "0.5"}
    assert processor([made(**own)])["patch_features"].shape == (1, 3, 16) and caplog.messages == []
    for key, value in {"encoder_revision": "bb", "patch_px": "32", "mpp": "1"}.items():
        with pytest.raises(InputError, match=f"^x.svs: found features of {key} {value}; expected {key} "):
            processor({"slides": [made(**own), made(**own | {key: value})]})
        assert processor([made(**own | {key: value})], allow_foreign_features=True)["patch_features"].shape == (
            1,
            3,
            16,
        )


def test_what_a_file_does_not_say_is_told_once(tmp_path, caplog):
    torch.save(torch.from_numpy(bag(2).features), tmp_path / "b.pt")
    processor = learned()
    for _ in range(3):
        processor([tmp_path / "b.pt", bag(3)])
    assert caplog.messages == [
        "b.pt: whether these features are of the model's kind is not known: it does not say encoder_revision, patch_px "
        "(told once)"
    ]
    caplog.clear()
    silent = tiny_processor(ROW)
    silent([made(encoder_revision="aa"), bag(3)])
    assert caplog.messages == [
        "x.svs: whether these features are of the model's kind is not known: the model does not say from which it "
        "learned (told once)"
    ]


def test_bags_of_one_case_are_held_to_each_other():
    processor = tiny_processor(ROW)
    bags = [made(encoder_revision="aa"), made(encoder_revision="bb")]
    processor(bags)  # two cases, of a model that does not say
    with pytest.raises(InputError, match="found features of encoder_revision bb; expected encoder_revision aa, as the"):
        processor({"slides": bags})
    assert processor({"slides": bags}, allow_foreign_features=True)["patch_features"].shape == (1, 6, 16)


def test_another_patch_encoder_than_the_model_learned_with():
    processor, picture = learned(), Image.fromarray(tissue_array())
    processor(picture)
    processor.learned_from["encoder_revision"] = ["bb"]
    with pytest.raises(InputError, match=r"^picture: .*; use the model's own patch_encoder/ and tile settings, "):
        processor(picture)
    assert processor(picture, allow_foreign_features=True)["patch_features"].shape == (1, 16, 16)
    processor = learned()
    processor.image_processor = TileImageProcessor(patch_px=32, level=0, size=16, tissue="otsu")
    with pytest.raises(InputError, match="^picture: found features of patch_px 32; expected patch_px 16, which the"):
        processor(picture)


def no_encoder() -> HistGenProcessor:
    return HistGenProcessor(TileImageProcessor(patch_px=16, size=16, tissue="otsu"), tiny_tokenizer(), 4)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([], "images: found no slide; expected one or more; pass at least one slide or feature file"),
        ({"slides": []}, "case: found no slide; expected one or more; pass at least one slide or feature file"),
        (
            {"lateral": "x"},
            "case: found keys ['lateral']; expected {'slides': [slide, ...]}; name the slides of the case",
        ),
        (
            {"slides": "a", "images": "b"},
            "case: found keys ['images', 'slides']; expected {'slides': [slide, ...]}; name the slides of the case",
        ),
        (
            [bag(2), bag(2, width=8)],
            "images: found features of widths 8, 16; expected one width; encode all slides with one patch encoder",
        ),
        (
            Image.fromarray(tissue_array()),
            "slide: found a slide, and no patch_encoder/ beside the model to encode it; expected the patch encoder "
            "that the model was trained with; give a feature file, or put the encoder into patch_encoder/ "
            "(hf-medreport convert dinov2)",
        ),
        (
            np.zeros((4, 4, 4, 4), np.uint8),
            "picture: found an array of shape (4, 4, 4, 4) and uint8; expected uint8 (height, width, 3); convert it to "
            "8-bit RGB",
        ),
    ],
)
def test_refused(images, message):
    with pytest.raises(InputError) as error:
        no_encoder()(images)
    assert str(error.value) == message


def test_counts_that_differ():
    with pytest.raises(InputError) as error:
        tiny_processor(ROW)([bag(2)], text_target=["a", "b"])
    assert str(error.value) == "text_target: found 2 for 1 cases; expected one a case; give as many as cases"
