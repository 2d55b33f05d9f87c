"""A run as a plain Keras script: one file that repeats the experiment without this project.

The script's data functions and the drawing of its initial weights are the text of our own, so both are the same numbers.
Cells and optimizers are Keras's with the constants of `lib.cells` and `lib.optimizers`; a cell that Keras does not have is
written out in the script. A test holds the losses of whole scripts against the engine's.
"""

from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from string import Template
from typing import Any

from lib.lessons import Source
from lib.settings import Config, Setting, differences, settings_of
from lib.values import Value, as_text

PACKAGES = ("numpy", "tensorflow", "keras")
AS_CODE = (
    "cell",
    "optimizer",
    "initial_weights",
    "trained",
    "bit_input",
)  # these settings choose a line of the script and are no constants

CELLS = {
    "rnn": "keras.layers.SimpleRNN({units}, return_sequences=True, return_state=True, unroll=True)",
    "lstm": "keras.layers.LSTM({units}, return_sequences=True, return_state=True, unroll=True)",
    "lstm_peephole": "keras.layers.RNN(PeepholeLSTMCell(), return_sequences=True, return_state=True, unroll=True)",
    "lstm_coupled": "keras.layers.RNN(CoupledLSTMCell(), return_sequences=True, return_state=True, unroll=True)",
    "gru": "keras.layers.GRU({units}, reset_after=False, return_sequences=True, return_state=True, unroll=True)",
}
# One window of bits [BATCH_SIZE, T] as the network reads them, and how many numbers a bit then is.
READS = {
    "scalar": ("inputs[window, :, :, None].astype(np.float32)", 1),
    "one-hot": ("np.eye(2, dtype=np.float32)[inputs[window]]", 2),
}
TRAINED = {
    "everything": "cell.trainable_variables + output.trainable_variables",
    "readout": "output.trainable_variables",
}
_TWO_STATES = "[tf.zeros([BATCH_SIZE, {units}])] * 2  # the hidden and the cell state"
STATES = {
    "rnn": "[tf.zeros([BATCH_SIZE, {units}])]",
    "lstm": _TWO_STATES,
    "lstm_peephole": _TWO_STATES,
    "lstm_coupled": _TWO_STATES,
    "gru": "[tf.zeros([BATCH_SIZE, {units}])]",
}
FORWARD = """\
            hidden, *state = cell(inputs, initial_state=state)
            loss = cross_entropy(targets, output(hidden))"""
# Where the next window begins before this one ends, and only the steps since the last one's end are scored.
FORWARD_OVERLAPPING = """\
            before, *state = cell(inputs[:, :STRIDE], initial_state=state)  # the next window begins with this state
            after, *_ = cell(inputs[:, STRIDE:], initial_state=state)
            hidden = tf.concat([before, after], axis=1)
            loss = cross_entropy(targets[:, -STRIDE:], output(hidden[:, -STRIDE:]))"""
OPTIMIZERS = {
    "sgd": "keras.optimizers.SGD(LEARNING_RATE)",
    "adagrad": "keras.optimizers.Adagrad(LEARNING_RATE, initial_accumulator_value=0.1, epsilon=1e-7)",
    "momentum": "keras.optimizers.SGD(LEARNING_RATE, momentum=0.9)",
    "rmsprop": "keras.optimizers.RMSprop(LEARNING_RATE, rho=0.9, epsilon=1e-7)",
    "rmsprop_tf1": "keras.optimizers.RMSprop(LEARNING_RATE, rho=0.9, epsilon=1e-10)",
    "adam": "keras.optimizers.Adam(LEARNING_RATE, beta_1=0.9, beta_2=0.999, epsilon=1e-7)",
}
# What Keras's optimizers cannot be told: lines after they are built.
STARTS = {
    "rmsprop_tf1": """\
    for slot in optimizer.variables:
        if slot.name.endswith("velocity"):
            slot.assign(keras.ops.ones_like(slot))  # the mean square starts at 1, as in TensorFlow 1; Keras's at 0
"""
}

_OWN_CELL = '''\
class {name}(keras.layers.Layer):
    """{about}"""

    state_size = [{{units}}, {{units}}]

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], {blocks} * {{units}}))
        self.recurrent_kernel = self.add_weight(shape=({{units}}, {blocks} * {{units}}))
        self.bias = self.add_weight(shape=({blocks} * {{units}},)){more}

    def call(self, inputs, states):
        h, c = states
        total = inputs @ self.kernel + h @ self.recurrent_kernel + self.bias
{step}
        h = tf.sigmoid(o) * tf.tanh(c)
        return h, [h, c]'''
