"""What the films of the Indiana University collection are called."""

import re
from pathlib import PurePosixPath

FILM_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm")
IMAGE_NAME = re.compile(r"(?:CXR)?(\d+)_(?:\d+_)?(IM-.+)", re.IGNORECASE)  # 1_IM-0001-4001, CXR1_1_IM-0001-4001


def image_key(name: str) -> tuple[str | None, str]:
    """What a film is called everywhere: (uid, "IM-0001-4001"), whatever prefix and suffixes a copy gave its name."""
    stem = PurePosixPath(name).name
    while stem.lower().endswith(FILM_SUFFIXES):
        stem = stem[: stem.rindex(".")]
    match = IMAGE_NAME.fullmatch(stem)
    return (match[1], match[2].upper()) if match else (None, stem)
