"""The command's trunk: its groups of verbs, the options that verbs share, and how they print."""

import json
import logging
import os
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from hf_medreport.cli.flags import Verbs
from hf_medreport.files.bars import LIBRARY, is_watched, watched
from hf_medreport.files.writing import readable
from hf_medreport.registry import default_model
from hf_medreport.version import __version__

app = Verbs(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Medical images to reports, and descriptions to medical images.",
)
evaluate = Verbs(no_args_is_help=True, help="Score a model.")
convert = Verbs(no_args_is_help=True, help="Turn an original's checkpoint into a folder that loads anywhere.")
phantom = Verbs(no_args_is_help=True, help="Draw films and slides whose truth is known.")
prepare = Verbs(no_args_is_help=True, help="Turn a public source's download into data to train on.")
app.add_typer(evaluate, name="evaluate")
app.add_typer(convert, name="convert")
app.add_typer(phantom, name="phantom")
app.add_typer(prepare, name="prepare")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Model = Annotated[
    str | None,
    typer.Option(help=f"A shipped model's name, a folder or ORG/NAME. Default: {default_model('film')}."),
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, ... Default: a GPU where there is one.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a repository.")]
Trust = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run the code that a model of an unknown system brings.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the folder, of these same arguments.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Remove what an older run wrote to the folder.")]
Orient = Annotated[
    str | None,
    typer.Option(
        help="Of DICOM films that are mirrored or turned: header turns them as their header says, stored reads "
        "them as they are. Default: they are refused."
    ),
]
Frame = Annotated[
    int | None, typer.Option(min=0, help="Which frame or page of films that hold several, counted from 0.")
]
AnyModality = Annotated[
    bool, typer.Option("--any-modality", help="Also DICOM files that are no chest films by their header.")
]
Shard = Annotated[
    str | None,
    typer.Option(help="3/16: do the third of sixteen shares of the list. hf-medreport merge joins the folders."),
]
Engine = Annotated[
    str | None, typer.Option(help="ray: a worker a GPU or core of a cluster. Default: this process alone.")
]
RayAddress = Annotated[
    str | None, typer.Option(help="Of a cluster, HOST:PORT. Default: RAY_ADDRESS, or Ray is started on this machine.")
]
SlideMpp = Annotated[float | None, typer.Option(help="Microns per px at level 0 of slides that lack it.")]
SlideMppCsv = Annotated[
    Path | None, typer.Option(help="The same one by one: a table with columns slide (its name) and mpp.")
]
OverrideSlideMpp = Annotated[
    bool, typer.Option("--override-slide-mpp", help="These win over what the slides say; each change is told.")
]
AllowForeign = Annotated[
    bool,
    typer.Option(
        "--allow-foreign-features",
        help="Also features of another encoder, resolution or size of tiles than the model learned from.",
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Films a pass; lower it when memory runs out.")]


def print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hf-medreport {__version__}")
        raise typer.Exit


@app.callback()
def before_every_verb(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
    quietly: Annotated[bool, typer.Option("--quiet", "-q", help="Before the verb: no bars, errors alone.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Before the verb: what the library logs.")] = False,
):
    """What stands before a verb."""
    LIBRARY.setLevel(logging.ERROR if quietly else logging.NOTSET)
    if verbose:
        show_log()


def print_json(content) -> None:
    """One JSON object on stdout, what `--json` asks for."""
    typer.echo(json.dumps(content, indent=2))


def bar(items, total: int, unit: str):
    """The items, with a bar on stderr where that is a terminal: of a single one it says that it is being done."""
    return watched(items, total=total, unit=unit)


def say_loading() -> None:
    """Before torch and transformers, which take seconds to load: who looks on is told."""
    if is_watched():
        typer.echo("loading torch and transformers ...", err=True)


def print_progress(progress: str) -> None:
    """The last line of a long verb, on stderr: how many items are done, failed and left."""
    typer.echo(progress, err=True)


def exit_code(failures: int) -> int:
    """1 where items failed; 0 under torchrun, which ends all processes where one of them exits with another code."""
    return int(failures > 0 and "TORCHELASTIC_RUN_ID" not in os.environ)


class _OneLine(logging.Formatter):
    """A file's name may hold the end of a line."""

    def format(self, record: logging.LogRecord) -> str:
        return readable(super().format(record)) if record.exc_info is None else super().format(record)


def show_log() -> None:
    """What the library logs, on stderr; nothing but errors where quiet was asked for."""
    _no_bars_in_pipes()
    handler = logging.StreamHandler()
    handler.setFormatter(_OneLine("%(message)s"))
    logging.basicConfig(handlers=[handler])
    if LIBRARY.level == logging.NOTSET:
        LIBRARY.setLevel(logging.INFO)


def quiet() -> None:
    """Keep the libraries' own bars and notices off the screen of a command that reports for itself; loads them."""
    say_loading()
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it speaks of kernels that nothing here uses
    for library in ("PIL", "pydicom", "tifffile"):  # of damaged files, which our own message names
        warnings.filterwarnings("ignore", module=library)
    _no_bars_in_pipes()
    from transformers.utils import logging as of_transformers

    of_transformers.set_verbosity_error()
    of_transformers.disable_progress_bar()


def _no_bars_in_pipes() -> None:
    """Keep the libraries' bars from what is no terminal, where each of their steps would be a line."""
    if not sys.stderr.isatty():
        for library in ("HF_HUB", "HF_DATASETS"):
            os.environ.setdefault(f"{library}_DISABLE_PROGRESS_BARS", "1")


def quiet_diffusers() -> None:
    """The same of diffusers, which takes a second to import."""
    with suppress(ImportError):  # who needs it says so
        from diffusers.utils import logging as of_diffusers

        of_diffusers.set_verbosity_error()
        of_diffusers.disable_progress_bar()
