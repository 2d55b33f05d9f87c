"""The functions that a training step of some settings goes through, for the pages that quote them. No TensorFlow: see lib.ways.

A test makes each of them fail, and changes what it returns, and watches the training.
"""

from lib import trace, ways
from lib.lessons import Source

CELLS, OPTIMIZERS, TRAINING = "lib/cells.py", "lib/optimizers.py", "lib/training.py"


def cell(name: str, steps: int, units: int, trained: str = "everything") -> tuple[Source, ...]:
    """A recurrent cell over a window of so many steps (lib.cells.unroll), in the order in which it is worth reading.

    Where the cell is not `trained`, nothing goes back through it.
    """
    step = Source("One step of the cell", CELLS, f"{name}_step")
    if ways.written_out(steps, len(trace.BLOCKS[name]) * units):
        return step, Source("The window, step by step", CELLS, "unroll_written_out")
    back = (Source("The same step on its way back", CELLS, f"{name}_backward"),) if trained == "everything" else ()
    return (
        step,
        *back,
        Source("The window, in a loop", CELLS, "unroll_in_a_loop"),
        Source("The loop, there and back (backpropagation through time)", CELLS, "through_time"),
    )


def cross_entropy(*, independent: bool = False) -> Source:
    """The loss of one answer, or of `independent` ones, each right or wrong by itself."""
    if independent:
        return Source("Cross-entropy of a yes or no", "lib/losses.py", "sigmoid_cross_entropy")
    return Source("Cross-entropy", "lib/losses.py", "softmax_cross_entropy")


def training(optimizer: str, clip_norm: float) -> tuple[Source, ...]:
    """What the compiled chunk does with the loss."""
    clipping = (Source("Cutting a long gradient", OPTIMIZERS, "clip_by_global_norm"),) if clip_norm else ()
    return (
        Source("The training step, inside the compiled chunk", TRAINING, "training_step"),
        *clipping,
        Source("The optimizer", OPTIMIZERS, optimizer),
    )
