"""What pages look at in a run of a real demo is there when another process trains it."""

from functools import partial
from pathlib import Path

import pytest

from app.frames import inside_of
from demos.registry import build, get
from lib import export
from lib.backends import BackendError, open_jobs
from lib.inside import View
from lib.inside_figures import FIGURES
from lib.job import State
from lib.remote_jobs import RemoteJobs
from tests.test_jobs import wait


def test_networks_pictures_and_exports_of_a_run_in_another_process(tmp_path: Path) -> None:
    jobs = open_jobs("process", tmp_path, build="demos.registry.build", config_of="demos.registry.config_of")
    assert isinstance(jobs, RemoteJobs)
    demo = get("gates")
    config = demo.config(hidden_units=4, training_steps=200)
    job = jobs.start("gates", config, "me")
    # whoever looks gets the pictures
    wait(lambda: jobs.get(job.id) is job and job.state is State.FINISHED and job.snapshot is not None, seconds=120)
    assert job.history.steps()[0] == 0 and job.history.steps()[-1] == job.steps
    before, after = job.network(0), job.network()
    assert before is not None and after is not None and (before[0], after[0]) == (0, job.steps)
    for at in (0, None):
        inside = inside_of(job, demo, View(), at)
        assert inside is not None and FIGURES["gates"](inside)
    assert job.forkable
    fork = jobs.fork(job.id, 0, config, "me", paused=True)
    wait(lambda: fork.state is State.PAUSED, seconds=60)
    parts = fork.network()
    assert parts is not None and (parts[1]["cell"]["bias"] == before[1]["cell"]["bias"]).all()
    assert jobs.compute(export.as_tensorboard, export.series_of(job), job.created, partial(build, job.slug, job.config))
    jobs.shutdown()
    again = open_jobs("threads", tmp_path, build="demos.registry.build", config_of="demos.registry.config_of")
    found = again.get(job.id)
    assert found is not None and found.stream.summary() == job.stream.summary()
    again.shutdown()


@pytest.mark.parametrize("name", ["thread", "process:here", "ray2"])
def test_a_backend_that_is_none_is_refused_with_the_remedy(name: str) -> None:
    with pytest.raises(BackendError, match="is not a backend: choose one of threads, process, ray, or ray:ADDRESS"):
        open_jobs(name, Path(), build="", config_of="")
