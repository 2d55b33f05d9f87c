"""The binary-rule demo: a hidden rule in random bits, learned from examples alone."""
