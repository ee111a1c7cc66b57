"""Reading and processing code that travels to the Hub with the models."""
