"""How words are shown: chips shaded by how surprising a word was, and bars of what was expected in its place.

Surprise is -log2 p, in bits (Shannon 1948, section 6). It is written on every chip, so the shade is not the only cue.
"""

import html
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lib import style
from lib.style import Json

# The shade of surprise: from nothing, which shows the page's own background, to this purple, that of a loss.
SURPRISE = "#5A3FB0"
MOST_BITS = 12.0  # from here on the shade is full: one in 4,096
LIGHT_INK_FROM = (
    0.79  # of the full shade: white is legible there on any theme, below it only what the theme writes with
)
LEGEND = (0, 1, 3, 6, 9, 12)  # bits

BAR, FRAME = 24, 56  # pixels of a bar, and of all that is around the bars
LONGEST_NAME = 18  # letters of a word beside its bar


class Marked(NamedTuple):
    """The one word among the guesses that is pointed out, with its rank where that is known."""

    word: str
    probability: float
    rank: int | None
    sign: str
    name: str  # what the legend calls it


def strength(bits: float) -> float:
    """How full the shade of a surprise is, 0 to 1; what is not a number is as surprising as can be."""
    return min(max(bits / MOST_BITS, 0.0), 1.0) if not math.isnan(bits) else 1.0


def bits_text(bits: float) -> str:
    """A surprise as a chip has it: 3.2, but 14."""
    return f"{bits:.1f}" if bits < 9.95 else f"{bits:.0f}" if math.isfinite(bits) else "∞"


def chance_text(probability: float) -> str:
    """A probability as people say it: 1 in 2,048; 97 %."""
    if probability >= 0.5:
        return f"{100 * probability:.0f} %"
    return f"1 in {1 / probability:,.0f}" if probability > 0 else "never"


def probability_text(probability: float) -> str:
    """A probability with three digits: 0.0213, and 3.1 × 10⁻⁷ where it is small."""
    if probability >= 0.0005 or probability == 0:
        return f"{probability:.3g}" if probability >= 0.001 or probability == 0 else f"{probability:.4f}"
    mantissa, exponent = f"{probability:.1e}".split("e")
    return f"{mantissa} × 10{exponent_text(int(exponent))}"


def exponent_text(exponent: int) -> str:
    """A raised number: ⁻⁷."""
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def chip(text: str, bits: float, probability: float, rank: int, size: int, *, read_as: str = "") -> Json:
    """A word as a chip shows it: `rank` is its place among all `size` words, `read_as` what an unknown word was read as."""
    shade = strength(bits)
    return {
        "text": text,
        "as": read_as,
        "note": bits_text(bits),
        "shade": round(shade, 3),
        "light": shade >= LIGHT_INK_FROM,
        "tip": [
            f"p = {probability_text(probability)}, {chance_text(probability)}",
            f"{bits_text(bits)} bits of surprise",
            f"rank {rank:,} of {size:,}",
        ],
    }


def chips(labels: Sequence[tuple[str, str]], reading: Any, size: int) -> list[Json]:
    """The chips of a text under a `lib.word_model.Reading`; a label is a word and, if it was unknown, what it was read as."""
    rows = zip(labels, reading.surprise_bits.tolist(), reading.probability.tolist(), reading.rank.tolist(), strict=True)
    return [chip(text, bits, p, rank, size, read_as=read_as) for (text, read_as), bits, p, rank in rows]


def legend_chips() -> list[Json]:
    """A chip for each of a few surprises."""
    found = []
    for bits in LEGEND:
        text = "certain" if bits == 0 else chance_text(2.0**-bits) if bits > 1 else "1 in 2"
        last = bits == LEGEND[-1]
        found.append(chip(text + (" or less" if last else ""), bits, 2.0**-bits, 1, 1) | {"tip": []})
        found[-1]["note"] = f"{bits} bit{'s' * (bits != 1)}{' or more' * last}"
    return found


