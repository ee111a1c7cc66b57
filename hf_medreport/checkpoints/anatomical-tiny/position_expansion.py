"""More positions for a decoder whose table is too short for patches before its text."""

import torch

from .config_error import ConfigError

MODES = ("linear", "copy_last", "zeros")


def expand_positions(table: torch.Tensor, length: int, mode: str = "linear") -> torch.Tensor:
    """A position table of `length` rows.

    Args:
        table: (old length, width).
        length: rows wanted; not fewer than there are.
        mode: `"linear"` stretches the whole table (the thesis; it moves the positions that text was trained on),
            `"copy_last"` repeats the last row, `"zeros"` appends zero rows.

    Returns:
        (length, width), same dtype.
    """
    missing = length - table.shape[0]
    if missing < 0 or mode not in MODES:
        raise ConfigError(
            "expand_positions",
            f"length={length}, mode={mode!r} for a table of {table.shape[0]} rows",
            f"at least as many rows and a mode of {', '.join(MODES)}",
            "pass those",
        )
    if mode == "copy_last":
        return torch.cat([table, table[-1:].expand(missing, -1)])
    if mode == "zeros":
        return torch.cat([table, table.new_zeros(missing, table.shape[1])])
    # (old, width) -> (1, width, old) -> interpolate along positions -> (length, width)
    stretched = torch.nn.functional.interpolate(table.float().T[None], size=length, mode="linear", align_corners=True)
    return stretched[0].T.contiguous().to(table.dtype)
