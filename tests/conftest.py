"""What must be set before the first test touches TensorFlow's devices."""

import tensorflow as tf

# Strategies of two replicas are tested on two halves of one CPU.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration() for _ in range(2)],
)
