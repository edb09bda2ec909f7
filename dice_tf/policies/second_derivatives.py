"""How wrong the second derivatives of a function are, measured.

What tells is a product of the Hessian with a vector, computed by two tapes,
beside the difference of gradients along that vector: a layer that holds
constant what drops out of the first derivative only gets the former wrong,
and the latter right.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

Function = Callable[[list[tf.Tensor]], tf.Tensor]

# Steps along the vector: for one of them at least the difference of gradients
# is right, whatever the scale of the parameters. The likely ones first.
_STEPS = (1e-2, 1e-3, 1e-1, 1e-4, 1e-5)

# Below these an error is one of rounding; wrong second derivatives are off by
# several per cent.
TOLERANCES = {tf.float32: 1e-2, tf.float64: 1e-4}


def hessian_error(
    function: Function, params: Sequence[tf.Tensor]
) -> float | None:
    """Returns the relative error of a Hessian's product with a vector.

    `|H v - (g(p + e v) - g(p - e v)) / 2e|` over the norm of the latter, for
    the gradient g and Hessian H that tapes give, a random vector v, and the
    step e that makes it smallest: if H is wrong, none does.

    Args:
      function: from tensors like `params` to a scalar.
      params: list of tensors, float32 or float64. The error is measured close
        to them and not at them: initial values may be special.

    Returns:
      The error; `None` if it cannot be measured, since the function is random
      or not finite.
    """
    rng = np.random.default_rng(1)
    vector = [
        tf.cast(rng.normal(size=param.shape), param.dtype) for param in params
    ]
    params = _moved(params, vector, 0.1)
    gradient, again = (_flat(_gradient(function, params)) for _ in range(2))
    size = float(np.linalg.norm(gradient))
    if not np.linalg.norm(gradient - again) <= 1e-4 * size < np.inf:
        return None
    product = _flat(_hessian_product(function, params, vector))
    # A linear function has no curvature that the error could be relative to.
    least = max(1e-2 * size, float(np.finfo(np.float64).tiny))
    enough = 1e-2 * min(TOLERANCES[param.dtype] for param in params)
    smallest = np.inf
    for step in _STEPS:
        ahead, behind = (
            _flat(_gradient(function, _moved(params, vector, sign * step)))
            for sign in (1.0, -1.0)
        )
        slope = (ahead - behind) / (2.0 * step)
        error = np.linalg.norm(product - slope)
        error /= max(float(np.linalg.norm(slope)), least)
        smallest = min(smallest, float(error))
        if smallest <= enough:
            break
    return smallest if np.isfinite(smallest) else None


def _gradient(function: Function, params: list[tf.Tensor]) -> list[tf.Tensor]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(params)
        value = function(params)
    gradients = tape.gradient(value, params, unconnected_gradients="zero")
    return [tf.convert_to_tensor(gradient) for gradient in gradients]


def _hessian_product(
    function: Function, params: list[tf.Tensor], vector: list[tf.Tensor]
) -> list[tf.Tensor]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(params)
        gradients = _gradient(function, params)
    products = tape.gradient(
        gradients,
        params,
        output_gradients=vector,
        unconnected_gradients="zero",
    )
    return [tf.convert_to_tensor(product) for product in products]


def _moved(
    params: Sequence[tf.Tensor], vector: Sequence[tf.Tensor], step: float
) -> list[tf.Tensor]:
    return [p + step * v for p, v in zip(params, vector, strict=True)]


def _flat(tensors: Sequence[tf.Tensor]) -> np.ndarray:
    return np.concatenate(
        [np.ravel(np.asarray(tensor, np.float64)) for tensor in tensors]
    )
