"""Linear layers of sizes that 4 bits cannot hold: an output of one score, a width that is no multiple of 64."""

from torch import nn

BLOCK, ROWS = 64, 32  # bitsandbytes: inputs that share a scale; outputs that a CPU packs together


class WholeLinear(nn.Linear):
    """A linear layer that quantizers leave whole: they replace `nn.Linear` itself, not what derives from it."""


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    """`nn.Linear`, or where bitsandbytes could not pack its weight one that it leaves alone."""
    packable = inputs % BLOCK == 0 and outputs % ROWS == 0
    return (nn.Linear if packable else WholeLinear)(inputs, outputs, bias)
