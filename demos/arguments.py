"""The arguments that `python -m demos` takes: its own, and those of TensorFlow's ptb_word_lm.py that have a meaning here."""

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from demos.registry import DEMOS
from lib.values import shown

BAD_ARGUMENT = 2  # the exit code

LIST_HELP = "list the demos"
RUN_HELP = "train a demo"
RUN_TEXT = """Train a demo to its end and report what it reached. Progress goes to standard error.
Status is "finished", "stopped" (by --steps or Ctrl-C, before the end), "diverged" or "failed"."""
SWEEP_HELP = "train a demo at every combination of one or two settings"
SWEEP_TEXT = """Train a demo at every combination of the axes' values, several seeds at each, and report the median final loss
(the mean of the last 100 steps). Values are written as 1:12, 1:12:2 or 2,4,8,16; of a setting with a logarithmic slider,
0.001:1 goes by factors of 10. What is not set is as the demo's page suggests for sweeps, not as its defaults are."""


# What ptb_word_lm.py takes besides, and why it is refused here.
REFUSED = {
    "--save_path": "runs of ptb are saved by themselves: leave it out, and go on with one by --resume RUN",
    "--use_fp16": "networks are trained in float32: leave it out",
    "--num_gpus": "a run trains on one device: leave it out, or name the device by UNROLLED_DEVICE",
    "--rnn_mode": "there is one way to compute the LSTM, for all devices: leave it out",
}


class Refused(argparse.Action):
    """An argument that says why there is no such argument."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        name = self.option_strings[0]
        parser.error(f"{name}: {REFUSED[name]}")


class OneLineParser(argparse.ArgumentParser):
    """A parser that refuses in one line."""

    def error(self, message: str) -> NoReturn:
        line = " ".join(message.split())
        self.exit(BAD_ARGUMENT, f"{self.prog}: {line[:300]} (see {self.prog} --help)\n")


def assignment(text: str) -> tuple[str, str]:
    """ "name=value" as (name, value)."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{shown(text)} has no name and value: write it as name=value")
    return name.strip(), value


def value_of(name: str) -> Callable[[str], tuple[str, str]]:
    """An argument that stands for `--set name=VALUE`."""
    return lambda text: (name, text)


def positive(text: str) -> int:
    """A whole number of at least 1."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{shown(text)} is not a number of steps: choose a whole number of at least 1")
    return number


def trained_by(text: str) -> str:
    """A backend that is not of this machine's server."""
    from lib.backends import BackendError, check

    try:
        if not text.startswith("ray"):
            raise BackendError(f"{shown(text)} is not one for the command line: choose ray or ray:ADDRESS.")
        return check(text)
    except BackendError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parser() -> argparse.ArgumentParser:
    """The arguments that the command takes."""
    top = OneLineParser(prog="python -m demos", description="Unrolled's demos, without a page.", allow_abbrev=False)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help=LIST_HELP, description=LIST_HELP, allow_abbrev=False)
    run = commands.add_parser("run", help=RUN_HELP, description=RUN_TEXT, allow_abbrev=False)
    run.add_argument("slug", metavar="SLUG", help="the demo, as `python -m demos list` names it")
    settings: dict[str, Any] = {"dest": "settings", "action": "append", "default": []}
    run.add_argument(
        "--set",
        type=assignment,
        metavar="NAME=VALUE",
        help="a setting; may be repeated, the last wins",
        **settings,
    )
    run.add_argument("--seed", type=value_of("seed"), metavar="N", help="the same as --set seed=N", **settings)
    run.add_argument(
        "--model",
        type=value_of("model"),
        metavar="NAME",
        help="the same as --set model=NAME, of a demo with models to choose from",
        **settings,
    )
    run.add_argument(
        "--data_path",
        type=value_of("data_dir"),
        metavar="FOLDER",
        help="the same as --set data_dir=FOLDER: train ptb on the Penn Treebank in this folder, or in one below it",
        **settings,
    )
    for name in REFUSED:
        run.add_argument(name, action=Refused, nargs="?", help=argparse.SUPPRESS)
    run.add_argument(
        "--steps",
        type=positive,
        metavar="N",
        help="stop after N training steps, if the run is longer than that",
    )
    run.add_argument("--json", action="store_true", help="print one JSON object instead of a summary")
    run.add_argument(
        "--resume",
        metavar="RUN",
        help="go on with a run that was stopped or crashed, as if it never had been (demos whose runs are kept: "
        f"{', '.join(demo.slug for demo in DEMOS if demo.kept)})",
    )
    run.add_argument(
        "--points",
        type=positive,
        metavar="N",
        default=4096,
        help="how many points each curve of a kept run has at most",
    )
    run.add_argument(
        "--backend",
        metavar="BACKEND",
        type=trained_by,
        help="train it on a Ray cluster, as the dashboard does with the same setting: `ray` starts one on this machine, "
        "`ray:ADDRESS` uses one that is there; without it this process trains",
    )
    sweep = commands.add_parser("sweep", help=SWEEP_HELP, description=SWEEP_TEXT, allow_abbrev=False)
    sweep.add_argument("slug", metavar="SLUG", help="the demo, as `python -m demos list` names it")
    sweep.add_argument(
        "--axis", type=assignment, metavar="NAME=VALUES", action="append", required=True, help="an axis; one or two",
        dest="axes",
    )  # fmt: skip
    sweep.add_argument(
        "--set", type=assignment, metavar="NAME=VALUE", help="a setting of all cells; may be repeated", **settings
    )
    sweep.add_argument(
        "--seeds",
        type=value_of("seeds"),
        metavar="N",
        help="how many networks each cell trains: --set seeds=N",
        **settings,
    )
    sweep.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return top
