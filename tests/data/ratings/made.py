"""A folder with pictures to rate."""

from pathlib import Path

from PIL import Image


def pictures(folder: Path, count: int = 4) -> list[Path]:
    """Small pictures a.png, b.png, ..."""
    paths = [folder / f"{letter}.png" for letter in "abcdefghijklmnop"[:count]]
    for number, path in enumerate(paths):
        Image.new("L", (8, 8), 20 * number).save(path)
    return paths
