"""What several public sources need: reading their files, choosing among films, tables, splits, checking texts."""
