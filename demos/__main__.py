"""The demos without a page: `python -m demos list`, `run SLUG` and `sweep SLUG`.

Exit codes: 0 done; 1 the run diverged or failed; 2 a bad setting, slug or argument; 130 stopped with Ctrl-C.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from tqdm import tqdm

from demos.arguments import BAD_ARGUMENT, parser
from demos.epochs import EpochLines
from demos.registry import DEMOS, Demo, UnknownDemoError, get
from lib.settings import Config, SettingError, parse, replace
from lib.sweep import Plan, SweepError, plan
from lib.values import as_text

if TYPE_CHECKING:
    from demos.headless import Run, SweepRun
    from lib.job import Job

DONE, BROKEN, INTERRUPTED = 0, 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say: the exit code."""
    options = parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
    if options.command == "list":
        print(table())
        return DONE
    try:
        demo = get(options.slug)
        if options.command == "sweep":
            base = replace(demo.sweep_base, **demo.brought(dict(options.settings)))
            return sweep(demo, plan(base, options.axes), options.json)
        config = parse(demo.config, demo.brought(dict(options.settings)))
        if options.resume:
            check_resumable(demo, options)
    except (UnknownDemoError, SettingError, SweepError) as error:
        return refuse(error)
    if demo.kept or options.backend:
        return run_kept(demo, config, options)
    return run(demo, config, options.steps, options.json)


def check_resumable(demo: Demo, options: argparse.Namespace) -> None:
    """Raises SettingError where a run cannot be gone on with, or would have to be with other settings."""
    given = [name for name, _ in options.settings if name != "data_dir"]  # that only brings a corpus
    if given:
        raise SettingError("--resume", options.resume, "goes on with its own settings", f"leave out {given[0]}")
    if not (demo.kept or options.backend):
        raise SettingError("--resume", options.resume, "is not kept by this demo", "start a new run")


def table() -> str:
    """The demos: slug, title and how many minutes one takes."""
    rows = [("SLUG", "TITLE", "MINUTES"), *((demo.slug, demo.title, str(demo.minutes)) for demo in DEMOS)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "\n".join(f"{slug:{widths[0]}}  {title:{widths[1]}}  {minutes:>7}" for slug, title, minutes in rows)


def refuse(error: Exception) -> int:
    """One line on standard error."""
    print(f"python -m demos: {error}", file=sys.stderr)
    return BAD_ARGUMENT


def run(demo: Demo, config: Config, steps: int | None, as_json: bool) -> int:
    """Train, report on standard output, and give the exit code."""
    with contextlib.redirect_stdout(sys.stderr), StopOnInterrupt() as stop, progress_bar(demo, "steps") as bar:
        with hidden_native_output():
            from demos.headless import Run, train
            from lib.device import DeviceError  # this one loads TensorFlow

        result = Run(demo, config)
        try:
            train(result, steps=steps, progress=partial(show, bar), stopped=lambda: stop.asked)
        except DeviceError as error:
            bar.leave = False
            bar.close()
            return refuse(error)
        except Exception as error:
            traceback.print_exc()
            result.status, result.message = "failed", f"{type(error).__name__}: {error}"
    report = result.report()
    print(json.dumps(report, allow_nan=False) if as_json else summary(report))
    if stop.asked and result.status == "stopped":
        return INTERRUPTED
    return BROKEN if result.status in ("diverged", "failed") else DONE


def run_kept(demo: Demo, config: Config, options: argparse.Namespace) -> int:
    """The same for a demo whose runs are kept: they go on after a stop or a crash, and the dashboard shows them."""
    with contextlib.redirect_stdout(sys.stderr), StopOnInterrupt() as stop, progress_bar(demo, "steps") as bar:
        with hidden_native_output():
            from demos import kept
            from demos.headless import finite

            if not options.backend:
                from lib.device import choose  # this one loads TensorFlow

        epochs = EpochLines(partial(bar.write, file=sys.stderr), resumed=bool(options.resume))

        def progress(job: "Job") -> None:
            epochs.look(job)
            if bar.total is None and job.steps:
                bar.set_description(f"{demo.slug}, run {job.id}", refresh=False)
                bar.reset(min(options.steps or job.steps, job.steps))
            last = {name: values["last"] for name, values in job.stream.summary().items()}
            shown = {name: f"{last[name]:.2f}" for name in ("perplexity", "valid_perplexity") if last.get(name)}
            bar.set_postfix(shown, refresh=False)
            bar.update(job.step - bar.n)

        try:
            if not options.backend:
                choose()
            report = kept.train(
                demo, config, options.resume,
                steps=options.steps, points=options.points, progress=progress, stopped=lambda: stop.asked,
                backend=options.backend,
            )  # fmt: skip
        except ValueError as error:
            bar.leave = False
            bar.close()
            return refuse(error)
    print(json.dumps(finite(report), allow_nan=False) if options.json else summary(report))
    if not options.json and report["status"] == "stopped":
        print(f"Go on with: python -m demos run {demo.slug} --resume {report['run']}")
    if stop.asked and report["status"] == "stopped":
        return INTERRUPTED
    return BROKEN if report["status"] in ("diverged", "failed") else DONE


def sweep(demo: Demo, planned: Plan, as_json: bool) -> int:
    """Train every cell, report on standard output, and give the exit code."""
    with contextlib.redirect_stdout(sys.stderr), StopOnInterrupt() as stop, progress_bar(demo, "cells") as bar:
        with hidden_native_output():
            from demos import headless
            from lib.device import DeviceError

        bar.set_description(demo.slug, refresh=False)
        bar.reset(planned.columns * planned.rows)
        result = headless.SweepRun(demo, planned)
        try:
            headless.sweep(result, progress=lambda done: bar.update(done - bar.n), stopped=lambda: stop.asked)
        except DeviceError as error:
            return refuse(error)
    report = headless.finite(result.report())
    print(json.dumps(report, allow_nan=False) if as_json else sweep_table(planned, result))
    if result.status == "stopped":
        return INTERRUPTED
    return BROKEN if any(cell.state in ("diverged", "failed") for cell in result.results.values()) else DONE


def sweep_table(planned: Plan, result: "SweepRun") -> str:
    """The median final losses as a table: the first axis across, the second downwards."""
    first, *more = planned.axes
    heads = [as_text(value) for value in more[0].values] if more else [""]
    cells = [result.results.get(i) for i in range(planned.columns * planned.rows)]
    shown = ["waiting" if cell is None else number(cell.median) for cell in cells]
    corner = f"{more[0].name if more else ''} \\ {first.name}" if more else first.name
    table = [[corner, *map(as_text, first.values)]]
    table += [[head, *shown[r * planned.columns :][: planned.columns]] for r, head in enumerate(heads)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)) for row in table]
    seeds = getattr(planned.base, "seeds", 1)
    lines.append(f"Median final loss in nats, {seeds} seed{'s' if seeds > 1 else ''} a cell. ")
    lines[-1] += f"{len(result.results)} of {len(cells)} cells in {result.seconds:.1f} s on {result.device}, "
    lines[-1] += f"of which {result.compile_seconds:.1f} s of building and compiling."
    return "\n".join(lines)


