"""What a round of the loop is made of."""
