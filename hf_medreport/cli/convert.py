"""An original's checkpoint -> a folder that loads anywhere: each system brings its converters with its row.

A converter is a function with typer's annotations that yields first its result, an object of JSON, and then the lines
that a screen shows.
"""

import functools
import inspect

import typer

from hf_medreport.cli.app import Json, convert, print_json, quiet, quiet_diffusers
from hf_medreport.cli.flags import as_flags
from hf_medreport.registry import named, others_may_fail, systems


def command_of(converter, of_generator: bool = False):
    """The command of a converter: with the option --json, and printing."""

    @functools.wraps(converter)
    def command(as_json: bool, **options):
        quiet()
        if of_generator:
            quiet_diffusers()
        result, *lines = converter(**options)
        if as_json:
            return print_json(result)
        for line in lines:
            typer.echo(as_flags(line))

    own = inspect.signature(converter)
    as_json = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)
    command.__signature__ = own.replace(parameters=[*own.parameters.values(), as_json])
    command.__annotations__ = {**converter.__annotations__, "as_json": Json}
    return command


for row in systems():
    for name, converter in row.converters.items():
        with others_may_fail(row):
            convert.command(name)(command_of(named(converter), row.kind == "generator"))
