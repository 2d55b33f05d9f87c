"""Records of runs as the store has them, without any training."""

from typing import Any

from lib.records import RunRecord
from lib.settings import Config


def run(run_id: str, config: Config, loss: float | None = 0.5, /, **known: Any) -> RunRecord:
    """A run that ended with this mean loss, but for what is `known` otherwise."""
    losses = {"last": 0.9, "best": 0.1, "mean_last_100": loss}
    values: dict[str, Any] = {
        "id": run_id, "visitor": "visitor-1", "slug": "echo", "config": config.model_dump(), "live": {}, "changes": [],
        "state": "finished", "message": "", "step": 1200, "steps": 2000, "created": 1.0, "updated": 2.0, "seconds": 1.0,
        "device": "CPU", "summary": {"loss": losses},
    }  # fmt: skip
    return RunRecord(**values | known)
