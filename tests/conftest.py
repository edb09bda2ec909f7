"""What must be set before the first test."""

import gc

import tensorflow as tf

# Graphs are many small objects that live long: to look for rubbish among them
# as often as Python does by default takes a twentieth of the tests' time.
gc.set_threshold(100_000, 20, 50)

# Strategies of two replicas are tested on two halves of one CPU. Before the
# first test, since it can be set but once.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration() for _ in range(2)],
)
