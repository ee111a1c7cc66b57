"""The window of versions: `tested.txt`, what `make` installs and CI passed with; `lowest.txt`, the floors."""
