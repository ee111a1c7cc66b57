"""What no tensor of a checkpoint tells: asked for, or taken from what is published for the very size, and then said.

Heads leave no trace in shapes: 12 of 64 and 6 of 128 are both 768 wide.
"""

from hf_medreport.processing.input_error import InputError

# Width -> heads of the published models.
GPT2_HEADS = {768: 12, 1024: 16, 1280: 20, 1600: 25}
BERT_HEADS = {128: 2, 256: 4, 512: 8, 768: 12, 1024: 16}
VIT_HEADS = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
DINOV2_HEADS = {384: 6, 768: 12, 1024: 16, 1536: 24}


def heads(name: str, part: str, width: int, given: int | None, published: dict[int, int], argument: str) -> int:
    """Heads of a part of this width: `given`, or those of the published model of this width.

    Args:
        name: of the file, for messages.
        part: what the heads are of.
        published: one of the tables above.
        argument: by which they are given.

    Raises:
        InputError: a number that does not divide the width, or none for a width that was not published.
    """
    if given is None:
        if width not in published:
            widths = ", ".join(map(str, published))
            remedy = f"pass `{argument}`, as it was trained: no tensor tells it"
            raise InputError(name, f"{part} of width {width}", f"a published one ({widths})", remedy)
        return published[width]
    if given < 1 or width % given:
        raise InputError(argument, str(given), f"a divisor of {part}'s width {width}", f"correct `{argument}`")
    return given


def untold(given: dict, used: dict) -> dict:
    """Those of the values `used` that were not `given`, by argument: taken as published, since no tensor tells."""
    return {argument: value for argument, value in used.items() if given.get(argument) is None and value is not None}


def said(result: dict) -> list[str]:
    """The line of a command about them, if there are any."""
    values = ", ".join(f"{argument} {value}" for argument, value in result["as_published"].items())
    return [f"taken as published, since no tensor tells: {values}"] if values else []