def guesses_figure(
    words: Sequence[str],
    probabilities: Sequence[float],
    marked: Marked,
    *,
    color: str,
    hatch: Json | None,
    about: str,
    numbers: Sequence[str] = (),
) -> Json:
    """Bars of the likeliest words at a place, the likeliest on top, and the marked one, with its rank if it is not among them.

    `numbers` are what a click on each bar tells the page; the marked word's own bar tells nothing.
    """
    names, values = list(words), [float(p) for p in probabilities]
    told = list(numbers) or [""] * len(names)
    if marked.word in names:
        at = names.index(marked.word)
    else:
        at = len(names)
        names, values, told = [*names, marked.word], [*values, marked.probability], [*told, ""]
    told[at] = ""
    labels = [_name(name) for name in names]
    rank = f" (rank {marked.rank:,})" if at == len(words) and marked.rank is not None else ""
    labels[at] = f"<b>{marked.sign} {labels[at]}</b>{rank}"
    places = np.arange(len(names))
    most = max(values)
    others = places != at
    data = [
        _bars("its guesses", style.PREDICTION, None, places[others], values, names, told),
        _bars(marked.name, color, hatch, places[~others], values, names, told),
    ]
    listed = ", ".join(f"{name} {100 * p:.1f} %" for name, p in zip(words, probabilities, strict=True))
    last = f"{marked.name}: {marked.word}, {100 * values[at]:.2g} %{rank}."
    height = BAR * len(names) + FRAME
    return {
        "data": data,
        "layout": style.layout(
            alt=f"{about}: {listed}; {last}",
            height=height,
            revision="guesses",
            barmode="overlay",
            bargap=0.25,
            margin={"l": 48, "r": 16, "t": 8, "b": 8},
            yaxis={
                "tickvals": places.tolist(),
                "ticktext": labels,
                "range": [len(names) - 0.5, -0.5],
                "automargin": True,
                "ticks": "",
                "ticklabelstandoff": 6,
                "showgrid": False,
                "fixedrange": True,
                "zeroline": False,
            },
            # Room for the number that stands after the longest bar.
            xaxis={"range": [0, 1.22 * most], "visible": False, "fixedrange": True},
        ),
    }


def _bars(
    name: str,
    color: str,
    hatch: Json | None,
    places: np.ndarray,
    values: list[float],
    names: list[str],
    told: list[str],
) -> Json:
    chosen = [values[place] for place in places]
    said = [f"{html.escape(names[place], quote=False)}: p = {probability_text(values[place])}" for place in places]
    return style.bars(
        name,
        color,
        width=0.75,
        hatch=hatch,
        orientation="h",
        x=chosen,
        y=places.tolist(),
        text=[_percent(value) for value in chosen],
        textposition="outside",
        cliponaxis=False,
        customdata=[[told[place]] for place in places],
        hovertext=said,
        hovertemplate="%{hovertext}<extra></extra>",
    ) | {"hoverinfo": "text"}


def _percent(value: float) -> str:
    percent = 100 * value
    return f"{percent:.0f} %" if percent >= 9.95 else f"{percent:.1f} %" if percent >= 0.095 else f"{percent:.2g} %"


def _name(word: str) -> str:
    """A word as a chart takes it, which reads HTML."""
    short = word if len(word) <= LONGEST_NAME else f"{word[: LONGEST_NAME - 1]}…"
    return html.escape(short, quote=False)


# Perplexity, worked out


def perplexity_text(perplexity: float) -> str:
    """A perplexity as people read it: 22.3, but 1,204."""
    if not math.isfinite(perplexity):
        return "∞"
    return f"{perplexity:,.1f}" if perplexity < 99.95 else f"{perplexity:,.0f}"


def choices_text(perplexity: float) -> str:
    """The same as a number of choices: 1.3, 22."""
    return (
        f"{perplexity:,.1f}"
        if perplexity < 9.95
        else perplexity_text(perplexity)
        if perplexity == math.inf
        else f"{perplexity:,.0f}"
    )


def scientific_latex(mantissa: float, exponent: int) -> str:
    """mantissa · 10^exponent, or the number itself where it is short."""
    if -3 <= exponent <= 2:
        return f"{mantissa * 10.0**exponent:.3g}"
    return rf"{mantissa:.2f} \times 10^{{{exponent}}}"


def number_latex(value: float) -> str:
    """A probability in LaTeX: 0.0213, 3.1 × 10^-7."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exponent = math.floor(math.log10(value))
    return scientific_latex(value / 10.0**exponent, exponent)


def product_latex(working: Any) -> str:
    """The product of a `lib.word_model.Working`'s probabilities, those in the middle of many left out, and what it comes to."""
    factors = [number_latex(p) for p in working.probabilities]
    first = factors if len(factors) <= 3 else factors[:2]
    middle = "" if len(factors) <= 3 else rf" \cdots {factors[-1]}"
    product = r" \cdot ".join(first) + middle
    outcome = scientific_latex(working.mantissa, working.exponent)
    return rf"\begin{{aligned}}&{product}\\&= {outcome}\end{{aligned}}"


def root_latex(working: Any) -> str:
    """The root of the product: the geometric mean of the probabilities."""
    product = scientific_latex(working.mantissa, working.exponent)
    return rf"\sqrt[{working.length}]{{{product}}} = {number_latex(working.geometric_mean)}"


def inverse_latex(working: Any) -> str:
    """One divided by the geometric mean."""
    return rf"\frac{{1}}{{{number_latex(working.geometric_mean)}}} = \mathbf{{{_latex_text(working.perplexity)}}}"


def power_latex(working: Any) -> str:
    """The same from the bits on the chips."""
    return rf"2^{{{working.mean_bits:.2f}}} = {_latex_text(working.perplexity)}"


def _latex_text(perplexity: float) -> str:
    return r"\infty" if perplexity == math.inf else perplexity_text(perplexity).replace(",", "{,}")
