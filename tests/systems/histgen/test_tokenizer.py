"""HistGen's tokenizer: equal to what the original made of seven reports, and to its rules stated in plain Python."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from hf_medreport.processing.input_error import InputError
from hf_medreport.systems.histgen.tokenizer import (
    cleaning,
    legacy_tokenizer,
    legacy_vocabulary,
    placeholder_vocabulary,
    read_vocabulary,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "histgen" / "tokenizer.json"
golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
REPORTS = {record["id"]: record["report"] for part in golden["annotation"].values() for record in part}


def stated(text: str) -> str:
    """The cleaning as the specification words it."""
    text = text.replace("\n", " ")
    for doubled in ("__", "  ", ".."):
        while doubled in text:
            text = text.replace(doubled, doubled[0])
    text = text.replace("1. ", "")
    for start in (". ", " "):
        for number in range(2, 6):
            text = text.replace(f"{start}{number}. ", ". ")
    pieces = []
    for piece in text.strip().lower().split(". "):
        for mark in "\"/\\'":
            piece = piece.replace(mark, "")
        pieces.append("".join(c for c in piece.strip() if c not in ".,?;*!%^&_+()[]{}" and not ":" <= c <= "["))
    return " . ".join(pieces) + " ."


NASTY = st.text(st.sampled_from("aAzZΣσİµ 12345.\n\t_\"'/\\:;<=>?@[]{}()%^&*+-,!|~\x1c\x85\u2028\ue000"), min_size=1)
ANY = st.text(st.characters(exclude_categories=["Cs", "Cn"]), min_size=1)


@pytest.mark.parametrize("name", REPORTS)
def test_text_and_ids_equal_the_originals(name):
    tokenizer = legacy_tokenizer(golden["token2idx"])
    ids = tokenizer(REPORTS[name])["input_ids"]
    assert cleaning().normalize_str(REPORTS[name]) == golden["cleaned"][name] == stated(REPORTS[name])
    assert ids[:100] == golden["ids"][name]
    assert tokenizer.decode(ids, skip_special_tokens=True) == golden["decoded"][name]


def test_vocabulary_equals_the_originals():
    train = [record["report"] for record in golden["annotation"]["train"]]
    assert legacy_vocabulary(train, golden["threshold"]) == golden["token2idx"]
    assert list(legacy_vocabulary(train, golden["threshold"])) == list(golden["token2idx"])


@settings(max_examples=300, deadline=None)
@given(st.one_of(NASTY, ANY))
@example("1. ")
@example(" \n ")
@example("ΑΣ ΑΣΣ. Α.Σ Σ")
@example('a. 2. 3. b 1. 4. c. . d." e 5. ')
@example("a <|endoftext|> b <unk> c")
def test_words_equal_the_rules_for_any_text(text):
    words = stated(text).split()
    assert cleaning().normalize_str(text).split() == words
    tokenizer = legacy_tokenizer(legacy_vocabulary([text], 1))
    ids = tokenizer(text)["input_ids"]
    assert ids[0] == ids[-1] == 0 and 0 not in ids[1:-1]
    assert tokenizer.decode(ids, skip_special_tokens=True) == " ".join(words)


@settings(max_examples=50, deadline=None)
@given(st.lists(NASTY, max_size=5), st.integers(1, 3))
def test_vocabulary_is_what_occurs_often_enough_in_order(reports, threshold):
    counts = Counter(word for report in reports for word in stated(report).split())
    words = sorted({word for word in counts if counts[word] >= threshold} | {"<unk>"})
    assert legacy_vocabulary(reports, threshold) == dict(zip(words, range(1, len(words) + 1), strict=True))


def test_a_long_report_loses_its_closing_0_with_the_line_of_the_docstring():
    ids = legacy_tokenizer({"<unk>": 1, "a": 2}, max_length=100)("a " * 200)["input_ids"][:100]
    assert ids == [0] + [2] * 99


def test_the_saved_folder_needs_no_code_of_ours(tmp_path):
    tokenizer = legacy_tokenizer(golden["token2idx"], max_length=60)
    tokenizer.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.py"))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    texts = [*REPORTS.values(), "<|endoftext|> grade 1.5 ΣΑΣ <unk>"]
    assert loaded(texts)["input_ids"] == tokenizer(texts)["input_ids"]
    assert loaded.batch_decode(tokenizer(texts)["input_ids"], skip_special_tokens=True)[:-1] == [
        *golden["decoded"].values()
    ]
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id, loaded.model_max_length) == (0, 0, 0, 60)
    assert read_vocabulary(tmp_path, 17) == read_vocabulary(tmp_path / "tokenizer.json") == golden["token2idx"]


def test_vocabulary_is_read_from_the_originals_files(tmp_path):
    (tmp_path / "annotation.json").write_text(json.dumps(golden["annotation"]))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"token2idx": golden["token2idx"]}))
    assert read_vocabulary(tmp_path / "annotation.json", 17) == golden["token2idx"]
    assert read_vocabulary(tmp_path / "annotation.json", 1) == {"<unk>": 1}
    (tmp_path / "marked.json").write_text("\ufeff" + json.dumps(golden["annotation"]), encoding="utf-8")  # by Windows
    assert read_vocabulary(tmp_path / "marked.json", 17) == golden["token2idx"]
    assert read_vocabulary(tmp_path / "annotation.json") == {"<unk>": 2, ".": 1}  # 10 times or more: the stops
    assert read_vocabulary(tmp_path / "tokenizer.json", 17) == golden["token2idx"]


def test_placeholders_show_ids():
    tokenizer = legacy_tokenizer(placeholder_vocabulary(3))
    assert tokenizer.decode([0, 3, 1, 2, 0, 0], skip_special_tokens=True) == "<3> <1> <2>"


WHAT = "expected HistGen's annotation.json or a tokenizer.json"
UNKNOWN_WORDS = {"a": 1, "<unk>": 2}
BAD = {
    "missing": (None, None, f"v.json: found no such file; {WHAT}; check the path"),
    "truncated": ('{"token2idx": {"a"', None, f"v.json: found broken JSON (line 1); {WHAT}; copy the file again"),
    "another encoding": (
        b'{"caf\xe9": 1}',
        None,
        f"v.json: found broken JSON (not UTF-8); {WHAT}; copy the file again",
    ),
    "a list": ([1], None, f"v.json: found list; {WHAT}; copy the file again"),
    "something else": (
        {"model": "gpt"},
        None,
        f"v.json: found neither 'train' nor 'token2idx' nor a vocabulary; {WHAT}; name another file",
    ),
    "ids with a gap": (
        {"token2idx": {"a": 1, "<unk>": 3}},
        None,
        "v.json: found ids with gaps, repeats or no numbers; expected 1, 2, 3 ...; write the file again",
    ),
    "an id that is text": (
        {"token2idx": {"a": "1", "<unk>": 1}},
        None,
        "v.json: found ids with gaps, repeats or no numbers; expected 1, 2, 3 ...; write the file again",
    ),
    "no unknown word": (
        {"token2idx": {"a": 1}},
        None,
        "v.json: found no '<unk>'; expected a vocabulary with '<unk>'; name the original's file",
    ),
    "another size": (
        {"token2idx": UNKNOWN_WORDS},
        5,
        "v.json: found 2 words; expected 5 as in the checkpoint; name its own file",
    ),
    "an annotation of another size": (
        {"train": [{"report": "a b b"}]},
        10,
        "v.json: found 4 words with threshold 1, the nearest; expected 10 as in the checkpoint"
        "; name the annotation file that it was trained on",
    ),
    "an annotation without reports": (
        {"train": [{"report": "a"}, {"text": "b"}]},
        None,
        "v.json, train, record 2: found no text in 'report'; expected a report; mend the record",
    ),
    "an annotation that is a table": (
        {"train": {"id": "a"}},
        None,
        "v.json, train: found a dict; expected a list of records; mend the file",
    ),
}


@pytest.mark.parametrize(("content", "size", "message"), BAD.values(), ids=BAD)
def test_bad_vocabularies_are_named(tmp_path, content, size, message):
    path = tmp_path / "v.json"
    if content is not None:
        text = content if isinstance(content, str | bytes) else json.dumps(content)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        read_vocabulary(path, size)
