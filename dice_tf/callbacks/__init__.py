"""Callbacks for `dice_tf.Trainer.fit`, where Keras has none."""

from dice_tf.callbacks.checkpoint import Checkpoint
from dice_tf.callbacks.cross_play_evaluation import CrossPlayEvaluation
from dice_tf.callbacks.policy_pictures import PolicyPictures
from dice_tf.callbacks.restore_last_good import RestoreLastGood

__all__ = [
    "Checkpoint",
    "CrossPlayEvaluation",
    "PolicyPictures",
    "RestoreLastGood",
]
