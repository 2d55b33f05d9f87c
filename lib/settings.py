"""A demo's settings: one table of fields that sliders, web address, command line and run record all read.

A demo declares its settings once, as a frozen pydantic model:

    class EchoConfig(Config):
        echo_step: int = setting(3, group="Task", label="Echo step", help="…", minimum=1, maximum=50)

`parse` reads values strictly and raises SettingError; `clamp` reads them kindly, never raises, and says
what it changed.
"""

import difflib
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lib.coverage import Coverage
from lib.values import KINDS, LONGEST_SHOWN, Value, alternatives, as_text, read_option, shown

Scale = Literal["linear", "log"]
TEXT_ID = re.compile(r"[0-9a-f]{16}|")
FED = ("learning_rate", "clip_norm")  # what a compiled chunk is given anew at each call (lib.training)


class SettingError(ValueError):
    """A value that a setting cannot take. Its text is one line: field, value, what is wrong, the remedy."""

    def __init__(self, field: str, value: object, problem: str, remedy: str) -> None:
        super().__init__(field, value, problem, remedy)
        self.field, self.value, self.problem, self.remedy = field, value, problem, remedy

    def __str__(self) -> str:
        end = "" if self.remedy.endswith(("?", ".")) else "."
        return f"{shown(self.field)} = {shown(self.value)} {self.problem}: {self.remedy}{end}"


@dataclass(frozen=True)
class Setting:
    """What a control, a message or a command line needs to know about one field."""

    name: str
    type: type
    default: Value
    group: str
    label: str
    help: str
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    scale: Scale = "linear"
    live: bool = False  # takes effect in a running job
    options: Mapping[str, str] | None = None  # value -> what a person reads
    text: bool = False  # the id of a stored text (see lib.texts), or "" for the demo's own
    absent: Value | None = None  # what runs had that were recorded before there was this setting; None: there were none
    only: tuple[str, tuple[Value, ...]] | None = None  # it matters only where another setting has one of these values
    sets: Mapping[str, Mapping[str, Value]] | None = (
        None  # option -> what the other settings are beside it, unless given
    )

    def matters(self, values: Mapping[str, Any]) -> bool:
        """Whether it does anything beside these settings."""
        return self.only is None or values[self.only[0]] in self.only[1]

    @property
    def limits(self) -> str:
        """The allowed values in words: "a whole number from 1 to 50 (steps)"."""
        if self.options:
            return alternatives(self.options)
        if self.text:
            return "the id of a stored text, or nothing for our own"
        if self.type is bool:
            return "true or false"
        unit = f" ({self.unit})" if self.unit else ""
        return f"{KINDS[self.type].noun} from {self.minimum} to {self.maximum}{unit}"

    def brief(self, value: Value) -> str:
        """A value as a person reads it: "8", "0.3", "Adam"."""
        if self.options:
            return self.options[str(value)]
        return f"{value:g}" if isinstance(value, float) else as_text(value)

    def in_words(self, value: Value) -> str:
        """The same with its unit: "8 units"."""
        return f"{self.brief(value)} {self.unit}".rstrip()

    def phrase(self, value: Value) -> str:
        """The same after its label: "echo step 3 steps", "hidden units 8"."""
        label = self.label.lower()
        return f"{label} {self.brief(value) if label.endswith(self.unit) else self.in_words(value)}"

    def read(self, raw: object) -> Value:
        """The value as this setting's type, its bounds not yet checked. Raises SettingError."""
        if self.options is not None:
            value: Value | None = read_option(raw, self.options)
            problem = "is not one of the options"
        elif self.text:
            value = raw if isinstance(raw, str) and TEXT_ID.fullmatch(raw) else None
            problem = "is not the id of a text"
        else:
            value = KINDS[self.type].read(raw)
            problem = f"cannot be read as {KINDS[self.type].noun}"
        if value is None:
            raise SettingError(self.name, raw, problem, f"choose {self.limits}")
        return value

    def bound_crossed(self, value: Value) -> tuple[str, float] | None:
        """("above", maximum) or ("below", minimum) for a number that is out of bounds, else None."""
        if isinstance(value, str | bool):
            return None
        if self.maximum is not None and value > self.maximum:
            return "above", self.maximum
        if self.minimum is not None and value < self.minimum:
            return "below", self.minimum
        return None

    def accept(self, raw: object) -> Value:
        """The value, of the right type and within bounds. Raises SettingError."""
        value = self.read(raw)
        if crossed := self.bound_crossed(value):
            raise SettingError(self.name, raw, f"is {crossed[0]} {crossed[1]}", f"choose {self.limits}")
        return value


