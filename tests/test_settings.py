"""The table of settings: what it refuses, what it repairs, and what it writes into an address."""

import math
import pickle
from typing import Any, Self

import numpy as np
import pytest
from hypothesis import given as given_data
from hypothesis import strategies as st
from pydantic import ValidationError, model_validator

from demos.registry import DEMOS, get
from lib.settings import (
    Config,
    Setting,
    SettingError,
    clamp,
    differences,
    given,
    live_values,
    needs_new_network,
    parse,
    recorded,
    replace,
    setting,
    settings_of,
    to_query,
)
from lib.values import as_text, shown

CONFIGS = [demo.config for demo in DEMOS]
Echo: Any = get("echo").config


class Sampler(Config):
    """One field of each type, with a rule across two of them."""

    fed = ("rate",)
    count: int = setting(3, group="A", label="Count", help="A count.", unit="steps", minimum=1, maximum=50)
    limit: int = setting(40, group="A", label="Limit", help="A limit.", minimum=1, maximum=50)
    rate: float = setting(
        0.3, group="B", label="Rate", help="A rate.", minimum=1e-5, maximum=10, scale="log", live=True
    )
    carried: bool = setting(True, group="B", label="Carried", help="A switch.")
    cell: str = setting("rnn", group="B", label="Cell", help="A choice.", options={"rnn": "tanh RNN", "lstm": "LSTM"})
    bias: int = setting(1, group="B", label="Bias", help="A bias.", minimum=0, maximum=9, only=("cell", ("lstm",)))
    story: str = setting("", group="B", label="Story", help="A text.", text=True)

    @model_validator(mode="after")
    def _count_within_limit(self) -> Self:
        if self.count > self.limit:
            raise SettingError("count", self.count, f"is above the limit {self.limit}", "choose a higher limit")
        return self

    @classmethod
    def repair(cls, values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        if values["count"] <= values["limit"]:
            return values, []
        return values | {"limit": values["count"]}, [f"limit is raised to {values['count']}."]


class Stubborn(Config):
    """A rule without a repair that works."""

    low: int = setting(1, group="A", label="Low", help="Low.", minimum=0, maximum=9)
    high: int = setting(2, group="A", label="High", help="High.", minimum=0, maximum=9)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise SettingError("low", self.low, f"is above high = {self.high}", "swap them")
        return self

    @classmethod
    def repair(cls, values: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        raise RuntimeError("broken on purpose")


ALL = [*CONFIGS, Sampler, Stubborn]
REPAIRS = (  # sentences about several settings
    "defaults are used",
    "raised",
    "our grammar is used",
    "our fable is used",
    "our fables are used",
    "A replay has the settings",
)


TEXT_IDS = st.text("0123456789abcdef", min_size=16, max_size=16)


def texts_for(field: Setting) -> st.SearchStrategy[str]:
    """Texts that are nearly right for a field: numbers around its bounds, its options, and rubbish."""
    numbers = st.one_of(st.integers(-10, 2_000_000), st.floats(), st.integers()).map(str)
    words = st.sampled_from(
        ["true", "OFF", "1", "", " 3 ", "3.0", "1e-3", "5e4", "nan", "-inf", "0x1F", "٣", "1_000", "9" * 5000]
    )
    options = st.sampled_from(sorted(field.options)) if field.options else st.nothing()
    if field.text:
        options = TEXT_IDS | TEXT_IDS.map(str.upper) | TEXT_IDS.map(lambda text_id: f"{text_id}0")
    return st.one_of(numbers, words, options, st.text(st.characters(), max_size=80))


def near_queries(config_class: type[Config]) -> st.SearchStrategy[dict[str, str]]:
    """Hand-edited addresses: some of the fields, and now and then a name that is none."""
    fields = {name: texts_for(field) for name, field in settings_of(config_class).items()}
    strays = st.dictionaries(st.text(max_size=60), st.text(max_size=60), max_size=2)
    return st.builds(lambda stray, known: stray | known, strays, st.fixed_dictionaries({}, optional=fields))


def value_for(field: Setting) -> st.SearchStrategy[Any]:
    """Any allowed value of a field."""
    if field.options:
        return st.sampled_from(sorted(field.options))
    if field.text:
        return st.just("") | TEXT_IDS
    if field.type is bool:
        return st.booleans()
    if field.type is int:
        return st.integers(int(field.minimum or 0), int(field.maximum or 0))
    return st.floats(field.minimum, field.maximum)


def valid_configs(config_class: type[Config]) -> st.SearchStrategy[Config]:
    """Configs whose values are each within bounds, brought to keep the rules across fields by `clamp`."""
    fields = {name: value_for(field) for name, field in settings_of(config_class).items()}
    return st.fixed_dictionaries(fields).map(lambda values: clamp(config_class, values)[0])


def is_valid(config: Config) -> bool:
    """The config passes the strict way too."""
    return parse(type(config), config.model_dump()) == config


# --- clamp ---


@pytest.mark.parametrize("config_class", ALL)
@given_data(data=st.data())
def test_clamp_never_raises_and_gives_a_valid_config(config_class: type[Config], data: st.DataObject) -> None:
    query = data.draw(near_queries(config_class) | st.dictionaries(st.text(), st.text()))
    config, notes = clamp(config_class, query)
    assert is_valid(config)
    assert all(note.endswith(".") and "\n" not in note and len(note) < 800 for note in notes)


@pytest.mark.parametrize("config_class", ALL)
@given_data(data=st.data())
def test_clamp_has_a_sentence_for_each_change(config_class: type[Config], data: st.DataObject) -> None:
    query = data.draw(near_queries(config_class))
    config, notes = clamp(config_class, query)
    for name, raw in query.items():
        told = any(note.startswith(f"{shown(name)} ") for note in notes)
        if name not in settings_of(config_class):
            assert told
        elif not told and not any(repair in note for note in notes for repair in REPAIRS):
            assert getattr(config, name) == settings_of(config_class)[name].accept(raw)


@pytest.mark.parametrize("config_class", ALL)
@given_data(data=st.data())
def test_parse_agrees_with_clamp_or_says_why(config_class: type[Config], data: st.DataObject) -> None:
    query = data.draw(near_queries(config_class))
    kind, notes = clamp(config_class, query)
    if not notes:
        assert parse(config_class, query) == kind
        return
    with pytest.raises(SettingError) as caught:
        parse(config_class, query)
    error = caught.value
    assert str(error).startswith(f"{shown(error.field)} = {shown(error.value)} ")
    assert "\n" not in str(error) and len(str(error)) < 800


@pytest.mark.parametrize(
    ("query", "used", "note"),
    [
        ({"count": "9999"}, {"count": 50, "limit": 50}, "count = 9999 is above 50, so 50 is used."),
        ({"count": "0"}, {"count": 1}, "count = 0 is below 1, so 1 is used."),
        ({"rate": "1e-9"}, {"rate": 1e-5}, "rate = 1e-9 is below 1e-05, so 1e-05 is used."),
        ({"rate": "1e400"}, {}, "rate = 1e400 cannot be read as a number, so the default 0.3 is used."),
        ({"count": "3.5"}, {}, "count = 3.5 cannot be read as a whole number, so the default 3 is used."),
        ({"count": ""}, {}, "count = '' cannot be read as a whole number, so the default 3 is used."),
        ({"cell": "gpu"}, {}, "cell = gpu is not one of the options, so the default rnn is used."),
        (
            {"carried": "maybe"},
            {},
            "carried = maybe cannot be read as true or false, so the default true is used.",
        ),
        ({"colour": "red"}, {}, "colour is not a setting of this demo, so it is ignored."),
        ({"count": "50", "limit": "9"}, {"count": 50, "limit": 50}, "limit is raised to 50."),
    ],
)
def test_clamp_says_what_it_changed(query: dict[str, str], used: dict[str, Any], note: str) -> None:
    config, notes = clamp(Sampler, query)
    assert config == Sampler(**used)
    assert notes[0] == note


def test_clamp_ends_at_the_defaults_when_the_repair_fails() -> None:
    config, notes = clamp(Stubborn, {"low": "9"})
    assert config == Stubborn()
    assert notes == ["low = 9 is above high = 2: swap them. The defaults are used instead."]


def test_clamp_takes_any_object_for_a_value() -> None:
    odd = [None, [], {}, b"3", 10**5000, float("nan"), np.int64(7), np.float32(2), object(), 3 + 0j, True]
    for value in odd:
        for name in settings_of(Sampler):
            assert is_valid(clamp(Sampler, {name: value})[0])


# --- parse ---


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        ({"count": "7"}, {"count": 7}),
        ({"count": " 7.0 "}, {"count": 7}),
        ({"count": "5e1", "limit": "50"}, {"count": 50, "limit": 50}),
        ({"count": "٣"}, {"count": 3}),
        ({"count": np.int64(7)}, {"count": 7}),
        ({"count": 7.0}, {"count": 7}),
        ({"rate": "1e-3"}, {"rate": 1e-3}),
        ({"rate": 1}, {"rate": 1.0}),
        ({"carried": "Off"}, {"carried": False}),
        ({"carried": "1"}, {"carried": True}),
        ({"carried": 0}, {"carried": False}),
        ({"cell": "LSTM"}, {"cell": "lstm"}),
        ({"story": "0123456789abcdef"}, {"story": "0123456789abcdef"}),
        ({"story": ""}, {"story": ""}),
    ],
)
def test_parse_reads(values: dict[str, Any], expected: dict[str, Any]) -> None:
    config = parse(Sampler, values)
    assert config == Sampler(**expected)
    assert all(type(getattr(config, name)) is field.type for name, field in settings_of(Sampler).items())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": "51"}, "count = 51 is above 50: choose a whole number from 1 to 50 (steps)."),
        (
            {"count": "3.5"},
            "count = 3.5 cannot be read as a whole number: choose a whole number from 1 to 50 (steps).",
        ),
        (
            {"count": True},
            "count = True cannot be read as a whole number: choose a whole number from 1 to 50 (steps).",
        ),
        ({"rate": "nan"}, "rate = nan cannot be read as a number: choose a number from 1e-05 to 10."),
        ({"rate": "-inf"}, "rate = `-inf` cannot be read as a number: choose a number from 1e-05 to 10."),
        ({"cell": "gru"}, "cell = gru is not one of the options: choose rnn or lstm."),
        ({"carried": "2"}, "carried = 2 cannot be read as true or false: choose true or false."),
        ({"cuont": "3"}, "cuont = 3 is not a setting of this demo: did you mean count?"),
        (
            {"x": "3"},
            "x = 3 is not a setting of this demo: choose one of count, limit, rate, carried, cell, bias, story.",
        ),
        (
            {"story": "../x"},
            "story = `../x` is not the id of a text: choose the id of a stored text, or nothing for our own.",
        ),
        ({"limit": "2"}, "count = 3 is above the limit 2: choose a higher limit."),
    ],
)
def test_parse_refuses_with_field_value_limits_and_remedy(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(Sampler, values)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("abc_1", "abc_1"),
        ("-1.5e-3", "-1.5e-3"),
        (12, "12"),
        ("", "''"),
        ("  ", "'  '"),
        ("two words", "`two words`"),
        ("![](//a.b/c)", "`![](//a.b/c)`"),
        ("`:red[x]`", "`':red[x]'`"),
        ("www.a.bc", "`www.a.bc`"),
        ("<b>\n\u202e", "`<b>\\n\\u202e`"),
        ("9" * 50, "9" * 39 + "…"),
        pytest.param(10**5000, "int", id="huge"),
    ],
)
def test_a_value_in_a_message_is_one_line_and_no_markup(value: object, text: str) -> None:
    assert shown(value) == text


