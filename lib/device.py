"""Where training runs: on the GPUs where there are some, the CPU otherwise, or what `UNROLLED_DEVICE` says."""

import os
import threading
from collections import defaultdict
from typing import Any, NamedTuple
from weakref import WeakSet

from lib.tf import tf

NO_MEMORY_OPTIMIZATION = 1  # RewriterConfig.NO_MEM_OPT, which tf does not export


class Device(NamedTuple):
    """A device's TensorFlow `name` ("/GPU:0") and the `label` that people read ("GPU: NVIDIA H100")."""

    name: str
    label: str


class DeviceError(ValueError):
    """`UNROLLED_DEVICE` names a device that this machine does not have."""


def _label(device: "tf.config.LogicalDevice") -> str:
    if device.device_type != "GPU":
        return "CPU"
    physical = tf.config.list_physical_devices("GPU")
    index = min(int(device.name.rsplit(":", 1)[1]), len(physical) - 1)
    return f"GPU: {tf.config.experimental.get_device_details(physical[index]).get('device_name', 'unknown')}"


def available() -> list[Device]:
    """The devices of this machine, GPUs first."""
    logical = tf.config.list_logical_devices("GPU") + tf.config.list_logical_devices("CPU")
    return [Device(device.name.removeprefix("/device:").join(["/", ""]), _label(device)) for device in logical]


_USERS: dict[str, WeakSet[Any]] = defaultdict(WeakSet)  # by the device's name: those that were not freed yet
_LOCK = threading.Lock()


def choose(wanted: str | None = None, user: object | None = None) -> Device:
    """The device to train on. With a `user`, it counts as used until that is freed.

    `wanted` (by default the variable `UNROLLED_DEVICE`) is "auto", "cpu", "gpu", or one device such as "gpu:1".
    "auto" takes the GPU that has the fewest users, or the CPU where there is no GPU. Raises DeviceError when there is no such
    device.
    """
    with _LOCK:
        device = _choose(wanted)
        if user is not None:
            _USERS[device.name].add(user)
        return device


def _choose(wanted: str | None) -> Device:
    wanted = (wanted or os.environ.get("UNROLLED_DEVICE") or "auto").strip().lower()
    devices = available()
    if wanted == "auto":
        best = [device for device in devices if device.name[:4] == devices[0].name[:4]]  # all GPUs, or else all CPUs
        return min(best, key=lambda device: len(_USERS[device.name]))
    name = wanted if ":" in wanted else f"{wanted}:0"
    for device in devices:
        if device.name.lower() == f"/{name}":
            return device
    have = ", ".join(device.name.removeprefix("/").lower() for device in devices)
    raise DeviceError(f"UNROLLED_DEVICE={wanted!r} is not a device of this machine. Choose auto, or one of: {have}.")


def session_config() -> "tf.compat.v1.ConfigProto":
    """GPU memory grows as it is needed, and every logical CPU can be used."""
    config = tf.compat.v1.ConfigProto(allow_soft_placement=True)
    # It would put operations into large graphs that XLA then refuses ("TemporaryVariable").
    config.graph_options.rewrite_options.memory_optimization = NO_MEMORY_OPTIMIZATION
    config.gpu_options.allow_growth = True
    # In the thread that calls: another would have to wait for a core, at each call, where the machine is busy.
    config.inter_op_parallelism_threads = -1
    config.device_count["CPU"] = len(tf.config.list_logical_devices("CPU"))
    return config
