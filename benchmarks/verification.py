"""The gradients of the timed programs, against the exact ones."""

import numpy as np
import tensorflow as tf

import dice_tf
from benchmarks import jax_reference as reference
from benchmarks import programs

REQUIRED_COSINE = 0.98
# Large, so that a lost or wrong shaping term would show.
INNER_LEARNING_RATE = 3.0


def cosines(num_lookaheads: int, seed: int = 0) -> dict[str, float]:
    """Returns the smallest cosine over players between sampled and exact.

    Of the LOLA-DiCE direction of one large batch of short episodes, for
    log-odds drawn from N(0, 1), critics at random values.

    Args:
      num_lookaheads: K.
      seed: of the log-odds and the play.

    Returns:
      By program, `ours` and `jax`.
    """
    size = programs.Size(65_536, 20, num_lookaheads)
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=[2, reference.NUM_STATES])
    values = generator.normal(size=[2, reference.NUM_STATES])
    exact = _exact_directions(size, logits)
    sampled = {
        "ours": _our_directions(size, logits, values),
        "jax": _jax_directions(size, logits, values, seed),
    }
    return {
        name: min(map(_cosine, found, exact)) for name, found in sampled.items()
    }


def _directions(objective, size, logits, seed=None):
    learner = dice_tf.learners.LOLADiCE(
        size.num_lookaheads, INNER_LEARNING_RATE
    )
    params = [
        [tf.constant(table[:, np.newaxis], tf.float32)] for table in logits
    ]

    @tf.function(jit_compile=True)
    def both():
        return [
            learner.gradient(objective, params, player_id, seed)[0]
            for player_id in range(2)
        ]

    return [direction.numpy().ravel() for direction in both()]


def _exact_directions(size, logits):
    objective = programs.our_trainer(size).objective
    exact = dice_tf.objectives.ExactObjective(
        objective.game, objective.policies, programs.DISCOUNT
    )
    return _directions(exact, size, logits)


def _our_directions(size, logits, values):
    objective = programs.our_trainer(size).objective
    for critic, table in zip(objective.critics, values, strict=True):
        critic.network.set_weights([table[:, np.newaxis]])
    return _directions(objective, size, logits, tf.constant([1, 2]))


def _jax_directions(size, logits, values, seed):
    import jax
    import jax.numpy as jnp

    settings = programs.jax_settings(size)._replace(
        inner_learning_rate=INNER_LEARNING_RATE
    )
    shape = (
        size.num_lookaheads + 1,
        size.batch_size // settings.group_size,
        2,
        size.episode_length,
        settings.group_size,
    )
    params = [jnp.asarray(table, jnp.float32) for table in logits]
    critics = jnp.asarray(values, jnp.float32)
    directions = []
    for player, key in enumerate(reference.make_keys(seed, 2)):
        uniforms = reference.draw_uniforms(key, shape)
        direct = jax.jit(reference.direction, static_argnums=(0, 1))
        direction, _ = direct(settings, player, params, critics, uniforms)
        directions.append(np.asarray(direction))
    return directions


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))
