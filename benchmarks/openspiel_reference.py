"""LOLA-DiCE of OpenSpiel, from its own package, to measure against."""

from collections.abc import Callable

import haiku as hk
import jax
import jax.interpreters.xla
import jax.numpy as jnp
import numpy as np

# TensorFlow Probability 0.25, which distrax imports, looks for this table where
# JAX had it before version 0.7.
if not hasattr(jax.interpreters.xla, "pytype_aval_mappings"):
    jax.interpreters.xla.pytype_aval_mappings = jax.core.pytype_aval_mappings

import distrax
from open_spiel.python.environments import iterated_matrix_game
from open_spiel.python.jax import opponent_shaping


def _policy(observation):
    theta = hk.get_parameter("theta", (5, 2), init=jnp.zeros)
    return distrax.Categorical(logits=observation @ theta)


def _value(observation):
    values = hk.get_parameter("values", (5,), init=jnp.zeros)
    return (observation @ values)[..., None]


def make_iteration(
    batch_size: int, length: int, num_lookaheads: int
) -> Callable[[], None]:
    """Returns a function that moves both agents once.

    Each call plays one batch of episodes, from which both agents learn; they
    look ahead by playing anew, in their own code.
    """
    environment = iterated_matrix_game.IteratedPrisonersDilemma(
        iterations=length, batch_size=batch_size
    )
    networks = [
        hk.without_apply_rng(hk.transform(function))
        for function in (_policy, _value)
    ]
    agents = [
        opponent_shaping.OpponentShapingAgent(
            player_id=player,
            opponent_ids=[1 - player],
            seed=jax.random.PRNGKey(player),
            info_state_size=(5,),
            num_actions=2,
            policy=networks[0],
            critic=networks[1],
            batch_size=batch_size,
            pi_learning_rate=0.01,
            opp_policy_learning_rate=0.3,
            critic_learning_rate=0.1,
            policy_update_interval=1,
            discount=0.96,
            correction_type="dice",
            use_jit=True,
            n_lookaheads=num_lookaheads,
            env=environment,
        )
        for player in range(2)
    ]

    def share() -> None:
        for agent, other in (agents, agents[::-1]):
            agent.update_params(
                state=other.train_state, player_id=other.player_id
            )

    def iterate() -> None:
        step = environment.reset()
        while not step.last():
            actions = [agent.step(step)[0].squeeze() for agent in agents]
            step = environment.step(np.stack(actions, axis=1))
            step.observations["actions"] = actions
        for agent in agents:
            agent.step(step)
        share()

    share()
    return iterate
