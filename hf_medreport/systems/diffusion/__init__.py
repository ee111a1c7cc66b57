<<<<<<< HEAD
"""Words in, a medical image out."""
=======
"""Medical text-to-image diffusion: a description -> pictures."""
>>>>>>> verb
