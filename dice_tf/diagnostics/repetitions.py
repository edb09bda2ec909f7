"""Drawing many independent repetitions of what is sampled, compiled."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from dice_tf.checks import check_flag, check_whole_number
from dice_tf.learners.learner import as_params
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import HoistedSeed, Seed, as_seed, split_keys

# More would take days.
MOST_REPETITIONS = 2**24


def repeat(
    sample: Callable[[Any], Any],
    num_repetitions: int,
    *,
    seed: Seed,
    at_once: int,
    jit_compile: bool,
) -> Any:
    """Returns independent samples, vectorised.

    Args:
      sample: function from a seed to a nest of tensors.
      num_repetitions: R.
      seed: int32 `[2]`; repetition r draws from its child r, see
        `dice_tf.seeds.split_seed`.
      at_once: how many are drawn in one call. With 1 nothing is vectorised.
      jit_compile: whether to compile with XLA.

    Returns:
      The nest, of NumPy float64 arrays with a leading axis of R.
    """
    at_once = check_whole_number("repetitions_at_once", at_once, 1)
    at_once = min(at_once, num_repetitions)

    @tf.function(autograph=False)
    def draw(keys: tf.Tensor) -> Any:
        def one(run: tf.Tensor) -> Any:
            return sample(HoistedSeed(keys, run))

        def several() -> Any:
            if at_once > 1:
                return tf.vectorized_map(one, tf.range(at_once))
            single = one(tf.constant(0))
            return tf.nest.map_structure(lambda x: x[tf.newaxis], single)

        # The bits are drawn outside the compiled function, see `HoistedSeed`.
        return tf.function(several, jit_compile=jit_compile, autograph=False)()

    # All calls draw equally many, so that one trace serves them all. The
    # repetitions beyond R are dropped.
    num_calls = -(-num_repetitions // at_once)
    keys = split_keys(as_seed(seed), num_calls * at_once)
    parts = tf.unstack(tf.reshape(keys, [num_calls, at_once, 2]))
    drawn = list(map(draw, parts))
    return tf.nest.map_structure(
        lambda *parts: np.concatenate(parts)[:num_repetitions].astype(
            np.float64
        ),
        *drawn,
    )


def check_repetitions(at_once: int, jit_compile: bool) -> None:
    """Raises if repetitions cannot be drawn that way."""
    check_whole_number("repetitions_at_once", at_once, 1)
    check_flag("jit_compile", jit_compile)


def params_of(objective: Objective, params: Params | None) -> Params:
    """Returns the parameters given, or those that the policies have now."""
    if params is not None:
        return as_params(params, objective.num_players)
    if not objective.policies:
        raise ValueError(
            f"`params` must be given for a {type(objective).__name__}, which "
            "has no policies: one list of tensors per player."
        )
    return objective.initial_params()
