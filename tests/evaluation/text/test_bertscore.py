"""BERTScore with a tiny random encoder equals a plain computation, one text at a time."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from hf_medreport.evaluation.text.bertscore import bertscore
from hf_medreport.processing.input_error import InputError
from tests.evaluation.text.cases import WORDS

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LENGTH = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    vocabulary = {word: number for number, word in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")
    torch.manual_seed(0)
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16)
    model = BertModel(BertConfig(vocab_size=len(vocabulary), max_position_embeddings=LENGTH, **sizes)).eval()
    with torch.no_grad():  # far from nearly equal states
        for parameter in model.parameters():
            parameter.mul_(8 if parameter.ndim > 1 else 1)
    path = tmp_path_factory.mktemp("bert") / "tiny-bert"
    model.save_pretrained(path)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(path)
    return path


def plain(folder, said, given, layer):
    """Precision, recall and F1 of two texts, by loops over tokens."""
    model, tokenizer = BertModel.from_pretrained(folder).eval(), PreTrainedTokenizerFast.from_pretrained(folder)

    def states(text):
        ids = tokenizer(text)["input_ids"]
        with torch.no_grad():
            return model(torch.tensor([ids]), output_hidden_states=True).hidden_states[layer][0]

    def share(looking, found):
        best = [max(torch.cosine_similarity(a, b, dim=0).item() for b in found) for a in looking[1:-1]]
        return sum(best) / len(best)

    a, b = states(said), states(given)
    precision, recall = share(a, b), share(b, a)
    return precision, recall, 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("layer", [-1, 1, 0])
def test_equals_a_plain_computation(folder, layer):
    said = ["the heart is normal", "no effusion", "left left left", "größe unheard"]
    references = ["the heart is enlarged", "effusion left right no", "right", "größe 1.5"]
    expected = [plain(folder, *pair, layer) for pair in zip(said, references, strict=True)]
    for batch_size in (1, 3, 32):
        score = bertscore(said, references, model=folder, layer=layer, batch_size=batch_size)
        assert score.per_sample.tolist() == pytest.approx([f1 for _, _, f1 in expected], abs=1e-5)
        assert score.value == pytest.approx(sum(f1 for _, _, f1 in expected) / 4, abs=1e-5)
        assert score.details["precision"] == pytest.approx(sum(p for p, _, _ in expected) / 4, abs=1e-5)
        assert score.details["recall"] == pytest.approx(sum(r for _, r, _ in expected) / 4, abs=1e-5)
    assert f"model tiny-bert, layer {layer}" in score.convention


def test_same_text_is_1_and_an_empty_one_0(folder):
    score = bertscore(["no effusion", "", "no", ""], ["no effusion", "no", "", ""], model=folder)
    assert score.per_sample.tolist() == pytest.approx([1, 0, 0, 0], abs=1e-6)


def test_the_best_of_several_references(folder):
    score = bertscore(["no effusion"], [["heart", "no effusion", "left"]], model=folder)
    assert score.value == pytest.approx(1, abs=1e-6)


def test_long_texts_are_cut_and_counted(folder):
    whole = "the heart is normal no effusion left right enlarged the"  # ten words fit beside two special tokens
    longer = whole + " heart"
    score = bertscore([longer, whole], [whole, whole], model=folder)
    assert score.per_sample.tolist() == pytest.approx([1, 1], abs=1e-6) and score.details["texts_cut"] == 1


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="model: found no config.json in '.*'; expected an encoder's folder"):
        bertscore(["a"], ["a"], model=tmp_path)


def test_a_layer_that_the_model_has_not(folder):
    with pytest.raises(InputError, match="layer: found 3; expected -3 to 2; tiny-bert has 2 layers"):
        bertscore(["a"], ["a"], model=folder, layer=3)
