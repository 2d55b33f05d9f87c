"""Challenges: a goal that a host sets for a room, and who is nearest to it."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lib.records import RunRecord
from lib.settings import Config, SettingError, settings_of
from lib.values import shown

OPERATORS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "<=": ("at most", operator.le),
    ">=": ("at least", operator.ge),
    "=": ("exactly", operator.eq),
}
SCORE = "mean_last_100"  # of the loss: one lucky step is no achievement


@dataclass(frozen=True)
class Place:
    """One person's best run in a challenge."""

    nickname: str
    run: str
    loss: float
    step: int


@dataclass(frozen=True)
class Challenge:
    """The lowest loss on a demo, among runs that keep to the conditions: triples of a setting, an operator and a value.

    Times are seconds since 1970.
    """

    slug: str
    conditions: list[list[Any]]
    opened: float
    closed: float = 0.0
    places: list[Place] = field(default_factory=list)

    def problem(self, config_of: Callable[[str], type[Config]]) -> str:
        """Why this version of Unrolled cannot say or judge it, when another has posed it; empty where it can."""
        if gone := missing(self.slug, [name for name, _, _ in self.conditions], config_of):
            return gone
        fields = settings_of(config_of(self.slug))
        try:
            for name, _, value in self.conditions:
                fields[name].accept(value)
        except SettingError as error:
            return str(error)
        return ""

    def text(self, title: str, config_class: type[Config]) -> str:
        """The challenge in words."""
        fields = settings_of(config_class)
        parts = []
        for name, sign, value in self.conditions:
            parts.append(f"{fields[name].label.lower()} {OPERATORS[sign][0]} {fields[name].in_words(value)}")
        return f"The lowest loss on {title}" + (f", with {', '.join(parts)}" if parts else "")

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether these settings keep to its conditions."""
        return all(OPERATORS[sign][1](values[name], value) for name, sign, value in self.conditions)

    def ended(self, now: float, places: list[Place]) -> "Challenge":
        """The same, over."""
        return replace(self, closed=now, places=places)

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Challenge":
        """From what `as_json` gave."""
        return cls(**{**values, "places": [Place(**place) for place in values["places"]]})


def missing(slug: str, names: Sequence[str], config_of: Callable[[str], type[Config]]) -> str:
    """What this version of Unrolled lacks of a demo and its settings; empty where they are all there."""
    try:
        fields = settings_of(config_of(slug))
    except LookupError:
        return f"This version of Unrolled has no demo {shown(slug)}."
    gone = [name for name in names if name not in fields]
    return f"In this version of Unrolled {slug} has no setting {', '.join(map(shown, gone))}." if gone else ""


def leaderboard(
    challenge: Challenge,
    runs: Sequence[RunRecord],
    nicknames: Mapping[str, str],
    config_of: Callable[[str], type[Config]],
) -> list[Place]:
    """Everyone's best run that was begun while the challenge was open, the lowest mean loss of the last 100 steps first."""
    best: dict[str, Place] = {}
    if challenge.problem(config_of):
        return []
    for run in runs:
        loss = run.summary.get("loss", {}).get(SCORE)
        nickname = nicknames.get(run.visitor)
        late = run.created < challenge.opened or run.origin  # what was trained before would be no contest
        if run.slug != challenge.slug or late or loss is None or nickname is None:
            continue
        if set(run.config) != set(settings_of(config_of(run.slug))):
            continue  # of another version
        # A live setting that was moved must have kept to the conditions all the way.
        trained = [run.config, *(run.config | {name: value} for _, name, value in run.changes)]
        if not all(challenge.holds(values) for values in trained):
            continue
        if run.visitor not in best or loss < best[run.visitor].loss:
            best[run.visitor] = Place(nickname, run.id, loss, run.step)
    return sorted(best.values(), key=lambda place: (place.loss, place.nickname))