# The cells that Keras does not have.
_OWN_CELLS = {
    "lstm_peephole": _OWN_CELL.format(
        name="PeepholeLSTMCell",
        about="An LSTM whose gates also see its cell state (Gers & Schmidhuber 2000).",
        blocks=4,
        more="\n        self.peepholes = [self.add_weight(shape=({units},)) for _ in range(3)]",
        step="""\
        i, f, g, o = tf.split(total, 4, axis=-1)
        p_i, p_f, p_o = self.peepholes
        c = tf.sigmoid(f + p_f * c) * c + tf.sigmoid(i + p_i * c) * tf.tanh(g)
        o = o + p_o * c""",
    ),
    "lstm_coupled": _OWN_CELL.format(
        name="CoupledLSTMCell",
        about="An LSTM whose input gate is 1 - f (Greff et al. 2017).",
        blocks=3,
        more="",
        step="""\
        f, g, o = tf.split(total, 3, axis=-1)
        f = tf.sigmoid(f)
        c = f * c + (1 - f) * tf.tanh(g)""",
    ),
}
_PEEPHOLES = """\
    for peephole in cell.cell.peepholes:
        peephole.assign({draw}(rng, ({units},)))
"""

_SCRIPT = Template('''\
"""$title: one training run of Unrolled as a plain Keras script.

$summary

Install and run it, Python 3.11 or later:
    pip install $packages
    python FILE.py --csv losses.csv

Data, initial weights and update rules are the run's, so its losses are too, up to rounding. Differences in rounding grow
over thousands of steps, and fast where training is unstable.

$about
"""

import argparse
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no notes at the start
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # oneDNN changes the rounding

import keras
import numpy as np
import tensorflow as tf

$settings

WINDOWS = $windows  # training steps in one epoch
STEPS = $steps
# What was changed while the run trained: from this step on (counted from 0), these values.
CHANGES = $changes


$data


def epoch_windows(seed, epoch):
    """One epoch's inputs and targets, each [WINDOWS, BATCH_SIZE, $window]."""
    pair = $series
    return [windows(flat[None], BATCH_SIZE, $cut)[:, :, 0].swapaxes(1, 2) for flat in pair]


def train(seed):
    """Train one network and return the loss of every step."""
    cell = $cell
    output = keras.layers.Dense(2)
    cell.build((BATCH_SIZE, $window, $inputs))
    output.build((BATCH_SIZE, $window, $units))
    rng = np.random.default_rng([seed, 2**32])  # random numbers that no epoch's data come from
    for layer in (cell, output):
        layer.set_weights([$draw(rng, w.shape) if w.ndim == 2 else np.zeros_like(w) for w in layer.get_weights()])
$peepholes
    weights = $trained
    optimizer = $optimizer
    optimizer.build(weights)
$starts    live = {"learning_rate": optimizer.learning_rate, "clip_norm": tf.Variable(CLIP_NORM, dtype=tf.float32)}
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train_step(inputs, targets, state):
        with tf.GradientTape() as tape:
$forward
        gradients = tape.gradient(loss, weights)
        norm, longest = tf.linalg.global_norm(gradients), live["clip_norm"]
        scale = tf.where((longest > 0) & (norm > longest), longest / norm, 1.0)  # a clip norm of 0 is off
        optimizer.apply([gradient * scale for gradient in gradients], weights)
        return loss, state

    losses = np.zeros(STEPS, np.float32)
    for step in range(STEPS):
        epoch, window = divmod(step, WINDOWS)
        if window == 0:
            inputs, targets = epoch_windows(seed, epoch)
$reset            state = $state
        for name, value in CHANGES.get(step, {}).items():
            live[name].assign(value)
        losses[step], state = train_step($read, targets[window], state)
        if (step + 1) % max(1, STEPS // 10) == 0:
            print(f"seed {seed}, step {step + 1} of {STEPS}: loss {losses[step]:.4f}", flush=True)
    return losses


def main():
    """Train the seeds one after the other and say what each reached."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--csv", metavar="FILE", help="write the loss of every step to this file")
    arguments = parser.parse_args()
    losses = {seed: train(seed) for seed in range(SEED, SEED + SEEDS)}
    for seed, values in losses.items():
        print(f"seed {seed}: mean loss of the last 100 steps {values[-100:].mean():.6f}")
    if arguments.csv:
        rows = [(step, seed, loss) for seed, values in losses.items() for step, loss in enumerate(values)]
        np.savetxt(arguments.csv, rows, ("%d", "%d", "%.9g"), ",", header="step,seed,loss", comments="")


if __name__ == "__main__":
    main()
''')


