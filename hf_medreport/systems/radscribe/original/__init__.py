"""What is of RadScribe's own code: its YAML, its metrics' names, the names and sizes in its checkpoints."""
