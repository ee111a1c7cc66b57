"""A room a system: its row of the registry, its recipe, its converters, and whatever is its own."""
