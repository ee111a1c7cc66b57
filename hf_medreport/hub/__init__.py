"""Models on the Hub: the card, and publishing a saved folder as one revision."""
