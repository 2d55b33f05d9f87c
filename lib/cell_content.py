"""What the stepping view draws of one unit (app/static/cell.js)."""

from collections.abc import Mapping

from lib import style
from lib.inside import Inside
from lib.reading import visible
from lib.style import Json
from lib.trace import PARTS


def cell_content(inside: Inside) -> Json:
    """What the stepping view draws of the chosen unit (app/static/cell.js): all steps, so that it steps without the server."""
    unit, after = inside.view.unit, inside.after
    values = {part: style.numbers(after[part][:, 0, unit], 5) for part in PARTS[inside.cell]}
    for part in ("c", "h"):
        if part in after:
            values[f"{part}_before"] = style.numbers(inside.before(part)[:, unit], 5)
    sums = {
        gate: {name: part if name == "bias" else style.numbers(part, 5) for name, part in parts.items()}
        for gate, parts in inside.sums.items()
    }
    return {
        "cell": inside.cell,
        "labels": [visible(label) for label in inside.reading.labels(inside.language)],
        "marked": [int(token) in inside.language.marked for token in inside.reading.tokens],
        "unit": unit,
        "units": inside.units,
        "step_of_training": inside.step,
        "values": values,
        "sums": sums,
        "held": inside.held(),
        "explain": EXPLAINED[inside.cell],
    }


_SHARED = {
    "x": "What is read at this step: one token. What its weights add goes into the sum of every gate.",
    "h_before": "The hidden states of all units after the step before. They go into the sum of every gate, too.",
}
_LSTM = {
    "i": "The input gate: how much of the candidate is written into the memory. 0 writes nothing, 1 all of it.",
    "f": "The forget gate: how much of the memory is kept. 1 keeps everything, 0 drops everything.",
    "g": "The candidate: what could be written into the memory, from -1 to 1.",
    "o": "The output gate: how much of the memory the other units and the answer hear.",
    "c": "The cell state: the memory. What was kept of the old one, plus what was written.",
    "c_before": "The cell state after the step before: the memory that this step begins with.",
    "h": "The hidden state: the memory, squashed to between -1 and 1, as far as the output gate lets it out.",
}
EXPLAINED: Mapping[str, Mapping[str, str]] = {
    "lstm": _SHARED | _LSTM,
    "lstm_peephole": _SHARED
    | _LSTM
    | {
        "c": "The cell state: the memory. Through a peephole the output gate sees it before it shows it.",
        "c_before": "The cell state after the step before: the memory that this step begins with. Through peepholes the input "
        "and the forget gate see it.",
    },
    "lstm_coupled": _SHARED
    | _LSTM
    | {
        "i": "The input gate is 1 − f, with no weights of its own: what is forgotten makes room for as much of the candidate.",
        "f": "The forget gate: how much of the memory is kept. 1 keeps everything, 0 replaces it by the candidate.",
        "c": "The cell state: the memory. A mixture of the old one and the candidate, by the forget gate.",
    },
    "gru": _SHARED
    | {
        "z": "The update gate: how much of the old state is kept. 1 keeps everything, 0 replaces it by the candidate. So in Cho "
        "et al. (2014) and Keras; in Chung et al. (2014) and Olah's “Understanding LSTM networks” z and 1 − z change places.",
        "r": "The reset gate: how much of the old states the candidate hears.",
        "n": "The candidate: the new state that is offered, from -1 to 1.",
        "h": "The hidden state: a mixture of the old one and the candidate, by the update gate.",
    },
    "rnn": _SHARED
    | {
        "h": "The hidden state: everything is written anew at each step, so whatever is to last must be computed again."
    },
}
