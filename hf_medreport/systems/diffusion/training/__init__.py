"""How the generator learns: what is drawn at random, the loss, averaged weights, adapters, checkpoints, and the loop."""
