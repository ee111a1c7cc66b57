"""Errors in the words of the verb that runs."""

import pytest

from hf_medreport.cli.flags import refuse_empty
from hf_medreport.files.items import FILE_IT
from hf_medreport.files.writing import readable
from hf_medreport.inference import loading
from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.processing.input_error import InputError
from tests.cli.test_cli import run


@pytest.fixture
def said(monkeypatch, capsys):
    """What a verb says on stderr of an error that loading its model raises, and its exit code."""

    def run_verb(error: Exception, *arguments: str) -> tuple[int, str]:
        def load(*args, **kwargs):
            raise error

        monkeypatch.setattr(loading, "load", load)
        code, out, err = run(capsys, *arguments)
        assert out == ""
        return code, err

    return run_verb


# verb -> {what the library says: what the verb says}
REPORT = ("report", "film.png")
WORDS = {
    REPORT: {
        "leave out `masks`": "leave out --mask",  # the verb's own name for it
        "give `slide_mpp`, or cut by `level`": "give --slide-mpp",  # report has no level
        "choose `slide_mpp=0.5` or more": "choose --slide-mpp 0.5 or more",
        "pass `trust_remote_code`": "pass --trust-remote-code",
        "crop or reduce it, or raise `max_pixels`": "crop or reduce it",
        "choose another of `images`": "choose another of images",  # by place
        "print it with `as_json`, see `hf-medreport evaluate phantom --json`": (
            "print it with --json, see `hf-medreport evaluate phantom --json`"
        ),
        "no `argument of` that name": "no `argument of` that name",
    },
    ("evaluate", "phantom"): {
        "choose `model=\"histgen-tiny\"` or `labels=''`": "choose --model histgen-tiny or --labels ''",
        "leave out `masks`": "leave out `masks`",
    },
}


@pytest.mark.parametrize(
    ("verb", "remedy", "shown"), [(verb, *pair) for verb, words in WORDS.items() for pair in words.items()]
)
def test_an_argument_is_its_flag(said, verb, remedy, shown):
    error = InputError("film.png", "text", "PNG", remedy)
    assert said(error, *verb) == (2, f"film.png: found text; expected PNG; {shown}\n")


@pytest.mark.parametrize(
    ("name", "shown"), [("slide_mpp", "--slide-mpp"), ("masks", "--mask"), ("images", "images"), ("level", "level")]
)
def test_so_is_what_an_error_is_about(said, name, shown):
    assert said(InputError(name, "none", "one", "give it"), *REPORT) == (
        2,
        f"{shown}: found none; expected one; give it\n",
    )


def test_a_models_error_is_one_line_too(said):
    error = ConfigError("HistGenConfig", "top_k=0", "1 or more", "correct it")
    assert said(error, *REPORT) == (2, "HistGenConfig: found top_k=0; expected 1 or more; correct it\n")


def test_what_nobody_foresaw_is_one_line_too(said):
    assert said(ValueError("a\nbug"), *REPORT) == (1, f"hf-medreport: ValueError: a bug ({FILE_IT})\n")


def test_a_name_with_the_end_of_a_line_does_not_break_one(said):
    error = InputError("a\nb\u2028c.png", "text", "PNG", "give it")
    assert said(error, *REPORT) == (2, "a b c.png: found text; expected PNG; give it\n")
    assert readable("a\nb\x1b[31m\u202ec") == "a?b?[31m?c"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--model", ""], "--model"),
        (["--model="], "--model"),
        (["a.png", "--out", " "], "--out"),
        ([""], "arguments"),
        (["a.png", ""], "arguments"),
        (["--lone", "", "--labels", ""], "--lone"),
    ],
)
def test_an_empty_argument_is_refused(arguments, name):
    with pytest.raises(InputError, match=f"^{name}: found an empty argument; expected a name or a value; fill it in"):
        refuse_empty(arguments)


def test_what_may_be_empty():
    refuse_empty(["a.png", "--labels", "", "--labels=", "--negative-prompt", "", "--json", "--n", "0"])
    refuse_empty([])


def test_train_takes_every_argument_as_a_flag_with_underscores(capsys, tmp_path):
    (tmp_path / "annotation.json").write_text("{}")
    flags = ["--annotation", tmp_path / "annotation.json", "--output_dir", tmp_path / "out"]
    code, _, err = run(capsys, "train", "histgen", *flags)
    assert code == 2 and err.endswith("expected the folder of the annotation's feature files; give --features\n")


PREPARE = {
    "no films": (["--out", "OUT"], "--images: found none; expected the folder of the films; give --images, or only "
        "count with --dry-run"),
    "no crop of paths": (["--out", "OUT", "--images", "OUT", "--no-embed", "--segmenter", "anatomical-tiny"],
        "--no-embed: found paths with a crop; expected films inside the tables; leave out --no-embed or --segmenter"),
}  # fmt: skip


@pytest.mark.parametrize("case", PREPARE)
def test_what_a_verb_calls_otherwise(capsys, tmp_path, case):
    flags, message = PREPARE[case]
    flags = [tmp_path if flag == "OUT" else flag for flag in flags]
    assert run(capsys, "prepare", "iu-xray", "--xml", "x", *flags) == (2, "", message + "\n")


LISTED = {
    "report": (["--model", "histgen-tiny"], "give --slide-mpp"),
    "tile": (["--out", "OUT", "--level", 0, "--patch-px", 512, "--slide-mpp", 1], "choose a smaller --patch-px"),
}


@pytest.mark.parametrize("verb", LISTED)
def test_what_is_said_of_one_item(capsys, film_png, tmp_path, verb):
    flags, remedy = LISTED[verb]
    code, _, err = run(capsys, verb, film_png, *[tmp_path / "out" if flag == "OUT" else flag for flag in flags])
    first = err.splitlines()[0]
    assert code == 1 and first.startswith("film.png: found ") and first.endswith(f"; {remedy}")