def setting(
    default: Value,
    *,
    group: str,
    label: str,
    help: str,  # noqa: A002 (the word that Streamlit and argparse have for it)
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    step: float | None = None,
    scale: Scale = "linear",
    live: bool = False,
    options: Mapping[str, str] | None = None,
    text: bool = False,
    absent: Value | None = None,
    only: tuple[str, tuple[Value, ...]] | None = None,
    sets: Mapping[str, Mapping[str, Value]] | None = None,
) -> Any:
    """A pydantic field that carries what its control needs. `options` maps each allowed text to its label."""
    extra: dict[str, Any] = {"group": group, "label": label, "help": help, "unit": unit}
    extra |= {"minimum": minimum, "maximum": maximum, "step": step, "scale": scale, "live": live}
    extra |= {"options": dict(options) if options else None, "text": text, "absent": absent}
    extra |= {"only": only, "sets": sets}
    return Field(default, ge=minimum, le=maximum, json_schema_extra={"setting": extra})


class Config(BaseModel):
    """Base of every demo's settings: frozen, checked, and every field made with `setting`.

    A rule across fields is a model validator that raises SettingError; `repair` gets `clamp` out of it. `fed` names the settings
    that the demo's engine takes anew at each chunk: only these can be live.
    """

    fed: ClassVar[tuple[str, ...]] = FED
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True)

    @property
    def learns_from(self) -> str:
        """The text that a run learns from and its size, in words; "" where its data is drawn at random."""
        return ""

    @property
    def coverage(self) -> Coverage | None:
        """How much of the text that a run learns from is in its vocabulary; None where it learns no text. May take seconds."""
        return None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """A mistake in the table is found when the module is imported. Raises TypeError."""
        super().__pydantic_init_subclass__(**kwargs)
        table = settings_of(cls)
        for field in table.values():
            faults = _fault(field), _unfed(field, cls.fed), _unknown_only(field, table), _unknown_sets(field, table)
            if fault := next(filter(None, faults), None):
                raise TypeError(f"{cls.__name__}.{field.name} {fault}")
        try:
            _build(cls, {})
        except SettingError as error:
            raise TypeError(f"{cls.__name__} has defaults that it refuses: {error}") from error

    @classmethod
    def repair(cls, values: dict[str, Value]) -> tuple[dict[str, Value], list[str]]:
        """Values that keep the rules across fields, and a sentence for each change.

        It is given a value within bounds for every field.
        """
        return values, []

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        for name, field in settings_of(type(self)).items():
            if field.options is not None or field.text:
                field.accept(getattr(self, name))
        return self


C = TypeVar("C", bound=Config)


@cache
def settings_of(config_class: type[Config]) -> dict[str, Setting]:
    """The fields in the order in which the class declares them."""
    table = {}
    for name, field in config_class.model_fields.items():
        extra = field.json_schema_extra
        if not isinstance(extra, dict) or "setting" not in extra:
            raise TypeError(f"{config_class.__name__}.{name} must be made with lib.settings.setting(...)")
        details: Any = extra["setting"]
        kind: Any = field.annotation
        table[name] = Setting(name=name, type=kind, default=field.default, **details)
    return table


