"""Recurrent networks, their training and their jobs. Knows nothing of pages or of any one demo."""
