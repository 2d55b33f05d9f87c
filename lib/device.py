"""Where training runs: the GPU where there is one, the CPU otherwise, or what `UNROLLED_DEVICE` says."""

import os
from typing import NamedTuple

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


def choose(wanted: str | None = None) -> Device:
    """The device to train on.

    `wanted` (by default the variable `UNROLLED_DEVICE`) is "auto", "cpu", "gpu", or one device such as "gpu:1".
    "auto" takes the first GPU, or the CPU where there is none. Raises DeviceError when there is no such device.
    """
    wanted = (wanted or os.environ.get("UNROLLED_DEVICE") or "auto").strip().lower()
    devices = available()
    if wanted == "auto":
        return devices[0]
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
    config.device_count["CPU"] = len(tf.config.list_logical_devices("CPU"))
    return config
