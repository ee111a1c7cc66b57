"""What is installed."""

from hf_medreport.cli.app import Json, app, print_json


@app.command()
def doctor(as_json: Json = False):
    """What is installed, what each extra adds, what to type."""
    from hf_medreport.doctor import examine

    state = examine()
    if as_json:
        return print_json(state)
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "part", "state", "what to type", title=f"hf-medreport {state['hf_medreport']}, Python {state['python']}"
    )
    for name, version in state["packages"].items():
        wanted = [requirement for requirement in state["missing"] if requirement.startswith(name)]
        remedy = f"pip install '{wanted[0]}'" if wanted else ""
        table.add_row(name, (version or "missing") + (", too old" if version and wanted else ""), remedy)
    for name, extra in state["extras"].items():
        lacking = f"missing {', '.join(extra['missing'])}" if extra["missing"] else "complete"
        table.add_row(f"\\[{name}] {extra['adds']}", lacking, (extra["install"] or "").replace("[", "\\["))
    for name, found in state["checkpoints"].items():
        table.add_row(
            f"shipped model {name}", "found" if found else "missing", "" if found else "reinstall the package"
        )
    table.add_row("GPU", "found" if state["gpu"] else "none: films take longer", "")
    table.add_row("Hub", "offline (HF_HUB_OFFLINE=1)" if state["offline"] else "online", "")
    Console().print(table)
