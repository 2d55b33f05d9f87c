"""What is done where networks are trained before anybody starts one, so that nobody waits for it."""

from demos.registry import get


def import_tensorflow() -> None:
    """Takes seconds. Raises what the import raises."""
    import lib.tf  # noqa: F401


def compile_defaults(slug: str) -> None:
    """Compile what a demo's defaults need, and keep it."""
    demo = get(slug)
    demo.build(demo.config()).prepare(keep=True)
