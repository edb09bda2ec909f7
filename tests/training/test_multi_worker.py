"""Two workers on this machine: they compute what one does, and one may die."""

import numpy as np
import pytest

from tests import worker_program
from tests.workers import started_workers

# Two processes import TensorFlow, compile, and notice that another is gone.
TIMEOUT = 400


def _run(folder, *arguments):
    """Runs both workers to their end; what they printed, and their codes."""
    command = ["tests.worker_program", str(folder), *arguments]
    with started_workers(command) as workers:
        outputs = [worker.communicate(timeout=TIMEOUT)[0] for worker in workers]
        return outputs, [worker.returncode for worker in workers]


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A training of three epochs of which worker 1 dies after the first."""
    folder = tmp_path_factory.mktemp("cluster")
    outputs, codes = _run(folder, "1")
    return folder, outputs, codes


def test_two_workers_compute_the_gradient_of_one(interrupted):
    folder, outputs, _ = interrupted
    expected = worker_program.lola_dice_gradient()()
    for worker in range(2):
        path = folder / f"gradient_{worker}.npy"
        assert path.exists(), outputs[worker]
        np.testing.assert_allclose(np.load(path), expected, rtol=1e-10)


def test_workers_that_start_from_different_iterations_are_told(interrupted):
    folder, _, _ = interrupted
    for worker in range(2):
        message = (folder / f"disagreement_{worker}.txt").read_text()
        assert (
            f"same iteration. This one, worker {worker}, starts from {worker}"
        ) in message


def test_the_death_of_a_worker_is_a_clear_error_in_the_other(interrupted):
    _, outputs, codes = interrupted
    assert codes == [1, 9], outputs[0]
    last = outputs[0].strip().splitlines()[-1]
    assert "RuntimeError: Another worker of the MultiWorkerMirrored" in last
    assert "start all workers again, each from the last checkpoint" in last


def test_the_run_resumes_and_ends_where_one_worker_ends(interrupted):
    folder, _, _ = interrupted
    assert (folder / worker_program.CHECKPOINT).exists()
    outputs, codes = _run(folder)
    assert codes == [0, 0], outputs[0]
    alone = worker_program.make_trainer()
    alone.fit(epochs=worker_program.EPOCHS, steps_per_epoch=2, verbose=0)
    for worker in range(2):
        curves = np.load(folder / f"curves_{worker}.npy")
        np.testing.assert_allclose(curves, alone.curves, rtol=1e-5)