def script(
    *,
    title: str,
    summary: str,
    config: Config,
    all_steps: int,
    units: str,
    window: str,
    series: str,
    sources: Iterable[Source],
    weights: str,
    carries: str = "",
    overlapping: bool = False,
    changes: Iterable[Sequence[Any]] = (),
    step: int | None = None,
) -> str:
    """The text of a Python file that repeats a run of `step` steps (of all, when None or 0) with Keras.

    The config has the settings cell, optimizer, trained, series_length, batch_size, epochs, learning_rate, clip_norm, seeds
    and seed, and maybe bit_input: without it a bit is read as one number. `units` and `window` are the names of those that
    say how many units the cell and how many steps a window have; `carries` is the one, if any, that says whether the state
    is carried from window to window, and windows are `overlapping` where `stride`, the steps after which the next one begins,
    is less than the window. `series` is an expression of `seed`, `epoch` and the settings in capitals: an epoch's flat inputs
    and targets. `sources` are the functions that it calls; they use NumPy alone. `weights` is one of lib.initializers.WEIGHTS.
    `changes` are (step, setting, value).
    """
    values: dict[str, Any] = config.model_dump()
    done = min(step or all_steps, all_steps)
    read, inputs = READS[values.get("bit_input", "scalar")]
    changed = _changes(changes, done)
    name, row = window.upper(), "SERIES_LENGTH // BATCH_SIZE"
    used = [*sources, Source("", "lib/batches.py", "windows"), Source("", "lib/initializers.py", weights)]
    own_cell = [_OWN_CELLS[cell].format(units=units.upper())] if (cell := values["cell"]) in _OWN_CELLS else []
    return _SCRIPT.substitute(
        title=title,
        summary=summary,
        packages=" ".join(_pinned(name) for name in PACKAGES),
        about=_differing(config),
        settings=_constants(config, AS_CODE if overlapping else (*AS_CODE, "stride")),
        windows=f"({row} - {name}) // STRIDE + 1" if overlapping else f"{row} // {name}",
        cut=f"{name}, STRIDE" if overlapping else name,
        forward=FORWARD_OVERLAPPING if overlapping else FORWARD,
        steps="EPOCHS * WINDOWS" if done == all_steps else f"{done:_}  # so many the run did; all are EPOCHS * WINDOWS",
        changes="\n".join(("{", *changed, "}")) if changed else "{}",
        data="\n\n\n".join([*(source.text() for source in used), *own_cell]),
        series=series,
        window=name,
        units=units.upper(),
        read=read,
        inputs=inputs,
        cell=CELLS[cell].format(units=units.upper()),
        peepholes=_PEEPHOLES.format(draw=weights, units=units.upper()) if cell == "lstm_peephole" else "",
        state=STATES[cell].format(units=units.upper()),
        optimizer=OPTIMIZERS[values["optimizer"]],
        starts=STARTS.get(values["optimizer"], ""),
        draw=weights,
        trained=TRAINED[values["trained"]],
        reset=f"        if window == 0 or not {carries.upper()}:\n" if carries else "",
    )


def _pinned(name: str) -> str:
    """The package as pip takes it, in the version that runs here."""
    try:
        return f'"{name}=={version(name)}"'
    except PackageNotFoundError:  # TensorFlow has builds of other names
        return name


def _differing(config: Config) -> str:
    """What differs from the demo's defaults, as lines of the docstring."""
    changed = differences(type(config)(), config)
    if not changed:
        return "All settings are the demo's defaults."
    lines = (f"    {name} = {as_text(new)} (not {as_text(old)})" for name, (old, new) in changed.items())
    return "\n".join(("Settings that differ from the demo's defaults:", *lines))


def _constants(config: Config, left_out: Sequence[str]) -> str:
    """The settings as constants under the headings of the demo's page, each with what it means."""
    lines, group = [], ""
    for name, field in settings_of(type(config)).items():
        if name in left_out:
            continue
        if field.group != group:
            group = field.group
            lines += ["", f"# {group}"]
        lines.append(f"{name.upper()} = {_literal(getattr(config, name), field)}  # {field.help}")
    return "\n".join(lines).strip()


def _literal(value: Value, field: Setting) -> str:
    return f"{value:_}" if field.type is int else repr(value)


def _changes(changes: Iterable[Sequence[Any]], steps: int) -> list[str]:
    """The changes that counted, as the rows of a dict: the last one of a step and setting wins."""
    table: dict[int, dict[str, float]] = {}
    for step, name, value in changes:
        if step < steps:
            table.setdefault(int(step), {})[str(name)] = float(value)
    return [
        f"    {step:_}: {{" + ", ".join(f'"{name}": {value!r}' for name, value in values.items()) + "},"
        for step, values in sorted(table.items())
    ]