def test_a_long_or_many_lined_value_is_shortened_to_one_line() -> None:
    with pytest.raises(SettingError) as caught:
        parse(Sampler, {"count": "a\n" * 10_000})
    assert len(str(caught.value)) < 200
    assert len(str(caught.value).splitlines()) == 1


def test_a_setting_error_survives_pickling() -> None:
    error = SettingError("count", "51", "is above 50", "choose less")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# --- configs ---


def test_a_config_is_frozen_and_checked() -> None:
    config = Sampler()
    with pytest.raises(ValidationError):
        config.count = 4
    for wrong in (
        {"count": 51},
        {"count": "3"},
        {"rate": math.nan},
        {"cell": "gru"},
        {"colour": 1},
        {"count": 41},
        {"story": "x"},
        {"story": "0123456789ABCDEF"},
    ):
        with pytest.raises(ValidationError):
            Sampler(**wrong)


def test_replace_checks_what_it_changes() -> None:
    assert replace(Sampler(rate=1.0), count=7) == Sampler(rate=1.0, count=7)
    with pytest.raises(SettingError, match="count = 41 is above the limit 40"):
        replace(Sampler(), count=41)
    with pytest.raises(SettingError, match="did you mean count"):
        replace(Sampler(), coun=7)


def test_differences_and_what_needs_a_new_network() -> None:
    a, b = Sampler(), Sampler(rate=1.0, count=4)
    assert differences(a, a) == {}
    assert differences(a, b) == {"count": (3, 4), "rate": (0.3, 1.0)}
    assert needs_new_network(a, b) == ["count"]
    assert needs_new_network(a, Sampler(rate=1.0)) == []
    assert live_values(b) == {"rate": 1.0}
    with pytest.raises(TypeError, match="one class"):
        differences(a, Stubborn())


