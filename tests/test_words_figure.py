"""Words as chips and bars: what they say, and that it can be read."""

import json
import math
import re

import numpy as np
import pytest

from lib import style, words_figure
from lib.word_model import under_unigram, worked_out
from lib.words_figure import LIGHT_INK_FROM, MOST_BITS, SURPRISE, Marked

THEMES = {
    "light": ("#FFFFFF", "#000000"),
    "dark": ("#121118", "#FFFFFF"),
}  # the ground, and the ink of app/static/chips.js


def channels(color: str) -> np.ndarray:
    return np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255


def luminance(rgb: np.ndarray) -> float:
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", THEMES)
def test_the_ink_can_be_read_on_every_shade(theme: str) -> None:
    ground, ink = map(channels, THEMES[theme])
    for shade in np.linspace(0, 1, 101):
        here = shade * channels(SURPRISE) + (1 - shade) * ground
        used = channels("#FFFFFF") if shade >= LIGHT_INK_FROM else ink
        assert contrast(here, used) >= 4.5, shade


def test_the_shade_grows_with_the_surprise_and_is_bounded() -> None:
    shades = [words_figure.strength(bits) for bits in (-0.1, 0, 1, 6, MOST_BITS, 40, math.inf, math.nan)]
    assert shades == [0, 0, 1 / MOST_BITS, 0.5, 1, 1, 1, 1]


def test_numbers_are_short_and_right() -> None:
    assert [words_figure.bits_text(bits) for bits in (0.0, 3.21, 9.94, 9.96, 13.6, math.inf)] == [
        "0.0", "3.2", "9.9", "10", "14", "∞",
    ]  # fmt: skip
    assert [words_figure.probability_text(p) for p in (1.0, 0.0213, 0.0007, 3.1e-7, 0.0)] == [
        "1", "0.0213", "0.0007", "3.1 × 10⁻⁷", "0",
    ]  # fmt: skip
    assert [words_figure.chance_text(p) for p in (0.97, 0.25, 1 / 2048, 0.0)] == [
        "97 %",
        "1 in 4",
        "1 in 2,048",
        "never",
    ]
    assert [words_figure.perplexity_text(x) for x in (1.34, 99.94, 99.96, 1204.4, math.inf)] == [
        "1.3", "99.9", "100", "1,204", "∞",
    ]  # fmt: skip
    assert [words_figure.choices_text(x) for x in (1.34, 22.3, math.inf)] == ["1.3", "22", "∞"]


def test_chips_say_what_the_reading_says() -> None:
    reading = under_unigram([0.5, 0.25, 0.125, 0.125], [1, 3])
    first, second = words_figure.chips([("cat", ""), ("emu", "<unk>")], reading, 4)
    assert (first["text"], first["note"], first["as"]) == ("cat", "2.0", "")
    assert first["tip"] == ["p = 0.25, 1 in 4", "2.0 bits of surprise", "rank 2 of 4"]
    assert (second["as"], second["shade"]) == ("<unk>", 0.25)
    json.dumps([first, second], allow_nan=False)


def test_the_legend_is_the_scale() -> None:
    legend = words_figure.legend_chips()
    assert [chip["note"] for chip in legend] == ["0 bits", "1 bit", "3 bits", "6 bits", "9 bits", "12 bits or more"]
    assert [chip["text"] for chip in legend] == [
        "certain",
        "1 in 2",
        "1 in 8",
        "1 in 64",
        "1 in 512",
        "1 in 4,096 or less",
    ]


def guesses(marked: Marked, **settings: object) -> style.Json:
    words, probabilities = ["the", "<unk>", "a"], [0.5, 0.2, 0.1]
    look = {"color": style.TARGET, "hatch": style.TARGET_HATCH, "about": "The best guesses"} | settings
    figure = words_figure.guesses_figure(words, probabilities, marked, **look)  # type: ignore[arg-type]
    json.dumps(figure, allow_nan=False)
    return figure


def test_the_word_that_came_is_marked_among_the_guesses() -> None:
    figure = guesses(Marked("a", 0.1, 3, "✓", "what came"), numbers=["7", "8", "9"])
    assert figure["layout"]["yaxis"]["ticktext"] == ["the", "&lt;unk&gt;", "<b>✓ a</b>"]
    others, came = figure["data"]
    assert (others["y"], others["customdata"]) == ([0, 1], [["7"], ["8"]])
    assert (came["y"], came["customdata"], came["marker"]["color"]) == ([2], [[""]], style.TARGET)
    assert "the 50.0 %" in figure["layout"]["meta"]["alt"]


def test_a_word_that_nobody_expected_is_added_with_its_rank() -> None:
    figure = guesses(Marked("zebra", 0.00001, 4321, "✓", "what came"))
    assert figure["layout"]["yaxis"]["ticktext"][-1] == "<b>✓ zebra</b> (rank 4,321)"
    assert figure["data"][1]["text"] == ["0.001 %"]
    assert (
        figure["layout"]["height"]
        == guesses(Marked("a", 0.1, 3, "✓", "what came"))["layout"]["height"] + words_figure.BAR
    )


def test_perplexity_is_worked_out_before_ones_eyes() -> None:
    working = worked_out(under_unigram([0.5, 0.25, 0.25], [0, 1, 2, 0]))
    assert words_figure.product_latex(working) == r"\begin{aligned}&0.5 \cdot 0.25 \cdots 0.5\\&= 0.0156\end{aligned}"
    assert words_figure.root_latex(working) == r"\sqrt[4]{0.0156} = 0.354"
    assert words_figure.inverse_latex(working) == r"\frac{1}{0.354} = \mathbf{2.8}"
    assert words_figure.power_latex(working) == "2^{1.50} = 2.8"


def test_a_product_that_underflows_and_one_of_nothing_are_written() -> None:
    small = worked_out(under_unigram([0.999, 0.001], [1] * 300))
    assert re.search(r"= 1\.00 \\times 10\^\{-900\}", words_figure.product_latex(small))
    none = worked_out(under_unigram([1.0, 0.0], [0, 1]))
    assert r"= \mathbf{\infty}" in words_figure.inverse_latex(none)
