"""How much of a text the network that learns it can know: its tokens, and the share that is not in the vocabulary."""

from typing import Any, NamedTuple

MUCH = 0.1  # the unknown share above which a result says little about the text


class Coverage(NamedTuple):
    """A text as a demo reads it. Shares are between 0 and 1; `held_out` is None where all of the text is trained on."""

    tokens: int  # of all that is read, trained on or held out
    types: int  # different tokens that the network knows, the vocabulary's size
    unit: str  # what one token is, in the plural: "words", "characters", "words and characters"
    unknown: float  # the share of the training tokens that are read as unknown
    held_out: float | None = None  # the same share of the validation tokens
    left_out: bool = False  # whether unknown tokens are not scored in validation

    @property
    def most(self) -> float:
        """The larger of the two unknown shares."""
        return max(self.unknown, self.held_out or 0.0)

    @property
    def is_poor(self) -> bool:
        """Whether more than a tenth is unknown, in training or in validation."""
        return self.most > MUCH

    def sentence(self) -> str:
        """The numbers in plain words, with what a token is."""
        tokens = f"{self.tokens:,} {self.unit}, {self.types:,} different ones known"
        unknown = f"{_percent(self.unknown)} unknown in training"
        if self.held_out is not None:
            unknown += f", {_percent(self.held_out)} in validation"
            unknown += " (not scored)" if self.left_out and self.held_out else ""
        script = "" if self.unit == "words" else " A script without spaces is read one token per character."
        return f"{tokens}; {unknown}.{script}"

    def report(self) -> dict[str, Any]:
        """The numbers for a JSON report."""
        return {
            "tokens": self.tokens,
            "types": self.types,
            "unit": self.unit,
            "unknown_share": self.unknown,
            "unknown_share_in_validation": self.held_out,
        }


def _percent(share: float) -> str:
    """A share in percent, exact where it is nothing: 0 %, 0.04 %, 12.3 %."""
    percent = 100 * share
    return "0 %" if not share else f"{percent:.2f} %" if percent < 0.1 else f"{percent:.1f} %"
