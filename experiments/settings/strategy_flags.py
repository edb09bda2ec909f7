"""The flag of experiments that may run on several devices or machines."""

from absl import flags

NONE, MIRRORED, MULTI_WORKER = "none", "mirrored", "multi_worker"
STRATEGIES = (NONE, MIRRORED, MULTI_WORKER)

flags.DEFINE_enum(
    "strategy",
    NONE,
    STRATEGIES,
    "Over what each batch of episodes is split: mirrored, all GPUs of this "
    "machine; multi_worker, all machines of the cluster that the environment "
    "variable TF_CONFIG describes, on each of which the same command is "
    "started. What is computed is the same; the first worker writes it. XLA "
    "is off with both.",
)
