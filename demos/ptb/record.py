"""`python -m demos.ptb.record RUN NAME [--machine TEXT]` ships a run that was trained without a page: its metrics and samples.

Neither weights nor words of a corpus beyond the samples' own go into the files, which `REPLAYED` in models.py then offers.
"""

import argparse
import os
import platform
from datetime import UTC, datetime

import numpy as np

from demos.ptb import data, theory
from demos.ptb.config import PTBConfig
from lib.recorded import Recording
from lib.stores import open_store, store_place
from lib.stream import MetricStream


def main() -> None:
    """Write the files of one recording. Raises SystemExit when the run is not whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("name")
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores, {platform.machine()}")
    options = parser.parse_args()
    store = open_store(store_place())
    record = store.load(options.run)
    if record is None or record.state != "finished":
        raise SystemExit(f"{options.run}: there is no finished run of this id in {store.name}")
    parts = {
        name.partition(":")[2]: array for name, array in store.arrays(record.id).items() if name.startswith("stream:")
    }
    stream = MetricStream.from_arrays(parts)
    metrics = {name: stream.curve(name)[1] for name in ("loss", "gradient_norm")}
    if len(metrics["loss"]) != record.steps:
        raise SystemExit(
            f"{options.run} kept {len(metrics['loss']):,} of {record.steps:,} points: run it with --points {record.steps}"
        )
    config = PTBConfig(**record.config)
    counting = theory.counting(config.corpus, config.text)
    date = datetime.fromtimestamp(record.updated, UTC).date().isoformat()
    summary = {"steps": record.steps, "words_per_second": round(record.steps * config.words_per_step / record.seconds)}
    summary |= counting._asdict()
    recording = Recording(
        options.machine, date, round(record.seconds, 1), record.config, _rounded(record.diary), summary, metrics
    )
    data.RECORDINGS.mkdir(exist_ok=True)
    recording.save(data.RECORDINGS / options.name)
    print(f"{data.RECORDINGS / options.name}.json and .npz: {date}, {record.steps:,} steps, {record.seconds:,.0f} s")


def _rounded(diary: list[dict]) -> list[dict]:
    return [
        {name: float(np.round(value, 3)) if isinstance(value, float) else value for name, value in note.items()}
        for note in diary
    ]


if __name__ == "__main__":
    main()
