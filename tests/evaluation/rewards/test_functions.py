"""Rewards as TRL calls them."""

import doctest

import pytest

from hf_medreport.evaluation.registry import metric
from hf_medreport.evaluation.rewards import completion_text, functions, report_reward
from hf_medreport.evaluation.text.cider import document_frequencies
from hf_medreport.processing.input_error import InputError

SAID, TRUE = ["Clear lungs.", "Mass.", "Small effusion."], ["Clear lungs.", None, "Large effusion."]


def test_the_docstring_example():
    assert doctest.testmod(functions).attempted and not doctest.testmod(functions).failed


def test_a_row_without_reference_gets_none():
    reward = report_reward("bleu1", scale=2.0)
    values = reward(prompts=["p"] * 3, completions=SAID, reference=TRUE, trainer_state=None)
    one, two = metric("bleu1")([SAID[0], SAID[2]], [TRUE[0], TRUE[2]]).per_sample
    assert values == [2 * one, None, 2 * two] and reward.__name__ == "bleu1"
    assert reward(prompts=["p"], completions=["x"], reference=[None]) == [None]


def test_conversations_and_other_columns():
    chat = [[{"role": "user", "content": "?"}, {"role": "assistant", "content": text}] for text in SAID]
    parts = [[{"role": "assistant", "content": [{"type": "image"}, {"type": "text", "text": text}]}] for text in SAID]
    plain = report_reward("rougeL")(prompts=[], completions=SAID, reference=TRUE)
    assert report_reward("rougeL", column="report")(prompts=[], completions=chat, report=TRUE) == plain
    assert report_reward("rougeL")(prompts=[], completions=parts, reference=TRUE) == plain
    assert completion_text([]) == ""
    for message in ({"content": None}, {"tool_calls": []}):
        assert completion_text([{"role": "assistant", **message}]) == ""


def test_a_report_is_not_judged_by_its_neighbors():
    with pytest.raises(InputError) as caught:
        report_reward("cider_d")
    assert str(caught.value) == (
        "reward: found 'cider_d' over a batch; expected given document frequencies"
        "; pass frequencies=document_frequencies(...)"
    )
    frequencies = document_frequencies(["Clear lungs today.", "Small left effusion seen.", "Clear heart."])
    reward = report_reward("cider_d", frequencies=frequencies)
    alone = reward(prompts=[], completions=SAID[:1], reference=TRUE[:1])
    assert reward(prompts=[], completions=SAID, reference=TRUE)[0] == pytest.approx(alone[0])


def test_wrong_arguments():
    with pytest.raises(InputError, match="metric bertscore: found no option 'model'; expected an encoder"):
        report_reward("bertscore")
    with pytest.raises(InputError) as caught:
        report_reward("rougeL")(prompts=[], completions=["x"], label=["y"])
    assert str(caught.value) == (
        "reward: found the columns label; expected a column 'reference'; add it to the data set, or give column="
    )
    for options in ({}, {"layer": 3}):
        with pytest.raises(InputError, match="metric bertscore: found no option 'model'"):
            report_reward("bertscore", **options)


@pytest.mark.parametrize("name", ["chexpert_macro_f1", "chexbert5_macro_recall"])
def test_a_macro_figure_is_no_reward(name):
    with pytest.raises(InputError) as caught:
        report_reward(name)
    micro = name.replace("_macro", "")
    assert str(caught.value) == (
        f"reward: found '{name}'; expected a metric that has a value a report; ask for '{micro}'"
    )
    assert metric(micro).per_report


@pytest.mark.parametrize("references", [TRUE[:2], [*TRUE, "x"], []])
def test_a_column_of_another_length(references):
    with pytest.raises(InputError) as caught:
        report_reward("rougeL")(prompts=[], completions=SAID, reference=references)
    assert str(caught.value).startswith(
        f"reward: found {len(references)} in the column 'reference'; expected 3, one for each completion; "
    )


def test_names_and_options():
    assert report_reward().__name__ == "composite" and report_reward("rougeL").__name__ == "rougeL"
    assert report_reward(scale=0.5)(prompts=[""], completions=["?"], reference=["No effusion."]) == [-0.5]
    with pytest.raises(InputError) as caught:
        report_reward("rouge")
    assert str(caught.value).startswith("reward: found 'rouge'; expected one of composite, slide_composite, bleu1, ")
    with pytest.raises(InputError) as caught:
        report_reward(model="folder")
    assert str(caught.value) == "reward: found options model of 'composite'; expected none; leave them out"
    with pytest.raises(InputError) as caught:
        report_reward()(prompts=[""], completions=["x"], reference=["y"], ended=[True, False])
    assert str(caught.value) == (
        "reward: found 2 in the column 'ended'; expected 1, one for each completion; "
        "repeat each row's reference for each of its completions"
    )