@contextlib.contextmanager
def hidden_native_output() -> Iterator[None]:
    """Hide what compiled libraries write to the process's own output, unless something is raised.

    TensorFlow's write there while they are loaded, whatever the log level says.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as hidden, contextlib.ExitStack() as restore:
        for descriptor in (1, 2):
            saved = os.dup(descriptor)
            restore.callback(os.close, saved)
            restore.callback(os.dup2, saved, descriptor)
            os.dup2(hidden.fileno(), descriptor)
        try:
            yield
        except BaseException:
            restore.close()
            hidden.seek(0)
            sys.stderr.write(hidden.read().decode(errors="replace"))
            raise


class StopOnInterrupt:
    """While it is open, the first Ctrl-C only sets `asked`, so that a run ends between two turns.

    The second interrupts at once.
    """

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)


def progress_bar(demo: Demo, unit: str) -> "tqdm[NoReturn]":
    """A bar on standard error. A log file gets a line now and then."""
    pause = 0.1 if sys.stderr.isatty() else 10
    title = f"{demo.slug}: starting"
    return tqdm(desc=title, unit=f" {unit}", mininterval=pause, dynamic_ncols=True, file=sys.stderr)


def show(bar: "tqdm[NoReturn]", run: "Run") -> None:
    """Move the bar to where the run is."""
    if bar.total is None:
        bar.set_description(run.demo.slug, refresh=False)
        bar.reset(run.target)
    loss = run.stream.summary().get("loss", {}).get("last")
    if loss is not None:
        bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
    bar.update(run.step - bar.n)


def summary(report: Mapping[str, Any]) -> str:
    """The report for a person: what ran, how fast, and what it reached."""
    speed = f"{report['steps_per_second']:,.0f} steps/s" if report["steps_per_second"] else "no step trained"
    lines = [f"{report['demo']}, seed {report['seed']}: {report['message']}"]
    if report["corpus"]:
        lines.append(f"corpus: {report['corpus']}")
    lines.append(f"{report['seconds']:.2f} s of training on {report['device'] or 'no device'}, {speed}")
    for name, reached in report["metrics"].items():
        lines.append(
            f"{name}: " + ", ".join(f"{what.replace('_', ' ')} {number(value)}" for what, value in reached.items())
        )
    chance, bound = (number(report["theory"][name]) for name in ("chance", "floor"))
    said = getattr(get(report["demo"]).theory, "BOUND", "")
    lines.append(f"chance {chance} nats, lower bound {bound} nats{said and f' ({said})'}")
    return "\n".join(lines)


def number(value: float | None) -> str:
    """Four significant digits, or a dash for what is not known."""
    return "-" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main())
