"""What the claims of the gates experiments read of a run: each measure gives a number of each seed's network, [S]."""

from collections.abc import Callable

import numpy as np

from demos.gates import inside
from lib.gating import Gating, gating
from lib.inside import Inside, View
from lib.lessons import Claim, Finding, Results

LEARNED = 0.1  # nats


def looks(results: Results) -> list[Inside]:
    """Each seed's network, looked into; all with the same held-out sequences."""
    return [Inside(inside, results.config, network, 0, View()) for network in results.networks]


def gatings(results: Results) -> list[Gating]:
    """How each seed's network keeps what its task asks for."""
    return [found for look in looks(results) if (found := gating(look)) is not None]


def openings(results: Results) -> np.ndarray:
    """How much the best input gate opens, [S]."""
    return np.array([found.opening for found in gatings(results)])


def closings(results: Results) -> np.ndarray:
    """How much the forget gates close in the mean, [S]."""
    return np.array([found.closing for found in gatings(results)])


def drifts(results: Results) -> np.ndarray:
    """How much what is stored drifts from its writing to the cue, as a share of its size, the mean of the carriers, [S]."""
    return np.array(
        [found.drift[found.carriers].mean() if len(found.carriers) else np.nan for found in gatings(results)]
    )


def accuracies(results: Results) -> np.ndarray:
    """On held-out sequences, [S]."""
    return np.array([look.scores[0].accuracy for look in looks(results)])


def depth_correlations(results: Results) -> np.ndarray:
    """|r| of the unit that correlates best with the depth of brackets, [S]."""
    return np.array([np.abs(look.correlations["depth"]).max() for look in looks(results)])


def writings(results: Results) -> np.ndarray:
    """How much more of the candidate's size there is where something is written, the mean of the carriers, [S]."""
    found = []
    for look, keeps in zip(looks(results), gatings(results), strict=True):
        stored, size = look.held_out.stored, np.abs(look.held_out_trace["g"])
        assert stored is not None
        gap = size[stored.written].mean(axis=0) - size[stored.others].mean(axis=0)
        found.append(gap[keeps.carriers].mean() if len(keeps.carriers) else np.nan)
    return np.array(found)


def forget_gates(results: Results) -> np.ndarray:
    """The mean of the forget gates over all units and steps, [S]."""
    return np.array([look.held_out_trace["f"].mean() for look in looks(results)])


def held_out_losses(results: Results) -> np.ndarray:
    """In nats, [S]."""
    return np.array([look.scores[0].loss for look in looks(results)])


def strongest_gate(results: Results) -> float:
    """Which gate differs most between marks and other letters, the mean of the carriers: 0 input, 1 forget, 2 output."""
    gaps = np.zeros(3)
    for look, found in zip(looks(results), gatings(results), strict=True):
        stored = look.held_out.stored
        assert stored is not None
        for at, gate in enumerate("ifo"):
            values = look.held_out_trace[gate]
            gap = np.abs(values[stored.written].mean(axis=0) - values[stored.others].mean(axis=0))
            gaps[at] += gap[found.carriers].mean() if len(found.carriers) else 0.0
    return float(gaps.argmax())


# Claims


def most(text: str, of: Callable[[Results], np.ndarray], so: Callable[[np.ndarray], np.ndarray], share: float) -> Claim:
    """That a number of each network [S] is `so` for at least this share of the networks."""

    def check(results: Results) -> Finding:
        values = of(results)
        good = so(values)
        return Finding(f"{good.sum()} of {len(values)}: {', '.join(short(v) for v in values)}.", good.mean() >= share)

    return Claim(text, check)


def short(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def above(limit: float, values: np.ndarray) -> np.ndarray:
    """Which are at least the limit."""
    return values >= limit


def below(limit: float, values: np.ndarray) -> np.ndarray:
    """Which are below the limit."""
    return values < limit


def learned(results: Results) -> np.ndarray:
    """Which networks ended below 0.1, bool [S]."""
    return results.finals < LEARNED


def count_learned(results: Results) -> float:
    return float(learned(results).sum())


def median(of: Callable[[Results], np.ndarray]) -> Callable[[Results], float]:
    """The median network's number."""
    return lambda results: float(np.nanmedian(of(results)))
