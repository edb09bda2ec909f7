"""Callbacks for `dice_tf.Trainer.fit`, where Keras has none."""

from dice_tf.callbacks.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
