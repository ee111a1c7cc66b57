"""The trained tokenizer gives back what it was given, and can spell every number."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hf_medreport.training.tokenizer import END, train_tokenizer, train_word_pieces

REPORTS = ["Grade 2. Tumor size: 1.5 cm. Nodes 0/3 positive.", "Grade 12 of 2012. 12 of 12 nodes, >= 90%, pT1b."] * 5
SPELLING = train_tokenizer(REPORTS, 400, digits=True)
PLAIN = train_tokenizer(REPORTS, 400)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("1.5 cm, 0/3, grade 2. Margins\n  >= 90% .. µ ½ ٣")
@example(" a  b\t\r\n ")
@example(f"{END} spelled out")
def test_any_text_comes_back_exactly(text):
    for tokenizer in (SPELLING, PLAIN):
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_digits_stand_alone_only_when_asked():
    assert max(sum(c.isdigit() for c in token) for token in SPELLING.get_vocab()) == 1
    assert "Ġ12" in PLAIN.get_vocab()
    assert SPELLING.tokenize("12/345")[:5] == ["1", "2", "/", "3", "4"]


@pytest.mark.parametrize("tokenizer", [SPELLING, PLAIN])
def test_the_end_is_id_0_and_the_vocabulary_no_larger_than_asked(tokenizer):
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (0, 0)
    assert 257 < len(tokenizer) <= 400


def test_a_saved_one_is_the_same(tmp_path):
    SPELLING.save_pretrained(tmp_path)
    text = "Size 3.14 cm, 15/159."
    assert type(SPELLING).from_pretrained(tmp_path)(text)["input_ids"] == SPELLING(text)["input_ids"]


def test_word_pieces_of_a_bert_are_lower_case_and_spell_every_letter():
    pieces = train_word_pieces(["Edema, edema.", "No EDEMA: zx"], 60)
    assert pieces.convert_ids_to_tokens(range(5)) == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert pieces.convert_ids_to_tokens(range(5, 9)) == [",", ".", ":", "a"]  # then the letters, in order
    assert pieces.tokenize("EDEMA, No.") == ["edema", ",", "no", "."] and len(pieces) <= 60
    assert pieces.tokenize("xz") == ["x", "##z"] and pieces.tokenize("q") == ["[UNK]"]


def test_word_pieces_are_the_same_each_time():
    texts = [f"word{letter} {letter * 3}" for letter in "qwertyuiopas"]
    one, other = train_word_pieces(texts, 90), train_word_pieces(iter(texts), 90)
    assert one.get_vocab() == other.get_vocab()
