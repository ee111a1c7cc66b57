"""Train a system."""

import contextlib
import sys
import textwrap
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, app, print_json, print_progress, say_loading, show_log
from hf_medreport.registry import systems


@app.command(
    add_help_option=False,  # of a system there is more to say than of the verb
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def train(
    context: typer.Context,
    system: Annotated[
        str | None,
        typer.Argument(
            help=f"What to train: {', '.join(row.model_type for row in systems() if row.recipe)}; or reinforce: "
            "a trained model goes on, by rewards.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[str | None, typer.Option(help="YAML of training arguments, see examples/.")] = None,
    as_json: Json = False,
    show_help: Annotated[
        bool, typer.Option("--help", "-h", help="Of a system: list its arguments, grouped, with their defaults.")
    ] = False,
):
    """Train a system. Any training argument may follow as a flag and beats the file: --learning_rate 1e-4.

    --resume goes on with the run in the output folder, --overwrite removes it.
    """
    if show_help and system is None:
        typer.echo(context.get_help())
        return
    if system is None:
        raise typer.BadParameter("missing; see --help", param_hint="SYSTEM")
    say_loading()
    from hf_medreport.training import arguments_of, run

    if show_help:
        typer.echo(listing(arguments_of(system)))
        return

    show_log()
    # Trainer prints its log to stdout; beside JSON it belongs on stderr.
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        metrics = run(system, config, context.args)
    if as_json:
        print_json(metrics)
    else:
        for name, value in metrics.items():
            typer.echo(f"{name}: {value}")
    print_progress(f"{metrics['global_step']} steps done, 0 left")


def listing(groups: list) -> str:
    """A recipe's arguments, as `training.arguments_of` gives them, for a screen."""
    lines = []
    for group in groups:
        lines += [group.title]
        for name, kind, default, text in group.arguments:
            lines.append(f"  --{name} {kind}  [{default}]")
            lines += textwrap.wrap(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
        lines.append("")
    return "\n".join(lines).rstrip()
