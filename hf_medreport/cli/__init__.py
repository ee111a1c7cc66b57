"""The command `hf-medreport`: one module a verb, each command a few lines over the library.

Exit codes: 0 done, 1 the content of an item was bad (listed; the others are done), 2 wrong arguments, 130 and 143
interrupted by Ctrl-C or SIGTERM (what was done is kept). Heavy imports stand inside the commands, so that `--help` is
instant.
"""

import errno
import sys
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
from hf_medreport.cli.flags import UsageError, as_input_error
from hf_medreport.cli.raters import rate, rlhf  # noqa: F401
from hf_medreport.files.items import FILE_IT, of_installation
from hf_medreport.files.writing import readable
from hf_medreport.processing.input_error import InputError

FULL = (errno.ENOSPC, errno.EDQUOT)


def main() -> None:
    """Entry point: whatever ends a command is one line.

    InputErrors are said by the verbs; what nobody foresaw shows its traceback in Python's development mode alone.
    """
    try:
        code = app(prog_name="hf-medreport", standalone_mode=False)
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            typer.echo(readable(str(as_input_error(error))), err=True)
        code = 2
    except Exception as error:
        if sys.flags.dev_mode:
            raise
        typer.echo(_said(error), err=True)
        code = 1
    raise SystemExit(code if isinstance(code, int) else 0)


def _said(error: Exception) -> str:
    """What ended a command, in a line: a disk that does not take a file, or an error that is ours."""
    if isinstance(error, OSError) and error.errno is not None:  # the system's word, not a library's
        if (lacking := of_installation(error)) is not None:
            return readable(str(lacking))
        full = error.errno in FULL
        expected = "a disk with room" if full else "a file or folder that can be used"
        remedy = "free space or change --out" if full else "check the path and its access rights"
        name = Path(str(error.filename or "disk")).name
        return readable(str(InputError(name, (error.strerror or "an error").lower(), expected, remedy)))
    words = " ".join(str(error).split())[:500]
    return readable(f"hf-medreport: {type(error).__name__}: {words} ({FILE_IT})")
