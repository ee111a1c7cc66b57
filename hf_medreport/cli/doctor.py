"""What is installed, or what a model folder carries."""

import shlex
from typing import Annotated

import typer

from hf_medreport.cli.app import Json, app, print_json


@app.command()
def doctor(
    folder: Annotated[
        str | None, typer.Argument(help="A model folder or a shipped model's name. Default: the installation.")
    ] = None,
    as_json: Json = False,
):
    """What is installed, what each extra adds, what to type; or how a model folder differs from what is installed.

    Exits with 1 for a folder that does not load elsewhere: code is missing, or how a report is to be written.
    """
    from hf_medreport.doctor import examine, examine_folder

    state = examine() if folder is None else examine_folder(folder)
    if as_json:
        print_json(state)
    elif folder is None:
        _print_installation(state)
    else:
        _print_folder(state)
    if folder is not None and (state["code"]["missing"] or state["generation"]):
        raise typer.Exit(1)


def _print_installation(state: dict) -> None:
    versions, rows, remedies = state["versions"], {}, []
    for name, version in state["packages"].items():
        wanted = [requirement for requirement in state["missing"] if requirement.startswith(name)]
        remedies += [f"pip install '{requirement}'" for requirement in wanted]
        rows[name] = _said(versions[name]) if name in versions else version or "missing"
        rows[name] += ", too old" if version and wanted else ""
    for name, extra in state["extras"].items():
        remedies += [extra["install"]] if extra["install"] else []
        rows[f"[{name}] {extra['adds']}"] = f"missing {', '.join(extra['missing'])}" if extra["missing"] else "complete"
    others = {name: version for name, version in versions.items() if version["state"] != "tested"}
    rows |= {name: _said(version) for name, version in others.items() if name not in rows}
    for name, found in state["checkpoints"].items():
        remedies += [] if found else ["pip install --force-reinstall --no-deps hf-medreport"]
        rows[f"shipped model {name}"] = "found" if found else "missing"
    rows["GPU"] = "found" if state["gpu"] else "none: films take longer"
    rows["Hub"] = "offline (HF_HUB_OFFLINE=1)" if state["offline"] else "online"
    _print(f"hf-medreport {state['hf_medreport']}, Python {state['python']}", rows)
    _print_commands("To install what is missing:", dict.fromkeys(remedies))
    pins = " ".join(f"'{name}=={version['tested']}'" for name, version in others.items())
    heading = "Other versions than the tested ones should do. Where something fails, install those:"
    _print_commands(heading, [f"pip install {pins}"] if others else [])


def _print_folder(state: dict) -> None:
    code, tested = state["code"], state["tested_with"]
    rows = {"code": "missing or other than installed" if code["differs"] or code["missing"] else "as installed"}
    headings = {"differs": "differs", "missing": "missing", "extra": "not of this library"}
    rows |= {heading: ", ".join(code[key]) for key, heading in headings.items() if code[key]}
    if state["kind"] == "report":
        rows["generation_config.json"] = "broken, see below" if state["generation"] else "in order"
    rows |= {"tested with": "not recorded"} if tested is None else {}
    rows |= {f"tested with {name} {one['tested']}": f"installed: {_said(one)}" for name, one in (tested or {}).items()}
    _print(f"{state['model_type']}, {state['kind']}", {"folder": state["folder"], **rows})
    if state["generation"]:
        typer.echo(state["generation"])
    heading = "Save the model again, or publish it, which puts this installation's code and versions into the commit:"
    outdated = code["differs"] or code["missing"] or tested is None
    _print_commands(heading, [f"hf-medreport publish {shlex.quote(state['folder'])} ORG/NAME"] if outdated else [])


def _said(version: dict) -> str:
    tested = "" if version["state"] == "tested" else f" ({version['tested']})"
    return f"{version['installed'] or ''}, {version['state']}{tested}".removeprefix(", ")


def _print(title: str, rows: dict[str, str]) -> None:
    """A table in which nothing is cut, however narrow the terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table(Column("part", overflow="fold"), Column("state", overflow="fold"), title=escape(title))
    for part, state in rows.items():
        table.add_row(escape(part), escape(state))
    Console().print(table)


def _print_commands(heading: str, commands) -> None:
    """What is to be typed, each command on a line of its own: a table would break it."""
    for line in [heading, *(f"  {command}" for command in commands)] if commands else []:
        typer.echo(line)
