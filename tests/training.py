"""A run from start to end, as a job does it, without the job."""

from demos.registry import Demo
from lib.settings import Config
from lib.stream import MetricStream


def trained(demo: Demo, config: Config, steps: int | None = None) -> dict:
    """Train to the end, or up to a step: the stream's summary."""
    engine, stream = demo.build(config), MetricStream()
    carry, end = engine.initial(), steps or engine.steps
    while carry.step < end:
        first = carry.step
        carry, metrics = engine.run(carry, end - first)
        stream.record(first, metrics)
    return stream.summary()
