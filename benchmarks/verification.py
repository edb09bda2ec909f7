"""The gradients of the timed programs, against exact ones or one another."""

import numpy as np
import tensorflow as tf

import dice_tf
from benchmarks import alignment_programs, programs
from benchmarks import jax_reference as reference

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


def recurrent_cosines(num_lookaheads: int, seed: int = 0) -> dict[str, float]:
    """As `cosines`, for policies and critics of gated recurrent units.

    Args:
      num_lookaheads: K.
      seed: of the weights and the play.

    Returns:
      By program, `ours, gru` and `jax, gru`. The exact direction is that of an
      enumeration, in JAX.
    """
    import jax

    from benchmarks import jax_recurrent

    size = programs.Size(16_384, 3, num_lookaheads, recurrent="gru")
    settings = programs.jax_settings(size)._replace(
        inner_learning_rate=INNER_LEARNING_RATE
    )
    training = jax_recurrent.initial(settings, seed)
    direct, exact = (
        jax.jit(function, static_argnums=(0, 1))
        for function in (
            jax_recurrent.direction,
            jax_recurrent.exact_direction,
        )
    )
    current = training.params, training.critics
    keys = reference.make_keys(seed, 2)
    jaxs, exacts = [], []
    for player, key in enumerate(keys):
        uniforms = reference.draw_uniforms(key, _shape(size, settings))
        jaxs.append(direct(settings, player, *current, uniforms)[0])
        exacts.append(exact(settings, player, training.params))
    exacts = [_flat(_keras_weights(weights)) for weights in exacts]
    sampled = {
        "ours, gru": map(_flat, _our_recurrent_directions(size, training)),
        "jax, gru": (_flat(_keras_weights(weights)) for weights in jaxs),
    }
    return {
        name: min(map(_cosine, found, exacts))
        for name, found in sampled.items()
    }


def alignment_cosines(seed: int = 0) -> dict[str, float]:
    """Returns cosines of our and JAX's directions of Advantage Alignment.

    Both of one play in the Coin Game, in which both networks are random.

    Args:
      seed: of the networks and the play.

    Returns:
      By name, `policy` and `critic`. `tests/benchmarks` compare the JAX program
      with the definition.
    """
    import jax

    from benchmarks import jax_alignment

    size = alignment_programs.Size()
    settings = alignment_programs.jax_settings(size)
    training = jax_alignment.initial(settings, seed)
    networks = training.params, training.critics
    found = alignment_programs.our_gradients(size, networks, (seed, 1))
    of_policy, of_critic = jax.jit(
        jax_alignment.gradients_of, static_argnums=0
    )(settings, networks, jax_alignment.Play(*found.play))
    return {
        "policy": -_cosine(
            _flat(found.direction), _flat(jax.tree.leaves(of_policy))
        ),
        "critic": _cosine(
            _flat(found.critic_gradient), _flat(jax.tree.leaves(of_critic))
        ),
    }


def _our_recurrent_directions(size, training):
    objective = programs.our_trainer(size).objective
    for critic, weights in zip(
        objective.critics, training.critics, strict=True
    ):
        critic.network.set_weights(_keras_weights(weights))
    params = [
        list(map(tf.constant, _keras_weights(weights)))
        for weights in training.params
    ]
    return _directions(objective, size, params, tf.constant([1, 2]))


def _keras_weights(weights):
    """Returns weights of the JAX program in the order of Keras."""
    names = ("kernel", "recurrent", "bias", "head", "head_bias")
    return [np.asarray(weights[name]) for name in names]


def _flat(weights):
    return np.concatenate([np.ravel(array) for array in weights])


def _shape(size, settings):
    return (
        size.num_lookaheads + 1,
        size.batch_size // settings.group_size,
        2,
        size.episode_length,
        settings.group_size,
    )


def _directions(objective, size, params, seed=None):
    learner = dice_tf.learners.LOLADiCE(
        size.num_lookaheads, INNER_LEARNING_RATE
    )

    @tf.function(jit_compile=True)
    def both():
        return [
            learner.gradient(objective, params, player_id, seed)
            for player_id in range(2)
        ]

    return both()


def _table_directions(objective, size, logits, seed=None):
    params = [
        [tf.constant(table[:, np.newaxis], tf.float32)] for table in logits
    ]
    return list(map(_flat, _directions(objective, size, params, seed)))


def _exact_directions(size, logits):
    objective = programs.our_trainer(size).objective
    exact = dice_tf.objectives.ExactObjective(
        objective.game, objective.policies, programs.DISCOUNT
    )
    return _table_directions(exact, size, logits)


def _our_directions(size, logits, values):
    objective = programs.our_trainer(size).objective
    for critic, table in zip(objective.critics, values, strict=True):
        critic.network.set_weights([table[:, np.newaxis]])
    return _table_directions(objective, size, logits, tf.constant([1, 2]))


def _jax_directions(size, logits, values, seed):
    import jax
    import jax.numpy as jnp

    settings = programs.jax_settings(size)._replace(
        inner_learning_rate=INNER_LEARNING_RATE
    )
    shape = _shape(size, settings)
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
