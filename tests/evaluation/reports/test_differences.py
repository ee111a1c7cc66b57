"""Word by word: what one text has and the other lacks."""

from hypothesis import given
from hypothesis import strategies as st

from hf_medreport.evaluation.reports.differences import MAX_WORDS, differences


def test_a_changed_word_is_marked_on_both_sides():
    given_, said = differences("No effusion. Clear left lung.", "no effusion, clear right lung")
    assert given_ == [("No effusion. Clear", False), (" left", True), (" lung.", False)]
    assert said == [("no effusion, clear", False), (" right", True), (" lung", False)]


def test_an_empty_text():
    assert differences("Clear lungs.", "") == ([("Clear lungs.", True)], [])


def test_a_long_text_is_cut():
    long = " ".join(["word"] * (MAX_WORDS + 7))
    assert differences(long, "word")[0][-1] == (" ... (7 more words)", False)


@given(st.text(alphabet="ab. \n", max_size=60), st.text(alphabet="ab. \n", max_size=60))
def test_no_word_is_lost(reference, prediction):
    for text, runs in zip((reference, prediction), differences(reference, prediction), strict=True):
        assert "".join(words for words, _ in runs) == text.rstrip()
    assert not any(lacking for run in differences(reference, reference) for _, lacking in run)
