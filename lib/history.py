"""The networks that a run had on its way: its first seed's weights at some of its steps, in bounded memory.

Changes early in training are fast and later ones slow, so most of these steps lie densely at the start.
"""

from bisect import bisect_right
from collections.abc import Mapping

import numpy as np

Arrays = dict[str, np.ndarray]
Network = dict[str, Arrays]  # {"cell": …, "output": …} without a seed axis, as lib.trace takes it

MOST_NETWORKS, FEWEST_NETWORKS = 64, 8
MOST_BYTES = 16 * 2**20
# The parameters of lib.networks in the order in which TensorFlow flattens them; those of a cell with peepholes are one more.
_LEAVES = (
    ("cell", "bias"),
    ("cell", "input_weights"),
    ("cell", "recurrent_weights"),
    ("output", "bias"),
    ("output", "weights"),
)
_WITH_PEEPHOLES = (*_LEAVES[:2], ("cell", "peephole_weights"), *_LEAVES[2:])


def network_of(leaves: Mapping[str, np.ndarray], seed: int = 0) -> Network | None:
    """One seed's network, read-only, from what `Carry.weights` or `Carry.to_arrays` wrote.

    None for a network of another form than one cell with a linear output (see lib.networks).
    """
    names = next((names for names in (_LEAVES, _WITH_PEEPHOLES) if _has_form(leaves, names)), ())
    network: Network = {"cell": {}, "output": {}}
    for i, (part, name) in enumerate(names):
        network[part][name] = np.array(leaves[_leaf(i)][seed])
        network[part][name].setflags(write=False)
    return network if names else None


def _has_form(leaves: Mapping[str, np.ndarray], names: tuple[tuple[str, str], ...]) -> bool:
    """Whether these are the parameters of one cell with a linear output, under these names."""
    found = [leaves.get(_leaf(i)) for i in range(len(names) + 1)]
    *shapes, following = [np.shape(leaf) if leaf is not None else () for leaf in found]
    of = dict(zip(names, shapes, strict=True))
    if [len(shape) for shape in of.values()] != [2 if name == "bias" else 3 for _, name in names]:
        return False
    (seeds, width), (_, inputs, _) = shapes[:2]
    (_, units, _), (_, outputs), _ = shapes[-3:]
    form = {
        "cell": {
            "bias": (seeds, width),
            "input_weights": (seeds, inputs, width),
            "peephole_weights": (seeds, 3, units),
            "recurrent_weights": (seeds, units, width),
        },
        "output": {"bias": (seeds, outputs), "weights": (seeds, units, outputs)},
    }
    if "parameters" in leaves:
        if leaves["parameters"] != len(names):
            return False
        following = ()
    # An optimizer's slot may follow: that of the first leaf.
    return all(shape == form[part][name] for (part, name), shape in of.items()) and following in ((), shapes[0])


def leaves_of(network: Network) -> Arrays:
    """The inverse of `network_of`: flat, with a seed axis of one."""
    names = _WITH_PEEPHOLES if "peephole_weights" in network["cell"] else _LEAVES
    return {_leaf(i): network[part][name][None] for i, (part, name) in enumerate(names)}


def parameters_of(leaves: Mapping[str, np.ndarray], seed: int = 0) -> Arrays:
    """One seed's parameters of a network of any form, flat and with a seed axis of one, as `leaves_of` gives them.

    They are taken from what `Carry.weights` or `Carry.to_arrays` wrote; of another engine's there are none.
    """
    count = int(leaves["parameters"]) if "parameters" in leaves else len(leaves)
    names = [name for name in map(_leaf, range(count)) if name in leaves]
    return {name: np.array(leaves[name][seed : seed + 1]) for name in names}


def _leaf(index: int) -> str:
    return f"leaf_{index:03d}"


def kept_count(network: Network) -> int:
    """How many networks of this size are kept: as many as fit into 16 MiB, but from 8 to 64."""
    size = sum(array.nbytes for part in network.values() for array in part.values())
    return min(MOST_NETWORKS, max(FEWEST_NETWORKS, MOST_BYTES // size))


def kept_steps(steps: int, count: int) -> tuple[int, ...]:
    """At most `count` (3 or more) of the steps 0 to `steps`, both ends among them, in order.

    Two thirds lie geometrically (1, 2, 3, 4, 6, 8, …), the others evenly.
    """
    if steps < count:
        return tuple(range(steps + 1))
    geometric = [1]
    for left in range(count * 2 // 3 - 1, 0, -1):
        last = geometric[-1]
        geometric.append(max(last + 1, round(last * (steps / last) ** (1 / left))))
    even = np.linspace(0, steps, count - len(geometric) + 1).astype(int)  # `steps` is among the geometric ones too
    return tuple(sorted({*geometric, *even.tolist()}))


class History:
    """Networks by the step that the run had them at. One thread adds, any thread reads.

    `planned` are the steps, in order, whose networks are to be kept.
    """

    def __init__(self, planned: tuple[int, ...] = ()) -> None:
        self.planned = planned
        self._networks: dict[int, Network] = {}  # in order; replaced as a whole, so that readers need no lock

    def add(self, step: int, network: Network) -> None:
        """Keep a network."""
        self._networks = dict(sorted({**self._networks, step: network}.items()))

    def steps(self) -> tuple[int, ...]:
        """The steps that there is a network of, in order."""
        return tuple(self._networks)

    def at(self, step: int) -> tuple[int, Network] | None:
        """The latest network kept at this step or before it, and its step; None when there is none."""
        networks = self._networks
        found = bisect_right(list(networks), step)
        if not found:
            return None
        kept = list(networks)[found - 1]
        return kept, {part: dict(arrays) for part, arrays in networks[kept].items()}

    def next_after(self, step: int) -> int | None:
        """The next step whose network is to be kept; None when no more is."""
        place = bisect_right(self.planned, step)
        return self.planned[place] if place < len(self.planned) else None

    def to_arrays(self) -> Arrays:
        """All of it as a flat dict of arrays, for the store: the leaves of all networks along the seed axis."""
        networks = self._networks
        if not networks:
            return {}
        flat = [leaves_of(network) for network in networks.values()]
        leaves = {name: np.concatenate([each[name] for each in flat]) for name in flat[0]}
        return {"planned": np.array(self.planned), "steps": np.array(list(networks)), **leaves}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "History":
        """The history that `to_arrays` wrote."""
        history = cls(tuple(arrays["planned"].tolist()) if "planned" in arrays else ())
        for i, step in enumerate(arrays["steps"].tolist() if "steps" in arrays else ()):
            if (network := network_of(arrays, i)) is not None:
                history.add(step, network)
        return history
