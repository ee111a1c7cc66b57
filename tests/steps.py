"""What each step of `generate` reads: where a cache works, one token after the first."""

from contextlib import contextmanager


@contextmanager
def tokens_of_steps(model):
    """The tokens that each call of the word table gets, of all that is generated inside."""
    counts = []
    hook = model.get_input_embeddings().register_forward_pre_hook(lambda _, args: counts.append(args[0].shape[-1]))
    try:
        yield counts
    finally:
        hook.remove()
