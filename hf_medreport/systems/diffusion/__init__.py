"""Words in, a medical image out."""
