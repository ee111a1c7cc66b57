"""Files as every room writes and reads them: whole or not at all, row by row, a run a folder."""
