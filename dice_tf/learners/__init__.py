"""Learners: update rules applied to an objective."""

from dice_tf.learners.learner import Learner, LearnerStep
from dice_tf.learners.lola_dice import LOLADiCE
from dice_tf.learners.naive import Naive

__all__ = ["LOLADiCE", "Learner", "LearnerStep", "Naive"]
