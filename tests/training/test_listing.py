"""The arguments of a recipe as a list."""

from dataclasses import dataclass, field

import pytest

from hf_medreport.cli.train import listing
from hf_medreport.processing.input_error import InputError
from hf_medreport.training import arguments_of
from hf_medreport.training.listing import Group, groups_of
from hf_medreport.training.recipe import ReportRecipeArguments
from tests.cli.test_cli import run


@dataclass
class Data:
    """The data.

    More of it.
    """

    tables: list[str] = field(default_factory=lambda: ["a"], metadata={"help": "Read."})
    column: str | None = None


@dataclass
class Own(Data):
    """Its own."""

    column: str | None = "text"
    share: float = field(default=0.5, metadata={"help": "Of them. " * 20})


@dataclass
class Training(ReportRecipeArguments):
    """Its training."""

    learning_rate: float = 0.25


def test_arguments_stand_where_they_were_last_said_with_the_default_that_holds():
    assert groups_of((Own,)) == [
        Group("Its own.", [("column", "str", "text", ""), ("share", "float", "0.5", "Of them. " * 20)]),
        Group("The data.", [("tables", "list of str", "['a']", "Read.")]),
    ]


def test_those_of_transformers_stand_last_by_name():
    groups = groups_of((Own, Training))
    assert [group.title for group in groups][2:] == [
        "Its training.",
        "Trainer's arguments with defaults for reports.",
        "Of transformers' trainer.",
    ]
    assert groups[2].arguments == [("learning_rate", "float", "0.25", "")]
    told = {name: default for group in groups[2:] for name, _, default, _ in group.arguments}
    assert told["weight_decay"] == "0.0" and told["lr_scheduler_type"] == "linear" and told["resume"] == "False"
    assert told.keys() == Training.__dataclass_fields__.keys()


def test_a_list_for_a_screen():
    lines = listing(groups_of((Own,))).splitlines()
    assert lines[:2] == ["Its own.", "  --column str  [text]"] and lines[-2:] == [
        "  --tables list of str  [['a']]",
        "      Read.",
    ]
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("asked", [["train", "histgen", "--help"], ["train", "-h", "histgen"]])
def test_the_verb_lists_them(capsys, asked):
    code, out, _ = run(capsys, *asked)
    assert code == 0 and "  --threshold int  [10]" in out and "--annotation str  [none]" in out
    assert "Of transformers' trainer." in out and "--learning_rate float  [5e-05]" in out


def test_without_a_system_the_verb_speaks_of_itself(capsys):
    code, out, _ = run(capsys, "train", "--help")
    assert code == 0 and "Usage:" in out and "radscribe" in out
    code, _, err = run(capsys, "train")
    assert code == 2 and "SYSTEM" in err


def test_of_no_such_system():
    with pytest.raises(InputError, match="system: found 'histgn'; expected one of"):
        arguments_of("histgn")
