"""Fresh initial parameters of a policy, from a seed."""

import random
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from dice_tf.checks import check_model, check_whole_number
from dice_tf.seeds import hash_numbers


def initial_params(
    policy: keras.Model, seed: int | Sequence[int]
) -> list[np.ndarray]:
    """Draws the trainable parameters of a policy (or critic) anew.

    The model is rebuilt from its configuration with every initializer
    reseeded; the model itself and all global random states are left alone.

    Args:
      policy: a built `keras.Model`.
      seed: a whole number of any size, or several, not negative.

    Returns:
      One array per trainable variable, in the order of
      `policy.trainable_variables`.

    Raises:
      TypeError: if the model is not a `keras.Model`, or there is no seed.
      ValueError: if the model cannot be rebuilt from its configuration.
    """
    policy = check_model("policy", policy)
    # As objects, numbers of any size stay what they are.
    numbers = np.atleast_1d(np.asarray(seed, object))
    numbers = [check_whole_number("seed", x, 0, None) for x in numbers]
    generator = random.Random(hash_numbers(numbers))
    global_state = random.getstate()
    # Initializers without a seed draw one from Python's generator.
    random.setstate(generator.getstate())
    try:
        config = _reseed(policy.get_config(), generator)
        clone = type(policy).from_config(config)
        if not clone.built:
            clone.build_from_config(policy.get_build_config())
    except Exception as error:
        raise ValueError(
            f"The model {policy.name!r} cannot be rebuilt from its "
            "configuration, so its parameters cannot be drawn anew. Give it "
            "a get_config method, or hand the initial parameters over."
        ) from error
    finally:
        random.setstate(global_state)
    params = [variable.numpy() for variable in clone.trainable_variables]
    shapes = [param.shape for param in params]
    expected = [
        tuple(variable.shape) for variable in policy.trainable_variables
    ]
    if shapes != expected:
        raise ValueError(
            f"The model {policy.name!r}, rebuilt from its configuration, has "
            f"trainable variables of shapes {shapes} instead of {expected}. "
            "Hand the initial parameters over instead."
        )
    return params


def _reseed(config: Any, generator: random.Random) -> Any:
    """Returns a Keras configuration with all initializers' seeds redrawn."""
    if isinstance(config, dict):
        is_initializer = "initializers" in str(config.get("module"))
        config = {
            key: _reseed(value, generator) for key, value in config.items()
        }
        if is_initializer and "seed" in (config.get("config") or {}):
            config["config"]["seed"] = generator.randint(1, 2**31 - 1)
        return config
    if isinstance(config, (list, tuple)):
        return type(config)(_reseed(value, generator) for value in config)
    return config
