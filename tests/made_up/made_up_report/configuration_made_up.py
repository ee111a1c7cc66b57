"""The configuration, which travels."""

import difflib
from dataclasses import fields

from transformers import GPT2Config


class MadeUpConfig(GPT2Config):
    """A GPT-2 that starts with the patches of a film.

    Args:
        image_size, patch_size: sides in pixels of the film, which is square, and of a patch.
        bos_token_id, eos_token_id: the end of text begins a report too.
        statement: what has to be said beside every report.
    """

    model_type = "made_up"

    image_size: int = 64
    patch_size: int = 16
    bos_token_id: int | None = 0
    eos_token_id: int | list[int] | None = 0
    tie_word_embeddings: bool = False
    statement: str = ""

    def __post_init__(self, **kwargs):
        for name in kwargs:  # transformers would keep a misspelt field, and leave the one that was meant as it is
            nearest = difflib.get_close_matches(name, [field.name for field in fields(self)], 1, 0.8)
            if nearest:
                raise ValueError(f"MadeUpConfig: found '{name}'; expected a field; did you mean '{nearest[0]}'?")
        super().__post_init__(**kwargs)


__all__ = ["MadeUpConfig"]
