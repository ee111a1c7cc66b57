"""How the generator learns: random draws, the loss, averaged weights, adapters, checkpoints, and the loop."""
