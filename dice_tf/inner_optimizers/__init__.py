"""Optimisers whose steps are differentiable functions of tensors.

A look-ahead differentiates through the steps that it imagines, which Keras
optimisers do not allow. These take parameters, gradients and slots as tensors
and return new ones. All of them *ascend*.
"""

from dice_tf.inner_optimizers.adam import Adam, AdamSlots
from dice_tf.inner_optimizers.clipping import ClipByGlobalNorm
from dice_tf.inner_optimizers.optimizer import InnerOptimizer, InnerStep
from dice_tf.inner_optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamSlots",
    "ClipByGlobalNorm",
    "InnerOptimizer",
    "InnerStep",
]
