"""Medical text-to-image diffusion: a description -> pictures."""
