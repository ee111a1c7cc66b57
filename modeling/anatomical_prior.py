"""A lung-heart mask -> one attention bias a decoder layer: broad in the first layer, sharp in the last.

From the UDEM thesis (arXiv 2512.16841). Per sample: scale the mask to [0, 1], resize it to the
patch grid, blur it once a layer with a Gaussian whose width falls with depth, scale each layer to [0, 1] again.
The blur is written as two small matrices a layer with the reflection folded in, so any grid works, however small.
"""

import torch

from .config_error import ConfigError

EPS = 1e-8
# Blurring a flat map leaves rounding noise of 1e-7: that is no contrast.
FLAT = 1e-6


def kernel_schedule(num_layers: int, base_kernel: int = 3, kernel_growth: int = 2) -> list[tuple[int, float]]:
    """Kernel size in patches and sigma of each layer: `k = base + growth * (L - i)` made odd, `sigma = (k - 1) / 6`.

    For 12 layers: 27, 25, ..., 5 patches with sigma 4.33, 4.0, ..., 0.667.
    """
    sizes = [base_kernel + kernel_growth * (num_layers - layer) for layer in range(num_layers)]
    sizes = [size + 1 - size % 2 for size in sizes]
    return [(size, (size - 1) / 6) for size in sizes]


def blur_matrix(side: int, kernel_size: int, sigma: float) -> torch.Tensor:
    """(side, side) matrix that blurs a vector of `side` values with a Gaussian, reflecting at both ends."""
    radius = kernel_size // 2
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    # A triangle wave folds any index into 0 .. side - 1 without repeating the edge, as reflection padding does.
    period = max(2 * (side - 1), 1)
    sources = (torch.arange(side)[:, None] + offsets.long()[None, :]) % period
    sources = torch.where(sources >= side, period - sources, sources)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    matrix.scatter_add_(1, sources, weights.expand(side, -1).contiguous())
    return matrix.float()


def scale_to_unit(maps: torch.Tensor) -> torch.Tensor:
    """Min-max over the last two axes; a constant map becomes zeros."""
    low = maps.amin(dim=(-2, -1), keepdim=True)
    high = maps.amax(dim=(-2, -1), keepdim=True)
    span = high - low
    return torch.where(span < FLAT, 0.0, (maps - low) / (span + EPS))


def layer_masks(
    masks: torch.Tensor,
    grid: tuple[int, int],
    num_layers: int,
    base_kernel: int = 3,
    kernel_growth: int = 2,
    sigma: float | None = None,
) -> torch.Tensor:
    """The soft stack.

    Args:
        masks: (batch, 1, height, width), any real range and any size.
        grid: rows and columns of patches.
        num_layers: decoder layers.
        sigma: one width in patches for all layers instead of the schedule's.

    Returns:
        (batch, num_layers, rows, columns) float32 in [0, 1]; all zeros where a mask is constant.
    """
    if masks.ndim != 4 or masks.shape[1] != 1:
        raise ConfigError(
            "anatomical_masks",
            f"shape {tuple(masks.shape)}",
            "(batch, 1, height, width)",
            "add the channel axis or merge lung and heart into one mask",
        )
    schedule = kernel_schedule(num_layers, base_kernel, kernel_growth)
    rows, columns = (
        torch.stack([blur_matrix(side, size, width if sigma is None else sigma) for size, width in schedule])
        for side in grid
    )
    # Autocast would blur in half precision, and ties at the minimum would hide other patches in strict mode.
    with torch.autocast(masks.device.type, enabled=False):
        coarse = torch.nn.functional.interpolate(scale_to_unit(masks.float()), size=grid, mode="bilinear")
        # (layers, rows, rows) @ (batch, 1, rows, columns) @ (layers, columns, columns)
        # -> (batch, layers, rows, columns)
        blurred = rows.to(masks.device) @ coarse @ columns.to(masks.device).transpose(-1, -2)
        return scale_to_unit(blurred)


def attention_bias(stack: torch.Tensor, mode: str, strength: float, dtype: torch.dtype) -> torch.Tensor:
    """The stack as values to add to attention logits on the image's key columns.

    Args:
        stack: (batch, layers, rows, columns) from `layer_masks`.
        mode: `"soft"` adds the map; `"strict"` also hides every patch whose value is 0 in that layer.
        strength: factor on the map; 1.0 in the thesis.
        dtype: of the attention logits; `"strict"` hides with its most negative finite value.

    Returns:
        (batch, layers, rows * columns), row-major. A sample whose map is zero everywhere came from a constant mask
        (empty or full): it says nothing on where to look, so it gets no bias and hides nothing.
    """
    bias = strength * stack
    if mode == "strict":
        says_something = stack.amax(dim=(-3, -2, -1), keepdim=True) > 0
        bias = bias.masked_fill(says_something & (stack <= 0), torch.finfo(dtype).min)
    return bias.flatten(2).to(dtype)