def parse(config_class: type[C], values: Mapping[str, object]) -> C:
    """The config with these values and defaults elsewhere; texts are read as numbers. Raises SettingError."""
    table = settings_of(config_class)
    accepted = {}
    for name, raw in values.items():
        if name not in table:
            raise SettingError(name, raw, "is not a setting of this demo", _nearest(name, table))
        accepted[name] = table[name].accept(raw)
    return _build(config_class, defaults(config_class, accepted) | accepted)


def defaults(config_class: type[Config], values: Mapping[str, object]) -> dict[str, Value]:
    """What each setting is when it is not given: its own default, or what a setting among `values` sets it to."""
    table = settings_of(config_class)
    found: dict[str, Value] = {name: field.default for name, field in table.items()}
    for name, field in table.items():
        if field.sets is not None:
            found |= field.sets.get(str(values.get(name, found[name])), {})
    return found


def given(config: Config) -> dict[str, Value]:
    """The settings that are not what they would be beside the others: `parse` makes the config of them."""
    values = config.model_dump()

    def usual(name: str) -> Value:
        return defaults(type(config), {other: value for other, value in values.items() if other != name})[name]

    return {name: value for name, value in values.items() if value != usual(name)}


def before(config_class: type[Config]) -> dict[str, Value]:
    """What a record that lacks a setting stands for: the value that all runs had before there was this setting."""
    return {name: field.absent for name, field in settings_of(config_class).items() if field.absent is not None}


def recorded(config_class: type[C], values: Mapping[str, Any]) -> C | None:
    """The config that a run's record holds; None where another version of the demo wrote it."""
    known = before(config_class) | dict(values)
    try:
        return _build(config_class, known) if set(known) == set(settings_of(config_class)) else None
    except SettingError:
        return None


def clamp(config_class: type[C], values: Mapping[str, object]) -> tuple[C, list[str]]:
    """The nearest valid config, and one sentence for each value that was changed or ignored. Never raises."""
    table = settings_of(config_class)
    chosen = {name: values[name] for name, field in table.items() if field.sets is not None and name in values}
    read = {name: read_option(raw, table[name].options or {}) or table[name].default for name, raw in chosen.items()}
    kept = defaults(config_class, read)
    notes = []
    for name, raw in values.items():
        if name in table:
            kept[name], note = _nearest_value(table[name], raw)
        else:
            note = f"{shown(name)} is not a setting of this demo, so it is ignored."
        if note:
            notes.append(note)
    try:
        return _build(config_class, kept), notes
    except SettingError as error:
        config, repairs = _repaired(config_class, kept, error)
        return config, notes + repairs


def replace(config: C, **values: object) -> C:
    """The same config with other values, checked as `parse` checks them. Raises SettingError.

    Where one of them sets others (see `Setting.sets`), these follow, but for those that were given.
    """
    return parse(type(config), given(config) | values)


def to_query(config: Config) -> dict[str, str]:
    """What differs from the defaults, as texts for a web address. `clamp` and `parse` read it back."""
    return {name: as_text(value) for name, value in given(config).items()}


def differences(a: Config, b: Config) -> dict[str, tuple[Value, Value]]:
    """The fields in which two configs of one class differ, as (value in a, value in b)."""
    if type(a) is not type(b):
        raise TypeError(f"differences needs two configs of one class, got {type(a).__name__} and {type(b).__name__}")
    pairs = {name: (getattr(a, name), getattr(b, name)) for name in settings_of(type(a))}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def needs_new_network(a: Config, b: Config) -> list[str]:
    """The differing fields that a running job cannot take over."""
    return [name for name in differences(a, b) if not settings_of(type(a))[name].live]


def live_values(config: Config) -> dict[str, float]:
    """The settings that take effect in a running job, as the numbers that the training chunk takes."""
    return {name: float(getattr(config, name)) for name, field in settings_of(type(config)).items() if field.live}


