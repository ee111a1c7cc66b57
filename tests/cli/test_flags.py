"""Errors in the words of the verb that runs."""

import pytest
from typer.testing import CliRunner

from hf_medreport.cli import app
from hf_medreport.inference import loading
from hf_medreport.modeling.config_error import ConfigError
from hf_medreport.processing.input_error import InputError


def said(monkeypatch, error: Exception, *arguments: str):
    """What a verb says of an error that loading its model raises."""

    def load(*args, **kwargs):
        raise error

    monkeypatch.setattr(loading, "load", load)
    return CliRunner().invoke(app, arguments)


# verb -> {what the library says: what the verb says}
REPORT = ("report", "film.png")
WORDS = {
    REPORT: {
        "leave out `masks`": "leave out --mask",  # the verb's own name for it
        "give `slide_mpp`, or cut by `level`": "give --slide-mpp, or cut by `level`",  # report has no level
        "choose `slide_mpp=0.5` or more": "choose --slide-mpp 0.5 or more",
        "pass `trust_remote_code`": "pass --trust-remote-code",
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
def test_an_argument_is_its_flag(monkeypatch, verb, remedy, shown):
    done = said(monkeypatch, InputError("film.png", "text", "PNG", remedy), *verb)
    assert (done.exit_code, done.stderr) == (2, f"film.png: found text; expected PNG; {shown}\n")


@pytest.mark.parametrize(
    ("name", "shown"), [("slide_mpp", "--slide-mpp"), ("masks", "--mask"), ("images", "images"), ("level", "level")]
)
def test_so_is_what_an_error_is_about(monkeypatch, name, shown):
    done = said(monkeypatch, InputError(name, "none", "one", "give it"), *REPORT)
    assert (done.exit_code, done.stderr) == (2, f"{shown}: found none; expected one; give it\n")


def test_a_models_error_is_one_line_too(monkeypatch):
    done = said(monkeypatch, ConfigError("HistGenConfig", "top_k=0", "1 or more", "correct it"), *REPORT)
    assert (done.exit_code, done.stderr) == (2, "HistGenConfig: found top_k=0; expected 1 or more; correct it\n")


def test_other_errors_are_not_swallowed(monkeypatch):
    assert isinstance(said(monkeypatch, ValueError("a bug"), *REPORT).exception, ValueError)


def test_train_takes_every_argument_as_a_flag_with_underscores(tmp_path):
    (tmp_path / "annotation.json").write_text("{}")
    flags = ["--annotation", str(tmp_path / "annotation.json"), "--output_dir", str(tmp_path / "out")]
    done = CliRunner().invoke(app, ["train", "histgen", *flags])
    assert (done.exit_code, done.stderr) == (
        2,
        "features: found none; expected the folder of the annotation's feature files; give --features\n",
    )


PREPARE = {
    "no films": (["--out", "OUT"], "--images: found none; expected the folder of the films; give --images, or only "
        "count with --dry-run"),
    "no crop of paths": (["--out", "OUT", "--images", "OUT", "--no-embed", "--segmenter", "anatomical-tiny"],
        "--no-embed: found paths with a crop; expected films inside the tables; leave out --no-embed or --segmenter"),
}  # fmt: skip


@pytest.mark.parametrize("case", PREPARE)
def test_what_a_verb_calls_otherwise(tmp_path, case):
    flags, message = PREPARE[case]
    flags = [str(tmp_path) if flag == "OUT" else flag for flag in flags]
    done = CliRunner().invoke(app, ["prepare", "iu-xray", "--xml", "x", *flags])
    assert (done.exit_code, done.stderr) == (2, message + "\n")
