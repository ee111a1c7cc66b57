"""Model code that travels: every file here loads beside its weights where only transformers and torch are installed."""