@pytest.mark.parametrize("config_class", ALL)
@given_data(data=st.data())
def test_an_address_gives_the_same_config_back(config_class: type[Config], data: st.DataObject) -> None:
    config = data.draw(valid_configs(config_class))
    query = to_query(config)
    assert clamp(config_class, query) == (config, [])
    assert parse(config_class, query) == config
    assert query == {name: as_text(value) for name, value in given(config).items()}
    if not any(field.sets for field in settings_of(config_class).values()):
        assert set(query) == set(differences(config_class(), config))


# --- settings that set others ---


class Car(Config):
    """A model that sets the engine, and a size that sets the model."""

    size: str = setting(
        "any", group="A", label="Size", help="A size.", options={"any": "Any", "huge": "Huge"},
        sets={"huge": {"model": "lorry"}},
    )  # fmt: skip
    model: str = setting(
        "mini", group="A", label="Model", help="A model.", options={"mini": "Mini", "lorry": "Lorry", "kit": "Kit"},
        sets={"mini": {"wheels": 4, "power": 40.0}, "lorry": {"wheels": 10, "power": 400.0}},
    )  # fmt: skip
    wheels: int = setting(4, group="A", label="Wheels", help="How many.", minimum=1, maximum=20)
    power: float = setting(40.0, group="A", label="Power", help="How strong.", minimum=0, maximum=999)
    colour: int = setting(0, group="A", label="Colour", help="A number.", minimum=0, maximum=9)


