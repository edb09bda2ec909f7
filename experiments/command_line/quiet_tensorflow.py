"""TensorFlow without the chatter of its start."""

import os
import sys
import tempfile

from absl import flags, logging

# It comes from C++, before there is a way to ask for silence.
_CHATTER = ("I0000", "W0000", "E0000", "WARNING: All log messages before")


def import_tensorflow() -> None:
    """Imports TensorFlow and finds the devices, hiding what it logs.

    Users see a screen of notes on CUDA and oneDNN otherwise, most of all
    where there is no GPU. What is no log line is shown. A user who sets
    TF_CPP_MIN_LOG_LEVEL or --verbosity sees everything.
    """
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        import tensorflow  # noqa: F401

        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
            hidden.seek(0)
            for line in hidden.read().decode(errors="replace").splitlines():
                if not line.startswith(_CHATTER):
                    print(line, file=sys.stderr)
