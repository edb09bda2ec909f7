"""Learners: update rules applied to an objective."""

from dice_tf.learners.actor_critic import ActorCritic
from dice_tf.learners.advantage_alignment import AdvantageAlignment
from dice_tf.learners.cola import COLA
from dice_tf.learners.competitive import CompetitiveGradientDescent
from dice_tf.learners.consensus import Consensus
from dice_tf.learners.consistency import consistency_loss
from dice_tf.learners.extragradient import Extragradient
from dice_tf.learners.hola import HOLA
from dice_tf.learners.inner_rates import FittedRates, FixedRates, InnerRates
from dice_tf.learners.learner import Learner, LearnerStep
from dice_tf.learners.local_symplectic_surgery import LocalSymplecticSurgery
from dice_tf.learners.lola import LOLA, LOLAFullGradient
from dice_tf.learners.lola_dice import LOLADiCE
from dice_tf.learners.look_ahead import LookAhead
from dice_tf.learners.loqa import LOQA
from dice_tf.learners.maml import MAML
from dice_tf.learners.mixture import Mixture
from dice_tf.learners.naive import Naive
from dice_tf.learners.output_space import OutputSpace
from dice_tf.learners.pola import POLA
from dice_tf.learners.sos import SOS
from dice_tf.learners.symplectic import SymplecticGradientAdjustment

__all__ = [
    "COLA",
    "HOLA",
    "LOLA",
    "LOQA",
    "MAML",
    "POLA",
    "SOS",
    "ActorCritic",
    "AdvantageAlignment",
    "CompetitiveGradientDescent",
    "Consensus",
    "Extragradient",
    "FittedRates",
    "FixedRates",
    "InnerRates",
    "LOLADiCE",
    "LOLAFullGradient",
    "Learner",
    "LearnerStep",
    "LocalSymplecticSurgery",
    "LookAhead",
    "Mixture",
    "Naive",
    "OutputSpace",
    "SymplecticGradientAdjustment",
    "consistency_loss",
]
