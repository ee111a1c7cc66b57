"""The command `hf-medreport`: one module a verb, each command a few lines over the library.

Exit codes: 0 done, 1 the content of an item was bad (listed; the others are done), 2 wrong arguments, 130 and 143
interrupted by Ctrl-C or SIGTERM (what was done is kept). Heavy imports stand inside the commands, so that `--help` is
instant.
"""

import errno
from pathlib import Path

import typer

from hf_medreport.cli import (  # noqa: F401  (each adds its verb)
    convert,
    demo,
    doctor,
    evaluate,
    evaluate_model,
    merge,
    phantom,
    prepare,
    publish,
    report,
    segment,
    synthesize,
    tile,
    train,
)
from hf_medreport.cli.app import app
from hf_medreport.cli.raters import rate, rlhf  # noqa: F401

FULL = (errno.ENOSPC, errno.EDQUOT)


def main() -> None:
    """Entry point: a disk that does not take a file is one line and exit code 1; InputErrors are said by the verbs."""
    try:
        app()
    except OSError as error:
        if error.errno is None:  # not the system's word but a library's
            raise
        remedy = "free space or change --out" if error.errno in FULL else "check the path and its access rights"
        typer.echo(f"{Path(str(error.filename or 'disk')).name}: {error.strerror}; {remedy}", err=True)
        raise SystemExit(1) from None
