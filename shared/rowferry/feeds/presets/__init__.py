"""One file for each export format that needs no description."""
