"""Partners: a learner against other parameters than those of the opponents."""

from dice_tf.partners.against_partners import AgainstPartners, PartnersState
from dice_tf.partners.fixed_policies import FixedPolicies
from dice_tf.partners.naive_learners import NaiveLearners
from dice_tf.partners.past_selves import PastSelves

__all__ = [
    "AgainstPartners",
    "FixedPolicies",
    "NaiveLearners",
    "PartnersState",
    "PastSelves",
]
