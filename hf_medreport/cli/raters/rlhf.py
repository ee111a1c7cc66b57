"""Let a generator learn from raters."""

import contextlib
import sys
from typing import Annotated

import typer

from hf_medreport.cli.app import (
    Json,
    Overwrite,
    Resume,
    app,
    print_json,
    print_progress,
    quiet_diffusers,
    say_loading,
    show_log,
)
from hf_medreport.cli.train import listing


@app.command(
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def rlhf(
    context: typer.Context,
    config: Annotated[str | None, typer.Option(help="YAML of settings, see examples/rlhf_phantom.yaml.")] = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    show_help: Annotated[bool, typer.Option("--help", "-h", help="List the settings with their defaults.")] = False,
):
    """Let a generator learn from raters: selector and policy, update, new pictures, ratings, in rounds.

    Any setting may follow as a flag and beats the file: --rounds 1.
    """
    say_loading()
    from hf_medreport.rlhf.rounds.loop_settings import LoopSettings
    from hf_medreport.training.arguments import read_arguments
    from hf_medreport.training.listing import groups_of

    if show_help:
        typer.echo(context.get_help())
        typer.echo(listing(groups_of((LoopSettings,))))
        return
    asked = [*context.args, *(["--resume"] if resume else []), *(["--overwrite"] if overwrite else [])]
    (settings,) = read_arguments((LoopSettings,), config, asked)
    from hf_medreport.rlhf.loop import run_loop
    from hf_medreport.rlhf.rounds.final import before_and_after

    show_log()
    quiet_diffusers()
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        result = run_loop(settings)
    if as_json:
        print_json(result)
    else:
        for figures in result["rounds"]:
            typer.echo("  ".join(f"{name} {_shown(value)}" for name, value in figures.items()))
        if result["evaluation"]:
            typer.echo(before_and_after(result["evaluation"]))
        if result["final"]:
            typer.echo(f"written: {result['final']}")
    if result["waiting"]:
        typer.echo(f"rate the pictures into {result['waiting']}, then go on with --resume", err=True)
    print_progress(f"{len(result['rounds'])} rounds done, {settings.rounds - len(result['rounds'])} left")


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)