def _fault(field: Setting) -> str | None:
    """What is wrong with a field's declaration."""
    if field.text:
        return None if field.type is str else "is the id of a text: make it a str"
    if field.options is not None:
        lower = all(value == value.strip().lower() for value in field.options)
        return None if field.type is str and lower else "has options: make it a str, with options in lower case"
    if field.type not in KINDS:
        return f"is a {field.type!r}: make it an int, float or bool, or a str with options"
    if field.type is not bool and (field.minimum is None or field.maximum is None):
        return "is a number: give it a minimum and a maximum"
    if field.scale == "log" and not (field.minimum or 0) > 0:
        return "has a log scale: give it a minimum above 0"
    return None


def _unfed(field: Setting, fed: tuple[str, ...]) -> str | None:
    """What is wrong with a setting that a run would take over without a word, and train on as before."""
    if field.live and field.name not in fed:
        return f"is live, but a running job is fed {' and '.join(fed)} only: feed it (lib.training, `fed`), or make it not live"
    return None


def _unknown_only(field: Setting, table: Mapping[str, Setting]) -> str | None:
    """What is wrong with the setting that it depends on."""
    if field.only is None:
        return None
    name, wanted = field.only
    known: Container[Value] = (table[name].options or ()) if name in table else ()
    if name in table and table[name].type is bool:
        known = (True, False)
    if not all(value in known for value in wanted):
        return f"is only for {name} = {alternatives(map(str, wanted))}: name a setting with these options"
    return None


def _unknown_sets(field: Setting, table: Mapping[str, Setting]) -> str | None:
    """What is wrong with the settings that its options set."""
    names = list(table)
    settable = {name for name in names if table[name].sets is None or names.index(name) > names.index(field.name)}
    for option, values in (field.sets or {}).items():
        if option not in (field.options or {}):
            return f"sets something for {shown(option)}, which is none of its options"
        for name, value in values.items():
            if name not in settable or not _is_allowed(table[name], value):
                return f"sets {shown(name)} = {shown(value)} for {option}: name a setting, and a value of its"
            if option == field.default and value != table[name].default:
                return (
                    f"sets {shown(name)} = {shown(value)} for its default {option}: make that the default of {name} too"
                )
    return None


def _is_allowed(field: Setting, value: Value) -> bool:
    try:
        accepted = field.accept(value)
    except SettingError:
        return False
    return accepted == value and isinstance(value, (int, float) if field.type is float else field.type)


def _build(config_class: type[C], values: Mapping[str, Value]) -> C:
    try:
        return config_class(**values)
    except ValidationError as error:
        first = error.errors()[0]
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, SettingError):
            raise cause from None
        where = ".".join(str(part) for part in first["loc"]) or config_class.__name__
        raise SettingError(where, first["input"], f"is refused ({first['msg']})", "choose another value") from None


def _nearest_value(field: Setting, raw: object) -> tuple[Value, str | None]:
    """The allowed value nearest to `raw` (the default if it cannot be read), and a sentence if it differs."""
    try:
        value = field.read(raw)
    except SettingError as error:
        default = "our own" if field.text else f"the default {as_text(field.default)}"
        note = f"{field.name} = {shown(raw)} {error.problem}, so {default} is used."
        return field.default, note
    crossed = field.bound_crossed(value)
    if crossed is None:
        return value, None
    side, bound = crossed
    return field.type(bound), f"{field.name} = {shown(raw)} is {side} {bound}, so {bound} is used."


def _repaired(config_class: type[C], values: dict[str, Value], error: SettingError) -> tuple[C, list[str]]:
    """A config that keeps the rules across fields: the class's own repair, or else the defaults."""
    try:
        repaired, notes = config_class.repair(dict(values))
        return _build(config_class, repaired), notes
    except Exception:  # a page must open whatever the address says, so even a faulty repair ends at the defaults
        return config_class(), [f"{error} The defaults are used instead."]


def _nearest(name: object, table: Mapping[str, Setting]) -> str:
    near = difflib.get_close_matches(str(name)[:LONGEST_SHOWN], table, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"choose one of {', '.join(table)}"
