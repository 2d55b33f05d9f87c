"""`python -m benchmarks [NAME ...]`: run the benchmarks with these names, by default `speed`."""

import argparse
from importlib import import_module

BENCHMARKS = {
    "speed": "µs per training step of the echo demo: the tutorial's way, Keras, PyTorch, JAX and ours",
    "width": "where the two ways to multiply in lib.cells.linear cross",
    "unroll": "where the two ways to unroll a window in lib.cells cross",
    "words": "words per second of training the Penn Treebank's small model, PyTorch's and ours, against the arithmetic",
    "clipping": "the norm that TensorFlow 1 clips the Penn Treebank's small model by, and ours, in the first 250 steps",
    "story": "iterations per second of the story generator: the tutorial's way and ours, and what its presets reach",
    "rule": "the loss of the binary rule in the tutorial's setting: an independent implementation in NumPy and ours",
    "story_tutorial": "accuracy of the story generator: the tutorial's description written independently, and ours",
    "race": "sentences per second of the model from scratch: NumPy, TensorFlow eager, as a graph, and compiled by XLA",
    "comments": "a CSV of 15,000 comments for the model from scratch: seconds and memory until it learns, and ms per step",
    "answers": "milliseconds until a small answer of the server is there",
    "backends": "steps per second in threads, in a process of its own and by Ray, while somebody watches",
    "viewers": "bytes per second of a viewer, and what a run costs a web server that does not train it",
    "watched": "what a client that reads the stream costs a run at full speed",
    "memory": "how memory grows over 200 runs of varied shapes",
    "gates": "what the gates demo's tasks reach in ten networks each, and what surgery does to them",
    "inside": "in a real browser: an operation, a step, a unit, an earlier moment, to the redrawn picture",
    "search": "seconds and memory of the signature search over a million characters",
    "sweep": "seconds of a sweep, of the same runs one at a time, and what others wait for meanwhile",
    "latency": "in a real browser: Start to the first point, Pause, updates a second, start of the server",
}


def main() -> None:
    """Run them one after the other."""
    lines = "\n".join(f"  {name:14} {text}" for name, text in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", epilog=lines, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="*", default=["speed"], choices=BENCHMARKS)
    for name in parser.parse_args().name:
        print(f"== {name}: {BENCHMARKS[name]}", flush=True)
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
