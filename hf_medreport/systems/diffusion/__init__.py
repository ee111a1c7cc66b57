"""The generator: a prompt and a modality -> a picture, by diffusion."""