MINI: dict[str, Any] = {"size": "any", "model": "mini", "wheels": 4, "power": 40.0, "colour": 0}
LORRY: dict[str, Any] = MINI | {"model": "lorry", "wheels": 10, "power": 400.0}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, MINI),
        ({"model": "lorry"}, LORRY),
        ({"model": " Lorry "}, LORRY),
        ({"model": "lorry", "wheels": "6"}, LORRY | {"wheels": 6}),
        ({"wheels": "6", "model": "lorry"}, LORRY | {"wheels": 6}),
        ({"model": "lorry", "wheels": "4"}, LORRY | {"wheels": 4}),
        ({"model": "kit"}, MINI | {"model": "kit"}),
        ({"size": "huge"}, LORRY | {"size": "huge"}),
        ({"size": "huge", "model": "mini"}, MINI | {"size": "huge"}),
        ({"size": "huge", "power": 1, "colour": 3}, LORRY | {"size": "huge", "power": 1.0, "colour": 3}),
    ],
)
def test_what_a_setting_sets_holds_unless_it_is_given(values: dict[str, Any], expected: dict[str, Any]) -> None:
    assert parse(Car, values).model_dump() == expected
    assert clamp(Car, values) == (Car(**expected), [])


@pytest.mark.parametrize("name", ["bike", "", None, "None", 3])
def test_a_model_that_is_none_is_the_default_one(name: Any) -> None:
    config, notes = clamp(Car, {"model": name, "colour": "99"})
    assert config == Car(colour=9)
    assert notes[0].endswith("is not one of the options, so the default mini is used.") and len(notes) == 2
    assert clamp(Car, {"size": "huge", "model": name})[0] == Car(size="huge")
    with pytest.raises(SettingError, match="choose mini, lorry or kit"):
        parse(Car, {"model": name})


@pytest.mark.parametrize(
    ("values", "query"),
    [
        (MINI, {}),
        (LORRY, {"model": "lorry"}),
        (LORRY | {"wheels": 4}, {"model": "lorry", "wheels": "4"}),
        (LORRY | {"size": "huge"}, {"size": "huge"}),
        (MINI | {"size": "huge"}, {"size": "huge", "model": "mini"}),
        (LORRY | {"model": "mini"}, {"wheels": "10", "power": "400.0"}),
        (LORRY | {"model": "kit"}, {"model": "kit", "wheels": "10", "power": "400.0"}),
    ],
)
def test_an_address_leaves_out_what_goes_without_saying(values: dict[str, Any], query: dict[str, str]) -> None:
    config = Car(**values)
    assert to_query(config) == query
    assert clamp(Car, query) == (config, [])


