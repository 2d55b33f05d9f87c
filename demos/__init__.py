"""The demos, one folder each, and the command line `python -m demos`."""
