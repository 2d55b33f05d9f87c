"""Sweeps: a demo trained at every combination of one or two settings, with several seeds at each.

An axis is a setting and its values. In text, for the command line and the page alike:

    echo_step=1:12          whole numbers from 1 to 12; 1:12:2 goes by 2
    learning_rate=0.001:1   of a logarithmic setting: 0.001, 0.01, 0.1, 1; 0.001:1:3 goes by factors of 3
    state_size=2,4,8,16     these values
    optimizer=adagrad,adam  these options
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lib.settings import Config, Setting, SettingError, parse, replace, settings_of
from lib.values import Value, as_text, read_float

MOST_CELLS = 400
MOST_AXES = 2


class SweepError(ValueError):
    """A sweep that cannot be made. Its text is one line with the remedy."""


class Axis(NamedTuple):
    """A setting's name and the values that it takes, in the order in which they are drawn."""

    name: str
    values: tuple[Value, ...]

    def text(self) -> str:
        """The values as `parse_axis` reads them."""
        return ", ".join(map(as_text, self.values))


@dataclass(frozen=True)
class Plan:
    """What a sweep trains: `base` with every combination of the axes' values. All cells have been checked.

    The first axis is drawn across, the second upwards. Cell i has the first axis's value i % columns.
    """

    base: Config
    axes: tuple[Axis, ...]

    @property
    def columns(self) -> int:
        """The number of the first axis's values."""
        return len(self.axes[0].values)

    @property
    def rows(self) -> int:
        """The number of the second axis's values; 1 without one."""
        return len(self.axes[1].values) if len(self.axes) > 1 else 1

    def changes(self, index: int) -> dict[str, Value]:
        """The settings in which cell `index` differs from the base."""
        return {
            axis.name: axis.values[at]
            for axis, at in zip(self.axes, (index % self.columns, index // self.columns), strict=False)
        }

    @property
    def cells(self) -> list[Config]:
        """The config of every cell, row by row."""
        return [replace(self.base, **self.changes(i)) for i in range(self.columns * self.rows)]


def plan(base: Config, axes: Sequence[tuple[str, str]]) -> Plan:
    """The plan of axes given as texts, (name, values). Raises SettingError and SweepError."""
    if not 1 <= len(axes) <= MOST_AXES:
        raise SweepError(f"A sweep has one or two axes, not {len(axes)}.")
    read = tuple(parse_axis(type(base), name, values) for name, values in axes)
    if len({axis.name for axis in read}) < len(read):
        raise SweepError(f"Both axes are {read[0].name}: choose another setting for one of them.")
    count = math.prod(len(axis.values) for axis in read)
    if count > MOST_CELLS:
        raise SweepError(f"These axes make {count} cells: choose fewer values, for at most {MOST_CELLS}.")
    made = Plan(base, read)
    for i in range(count):
        changes = made.changes(i)
        try:
            replace(base, **changes)
        except SettingError as error:
            cell = ", ".join(f"{name} {as_text(value)}" for name, value in changes.items())
            raise SweepError(f"The cell with {cell} is not possible: {error}") from None
    return made


def parse_axis(config_class: type[Config], name: str, text: str) -> Axis:
    """The axis of a setting. Raises SettingError, naming the value that the setting cannot take."""
    fields = settings_of(config_class)
    if name not in fields:
        parse(config_class, {name: text})  # which says what is wrong with the name
    if name == "seeds":
        raise SweepError("seeds cannot be an axis: it is the number of networks in each cell.")
    field, values = fields[name], []
    for item in text.split(","):
        values += _span(field, item.strip()) if ":" in item else [field.accept(item.strip())]
    return Axis(name, tuple(dict.fromkeys(values)))


def _span(field: Setting, item: str) -> list[Value]:
    """The values of "low:high" or "low:high:step"."""
    if field.options is not None or field.type is bool:
        raise SettingError(field.name, item, "is not a list of values", f"choose {field.limits}, separated by commas")
    numbers = [read_float(part) for part in item.split(":")]
    remedy = "write it as low:high or low:high:step"
    if len(numbers) > 3 or any(number is None for number in numbers):
        raise SettingError(field.name, item, "is not a range", remedy)
    low, high, *more = (float(number) for number in numbers if number is not None)
    by_factor = field.scale == "log"
    step = more[0] if more else (10.0 if by_factor else float(field.step or 1))
    if low > high or step <= (1 if by_factor else 0):
        raise SettingError(field.name, item, "is not a range upwards", remedy)
    count = math.log(high / low, step) if by_factor and low > 0 else (high - low) / step
    if count > MOST_CELLS:
        raise SettingError(field.name, item, f"has more than {MOST_CELLS} values", "choose a larger step")
    found = (low * step**i if by_factor else low + step * i for i in range(math.floor(count + 1e-9) + 1))
    return [field.accept(f"{value:.10g}") for value in found]


# Results


class Result(NamedTuple):
    """What a cell has come to: `final_by_seed` is each seed's mean loss over its last 100 steps, None if not finite."""

    state: str
    final_by_seed: tuple[float | None, ...]

    @property
    def median(self) -> float | None:
        """The median over seeds of the final loss; None while there is none or when most seeds have diverged."""
        if not self.final_by_seed or self.state == "diverged":
            return None
        value = statistics.median(math.inf if loss is None else loss for loss in self.final_by_seed)
        return value if math.isfinite(value) else None

    def learned(self, threshold: float) -> int:
        """How many seeds ended at or below a loss."""
        if self.state == "diverged":
            return 0
        return sum(loss is not None and loss <= threshold for loss in self.final_by_seed)


def rows_of(plan: Plan, results: Mapping[int, Result], theory: Any) -> list[dict[str, Any]]:
    """The cells as plain rows, for CSV and JSON: settings, state, median, seeds that learned, and the theory's values."""
    found = []
    for index, config in enumerate(plan.cells):
        result = results.get(index, Result("waiting", ()))
        found.append(
            plan.changes(index)
            | {
                "state": result.state,
                "median_final_loss": result.median,
                "seeds_learned": result.learned(theory.learned_below(config)),
                "seeds": len(result.final_by_seed),
                "final_loss_by_seed": list(result.final_by_seed),
                "chance": theory.chance(config),
                "floor": theory.floor(config),
            }
            | {each.name: bool(each.inside(config)) for each in theory.BOUNDARIES}
        )
    return found


# How long it takes

# Measured on two cores with `python -m benchmarks sweep`, to say beforehand about how long a sweep will take.
SECONDS_PER_CELL, SECONDS_PER_STEP, SECONDS_PER_PRODUCT, SECONDS_PER_SHAPE = 0.03, 5e-6, 1.0e-9, 1.7


def estimate(plan: Plan) -> float:
    """About how many seconds a sweep takes on two cores that do nothing else.

    A demo's config says how many `products` a step multiplies for one seed, and with `shape` which cells share their code.
    """
    cells: list[Any] = plan.cells
    training = sum(
        c.steps * (SECONDS_PER_STEP + getattr(c, "seeds", 1) * c.products * SECONDS_PER_PRODUCT) for c in cells
    )
    return (
        training
        + len(cells) * SECONDS_PER_CELL
        + len({(c.shape, c.optimizer, c.windows_per_epoch) for c in cells}) * SECONDS_PER_SHAPE
    )


def in_words(seconds: float) -> str:
    """A rough time: "about 20 seconds", "about 3 minutes"."""
    if seconds < 90:
        return f"about {max(5, 5 * round(seconds / 5))} seconds"
    return f"about {round(seconds / 60)} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"