@given_data(data=st.data())
def test_every_address_of_settings_that_set_others_is_read_back(data: st.DataObject) -> None:
    config = data.draw(valid_configs(Car))
    assert clamp(Car, to_query(config)) == (config, [])
    assert parse(Car, to_query(config)) == parse(Car, given(config)) == config


def test_replacing_a_model_brings_what_it_sets_and_keeps_what_was_given() -> None:
    assert replace(Car(colour=3), model="lorry") == Car(**(LORRY | {"colour": 3}))
    assert replace(Car(wheels=3), model="lorry") == Car(**(LORRY | {"wheels": 3}))
    assert replace(Car(**LORRY), model="mini") == Car()
    assert replace(Car(**LORRY), wheels=4) == Car(**(LORRY | {"wheels": 4}))
    assert replace(Car(), size="huge") == Car(**(LORRY | {"size": "huge"}))


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({"c": {"odd": 3}}, "sets something for c, which is none of its options"),
        ({"b": {"even": 3}}, "sets even = 3 for b: name a setting"),
        ({"b": {"odd": 99}}, "sets odd = 99 for b"),
        ({"b": {"odd": 2.0}}, "sets odd = 2.0 for b"),
        ({"b": {"odd": "2"}}, "sets odd = 2 for b"),
        ({"b": {"odd": True}}, "sets odd = True for b"),
        ({"b": {"first": "b"}}, "sets first = b for b"),
        ({"a": {"odd": 2}}, "for its default a: make that the default of odd too"),
    ],
)
def test_a_mistake_in_what_is_set_is_found_at_import(sets: dict[str, Any], message: str) -> None:
    first = setting("a", group="A", label="A", help="A.", options={"a": "A", "b": "B"}, sets=sets)
    odd = setting(1, group="A", label="A", help="A.", minimum=1, maximum=9)
    fields = {"__annotations__": {"first": str, "odd": int}, "first": first, "odd": odd, "__module__": __name__}
    with pytest.raises(TypeError, match=message):
        type("Odd", (Config,), fields)


def test_a_live_setting_that_training_is_not_fed_is_refused_at_import() -> None:
    """A run would take it over without a word, and train on as before."""
    live = setting(0.9, group="A", label="Momentum", help="How much.", minimum=0, maximum=1, live=True)
    fields = {"__annotations__": {"momentum": float}, "momentum": live, "__module__": __name__}
    with pytest.raises(
        TypeError, match=r"Moved\.momentum is live, but a running job is fed learning_rate and clip_norm only"
    ):
        type("Moved", (Config,), fields)
    assert live_values(type("Fed", (Config,), fields | {"fed": ("momentum",)})()) == {"momentum": 0.9}


# The language model's published networks


@pytest.mark.parametrize("model", settings_of(get("ptb").config)["model"].sets or {})
def test_a_model_of_the_language_model_is_one_word_in_an_address(model: str) -> None:
    published, sets = get("ptb").config, settings_of(get("ptb").config)["model"].sets or {}
    if sets[model].get("corpus", "grammar") != "grammar":
        return  # a recorded one, which needs the corpus of its recording
    config = parse(published, {"model": model})
    assert {name: getattr(config, name) for name in sets[model]} == dict(sets[model])
    assert to_query(config) == ({} if model == "tiny" else {"model": model})
    changed = replace(config, hidden_units=300)
    assert to_query(changed) == to_query(config) | {"hidden_units": "300"}
    for one in (config, changed):
        assert clamp(published, to_query(one)) == (one, [])


# --- settings that matter only beside others ---


@pytest.mark.parametrize("config_class", ALL)
@given_data(data=st.data())
def test_a_setting_matters_where_the_one_that_it_hangs_on_says_so(
    config_class: type[Config], data: st.DataObject
) -> None:
    values = data.draw(valid_configs(config_class)).model_dump()
    for field in settings_of(config_class).values():
        if field.only is None:
            assert field.matters(values)
        else:
            other, allowed = field.only
            assert field.matters(values) == any(values[other] == value for value in allowed)


def test_what_a_setting_hangs_on_is_an_option_of_an_earlier_one() -> None:
    for config_class in [*CONFIGS, Sampler]:
        seen: dict[str, Setting] = {}
        for field in settings_of(config_class).values():
            if field.only is not None:
                other, allowed = field.only
                choices = (True, False) if seen[other].type is bool else seen[other].options or ()
                assert set(allowed) < set(choices), field.name
                assert seen[other].only is None, field.name  # `matters` does not look any further
            seen[field.name] = field


