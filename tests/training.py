"""A run from start to end, as a job does it, without the job."""

from demos.registry import Demo
from lib.lessons import Results
from lib.settings import Config
from lib.stream import MetricStream


def trained(demo: Demo, config: Config, steps: int | None = None) -> dict:
    """Train to the end, or up to a step: the stream's summary."""
    return results(demo, config, steps, evaluated=False).stream.summary()


def results(demo: Demo, config: Config, steps: int | None = None, *, evaluated: bool = True) -> Results:
    """Train to the end, or up to a step, and measure on other data where the demo does: what claims read."""
    engine, stream, diary = demo.build(config), MetricStream(), []
    stream.mean_over_epochs(engine)
    carry, end = engine.initial(), steps or engine.steps
    while carry.step < end:
        first = carry.step
        carry, metrics = engine.run(carry, end - first)
        stream.record(first, metrics)
        while evaluated and engine.evaluates(carry):
            carry, found = engine.evaluate(carry)
            if found:
                stream.append(carry.step, {name: [value] for name, value in found.items()})
                diary.append({"step": carry.step, **found, **engine.keep(carry).note})
    return Results(config, stream, carry.weights(), diary)
