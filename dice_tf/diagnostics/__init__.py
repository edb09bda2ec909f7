"""Diagnostics: how good sampled derivatives are, and what they do.

Measured on the user's own game, policies and batch size, by drawing many
independent estimates.
"""

from dice_tf.diagnostics.measured_shaping import (
    MeasuredShaping,
    MeasuredShapingState,
)
from dice_tf.diagnostics.sampled_derivatives import (
    DerivativeStatistics,
    derivative_statistics,
)
from dice_tf.diagnostics.shaping import ShapingShare, shaping_share

__all__ = [
    "DerivativeStatistics",
    "MeasuredShaping",
    "MeasuredShapingState",
    "ShapingShare",
    "derivative_statistics",
    "shaping_share",
]