def test_a_setting_that_does_not_matter_still_has_its_bounds() -> None:
    assert not settings_of(Sampler)["bias"].matters({"cell": "rnn"})
    assert settings_of(Sampler)["bias"].matters({"cell": "lstm"})
    assert settings_of(Sampler)["rate"].matters({})
    with pytest.raises(SettingError, match="bias = 10 is above 9"):
        parse(Sampler, {"cell": "rnn", "bias": "10"})


# --- declarations ---


def declare(annotation: type, default: Any, **details: Any) -> None:
    """Define a config with one field."""
    field = setting(default, group="A", label="A", help="A.", **details)
    type("Odd", (Config,), {"__annotations__": {"odd": annotation}, "odd": field, "__module__": __name__})


@pytest.mark.parametrize(
    ("annotation", "default", "details", "message"),
    [
        (int, 3, {}, "minimum and a maximum"),
        (float, 0.0, {"minimum": 0, "maximum": 1, "scale": "log"}, "minimum above 0"),
        (str, "a", {}, "str with options"),
        (int, 1, {"options": {"a": "A"}}, "make it a str"),
        (str, "A", {"options": {"A": "A"}}, "lower case"),
        (str, "c", {"options": {"a": "A"}}, "defaults that it refuses"),
        (int, 9, {"minimum": 1, "maximum": 5}, "defaults that it refuses"),
        (int, 1, {"text": True}, "make it a str"),
        (str, "our own", {"text": True}, "defaults that it refuses"),
    ],
)
def test_a_mistake_in_the_table_is_found_at_import(
    annotation: type, default: Any, details: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        declare(annotation, default, **details)


def test_a_field_without_its_details_is_refused() -> None:
    with pytest.raises(TypeError, match="must be made with"):
        type("Bare", (Config,), {"__annotations__": {"bare": int}, "bare": 3, "__module__": __name__})


@pytest.mark.parametrize("config_class", CONFIGS)
def test_every_setting_of_a_demo_is_described(config_class: type[Config]) -> None:
    for name, field in settings_of(config_class).items():
        assert field.name == name
        assert field.group and field.label, name
        assert field.help.endswith(".") and field.help.count(". ") == 0 and 20 < len(field.help) < 160, name
        if field.type is not bool and not field.options and not field.text:
            assert field.minimum is not None and field.maximum is not None
            assert field.minimum <= field.default <= field.maximum  # type: ignore[operator]


# --- the echo demo's table ---


def test_echo_defaults_are_the_tutorials() -> None:
    task = {"echo_step": 3, "series_length": 50_000}
    network = {"cell": "rnn", "state_size": 4, "initial_weights": "uniform"}
    training = {
        "truncated_backprop_length": 15,
        "stride": 0,
        "batch_size": 5,
        "epochs": 100,
        "seeds": 1,
        "seed": 0,
        "trained": "everything",
    }
    update = {"optimizer": "adagrad", "learning_rate": 0.3, "clip_norm": 0.0}
    config = Echo()
    assert config.model_dump() == {**task, **network, **training, **update}
    assert (config.windows_per_epoch, config.steps) == (666, 66_600)
    assert live_values(config) == {"learning_rate": 0.3, "clip_norm": 0.0}


def test_echo_needs_one_window_an_epoch() -> None:
    assert Echo(series_length=960, batch_size=64).windows_per_epoch == 1
    with pytest.raises(
        SettingError, match=r"series_length = 100 is less than .* choose a series_length of 960 or more"
    ):
        parse(Echo, {"series_length": "100", "batch_size": "64"})
    config, notes = clamp(Echo, {"series_length": "100", "batch_size": "64"})
    assert config == Echo(series_length=960, batch_size=64)
    assert notes == ["series_length = 100 is less than one window of 15 steps for 64 rows, so 960 is used."]


def test_echo_groups_are_task_network_training() -> None:
    groups = [field.group for field in settings_of(Echo).values()]
    assert list(dict.fromkeys(groups)) == ["Task", "Network", "Training"]
    assert groups == sorted(groups, key=["Task", "Network", "Training"].index)


def test_a_record_from_before_a_setting_has_what_all_runs_had_then() -> None:
    old = {name: value for name, value in Echo(echo_step=4).model_dump().items() if name != "trained"}
    assert recorded(Echo, old) == Echo(echo_step=4, trained="everything")
    assert recorded(Echo, old | {"other": 1}) is None
    assert recorded(Echo, {"echo_step": 4}) is None, "other settings are not guessed"
