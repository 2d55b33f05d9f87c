"""What a demo's theory says of its settings on a map.

A theory module has `chance(config)`, `floor(config)`, `learned_below(config)`, `explain(config)` and `BOUNDARIES`. `floor` is
the one lower bound: of information, what any network could reach that has read what this one has read since its state was
zero, for the mean loss of the last 100 steps of a whole run, in nats. It does not depend on the window where the state is
carried. Where it is not of the training loss itself, a text `BOUND` says of what it is, for the command line.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class Boundary(NamedTuple):
    """A line on a map of settings: on its inner side something is so, for a reason that `says` tells.

    `name` is its column in tables, `label` its legend, as in "the window reaches the bit"; `says` is a sentence about what
    lies within it, and how that is known. A `dashed` one is of what the window teaches; the other of what is expected from
    measurements.
    """

    name: str
    label: str
    says: str
    inside: Callable[[Any], bool]
    dashed: bool = False
