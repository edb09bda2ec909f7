"""What must be set before the first test, and before each."""

import gc
import random

import pytest
import tensorflow as tf

pytest_plugins = ["tests.own_process"]

# Graphs are many small objects that live long: to look for rubbish among them
# as often as Python does by default takes a twentieth of the tests' time.
gc.set_threshold(100_000, 20, 50)

# Strategies of two replicas are tested on two halves of one CPU. Before the
# first test, since it can be set but once.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration() for _ in range(2)],
)


def pytest_addoption(parser):
    parser.addoption(
        "--seed",
        type=int,
        default=0,
        help="of what tests leave to chance, as the weights of a new policy",
    )


def _seed(config, name):
    """Seeds Python's generator, from which Keras draws the seeds of weights.

    Each name otherwise: else what a fixture draws and what its test draws would
    be the same numbers.
    """
    random.seed(f"{config.getoption('seed')} {name}")


@pytest.hookimpl(tryfirst=True)
def pytest_make_collect_report(collector):
    _seed(collector.config, collector.nodeid)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef, request):
    name = f"{request.node.nodeid} {fixturedef.argname}"
    _seed(request.config, name)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    _seed(item.config, item.nodeid)
