"""The choice of device, with two logical CPUs, in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

TWO_CPUS = """
from lib.tf import tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from lib.device import available, choose
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"UNROLLED_DEVICE": "", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, "-c", TWO_CPUS + code], capture_output=True, text=True, env=environment, timeout=120
    )


def test_choice_and_a_device_that_is_not_there_is_named_with_what_there_is() -> None:
    code = """
import os
from lib.device import DeviceError
for wanted in ("", "auto", "CPU", "cpu:1", "gpu"):
    os.environ["UNROLLED_DEVICE"] = wanted
    try:
        print(choose().name, choose().label)
    except DeviceError as error:
        print(error)
"""
    done = run(code)
    assert done.stdout.splitlines() == [
        *["/CPU:0 CPU"] * 3,
        "/CPU:1 CPU",
        "UNROLLED_DEVICE='gpu' is not a device of this machine. Choose auto, or one of: cpu:0, cpu:1.",
    ], done.stderr


def test_training_runs_on_the_second_device() -> None:
    code = """
import numpy as np
from demos.registry import get
config = get("echo").config(series_length=300, epochs=1)
losses = []
for name in ("cpu:0", "cpu:1"):
    from demos.echo.task import EchoTask
    from lib.training import CHUNKS, Engine
    engine = Engine(EchoTask(config), name)
    losses.append(engine.run(engine.initial(), 4)[1]["loss"])
assert len(CHUNKS) == 2, "one compiled chunk for each device"
np.testing.assert_array_equal(*losses)
print("same")
"""
    done = run(code)
    assert done.stdout.split() == ["same"], done.stderr


def test_engines_and_jobs_are_spread_over_the_devices_with_a_thread_for_each(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
import numpy as np
from demos.registry import get
from demos.echo.task import EchoTask
from lib.jobs import Jobs
from lib.training import Engine
from tests.test_jobs import wait
task = EchoTask(get("echo").config(series_length=300, epochs=1))
engines = [Engine(task) for _ in range(4)]
print([engine.device_name for engine in engines])
del engines[0], engines[1]  # the first and the third: they count no more
print([Engine(task).device_name, Engine(task, "cpu:1").device_name])
del engines
jobs = Jobs(Path({str(tmp_path)!r}), 1, build=lambda s, c: get(s).build(c), config_of=lambda s: get(s).config)
found = [jobs.start("echo", get("echo").config(series_length=600, epochs=2), "me", paused=True) for _ in range(2)]
wait(lambda: all(job.engine is not None for job in found), 100)
print(sorted(job.engine.device_name for job in found), jobs._workers)
for job in found:
    jobs.resume(job.id)
wait(lambda: not any(job.active for job in found), 100)
np.testing.assert_array_equal(*(job.stream.curve("loss")[1] for job in found))
jobs.shutdown()
"""
    done = run(code)
    both = ["/CPU:0", "/CPU:1"]
    assert done.returncode == 0 and done.stdout.splitlines() == [str(both * 2), str(both), f"{both} 2"], done.stderr
