"""What scripts have to do with cutting a text: which put no spaces between words, what a character is, what ends a sentence.

Characters are extended grapheme clusters (Unicode Standard Annex 29), such as a letter with its accents or a whole emoji. Scripts
are told apart by Unicode's Script_Extensions (Annex 24), and sentences end where its property Sentence_Terminal says.
"""

import regex

# Chinese, Japanese, Thai, Lao, Khmer and Burmese are written without spaces between words.
_NAMES = ("Han", "Hiragana", "Katakana", "Bopomofo", "Thai", "Lao", "Khmer", "Myanmar")
_UNSPACED = "[" + "".join(rf"\p{{scx={name}}}" for name in _NAMES) + "]"
CHARACTER = (
    rf"(?:(?={_UNSPACED})(?=[\p{{L}}\p{{Nl}}])\X)"  # a letter of such a script, with the signs that belong to it
)
_CLOSING = r"""["'”’»)\]」』）】》〉]*+"""
_TERMINAL = r"[\p{Sentence_Terminal}…]"
_NO_SPACE = "[。！？｡។။]"  # what ends a sentence where the next may begin without a space
_PHRASE = r"[\p{Script=Thai}\p{Script=Lao}]"  # these end a sentence, or a part of one, with a space alone

_IS_CHARACTER = regex.compile(CHARACTER)
_ENDS = regex.compile(
    rf"(?<=[\p{{Sentence_Terminal}}…])({_CLOSING})\s++|(?<={_NO_SPACE})(?!{_TERMINAL})({_CLOSING})(?=\S)|(?<={_PHRASE})()\s++(?={_PHRASE})"
)


def graphemes(text: str) -> list[str]:
    """Split a text into what a reader calls characters."""
    return regex.findall(r"\X", text)


def is_unspaced(text: str) -> bool:
    """Say whether a text begins with a letter of a script that puts no spaces between words."""
    return _IS_CHARACTER.match(text) is not None


def sentences(block: str) -> list[str]:
    """Split one block of text, without line breaks, into sentences.

    A sentence ends after a terminal mark of any script, such as . ! ? … ؟ or ।, with the quotes and brackets that close behind
    it, where a space follows; after 。！？ also without a space; and in Thai and Lao at a space between two letters.
    """
    return [sentence for sentence in _ENDS.sub(r"\1\2\n", block).split("\n") if sentence]
