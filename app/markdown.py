"""Texts that are not ours, in places that read Markdown."""

SIGNS = frozenset("\\`*_[]()$~:<>#|!-+{}")


def escaped(text: str) -> str:
    """The text as Markdown that shows it as it is."""
    return "".join(f"\\{letter}" if letter in SIGNS else letter for letter in text)
