"""Optimisers whose steps are differentiable functions of tensors.

The steps that a look-ahead imagines must be differentiated through, which
Keras optimisers cannot be: these take parameters, gradients and slots as
tensors and return new ones. All of them *ascend*.
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
