"""Which of several ways a training step is computed in, by sizes alone: known without TensorFlow, so that a page can quote it."""

# Up to so many steps times columns of weights a window is written out (python -m benchmarks unroll).
MOST_WRITTEN_OUT = 300
FREQUENT = 1_000  # words that are never left out of a softmax


def written_out(steps: int, columns: int) -> bool:
    """Whether a window of so many steps is written out, for a cell with so many columns of weights (gates times units)."""
    return steps * columns <= MOST_WRITTEN_OUT


def sampled_words(words: int, every: int, frequent: int = FREQUENT) -> int:
    """With how many of the words beyond the `frequent` ones a softmax compares; 0 where it leaves no word out.

    See `lib.word_network.sampled_nats_of`.
    """
    return 0 if every == 1 else max(0, (words - frequent) // every)
