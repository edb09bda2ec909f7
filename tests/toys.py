"""Small games, policies and parameters that several tests share."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf.seeds import child_keys, make_seed, uniform

# Neither symmetric nor zero-sum, so that swapping players or signs shows.
ASYMMETRIC = np.array([[[1.0, -2.0], [2.5, 0.3]], [[-1.5, 0.7], [0.2, 2.0]]])
# Three players with two, three and two actions.
THREE_PLAYERS = np.random.default_rng(5).normal(size=(3, 2, 3, 2))


def tabular_policies(game):
    return [
        dice_tf.policies.tabular(game, player_id)
        for player_id in range(game.num_players)
    ]


def random_params(policies, seed, scale=1.0):
    """One list of N(0, scale^2) arrays per player, in the policies' dtypes."""
    rng = np.random.default_rng(seed)
    return [
        [
            rng.normal(scale=scale, size=variable.shape).astype(variable.dtype)
            for variable in policy.trainable_variables
        ]
        for policy in policies
    ]


def iteration_seed(run_seed, iteration):
    """The seed of a run of a trainer in an iteration."""
    return child_keys(make_seed(run_seed), [iteration])[0]


def exact_objective(payoffs, discount, episode_length):
    """The exact objective of tabular policies, in float64."""
    game = dice_tf.games.iterated_matrix_game(
        payoffs, episode_length or 1, dtype="float64"
    )
    return dice_tf.objectives.ExactObjective(
        game, tabular_policies(game), discount, episode_length
    )


def swap_seats(payoffs, order):
    """The same game with player `order[i]` in seat i."""
    payoffs = np.asarray(payoffs)[list(order)]
    return np.transpose(payoffs, [0, *(1 + seat for seat in order)])


class Plain(dice_tf.games.Game):
    """A game that hides that it is a finite one: it plays the same."""

    def __init__(self, game):
        self.hidden = game
        self.num_players = game.num_players
        self.num_actions = game.num_actions
        self.observation_shapes = game.observation_shapes
        self.episode_length = game.episode_length
        self.dtype = game.dtype

    def reset(self, seed, batch_size):
        return self.hidden.reset(seed, batch_size)

    def step(self, state, actions, seed):
        return self.hidden.step(state, actions, seed)


class EndsEarly(Plain):
    """A game that is over once all players have taken action 1."""

    def reset(self, seed, batch_size):
        state, step = super().reset(seed, batch_size)
        return (state, tf.ones_like(step.discounts)), step

    def step(self, state, actions, seed):
        state, running = state
        state, step = super().step(state, actions, seed)
        over = tf.reduce_all(tf.equal(tf.stack(actions), 1), axis=0)
        running *= 1.0 - tf.cast(over, running.dtype)
        return (state, running), step._replace(discounts=running)


class NaNBehindTheEnd(EndsEarly):
    """As `EndsEarly`, with NaN for whatever comes behind the end."""

    def step(self, state, actions, seed):
        was_running = state[1] > 0.0
        state, step = super().step(state, actions, seed)
        rewards = tuple(
            tf.where(was_running, reward, np.nan) for reward in step.rewards
        )
        seen = tuple(
            tf.where(was_running[:, tf.newaxis], x, np.nan)
            for x in step.observations
        )
        return state, step._replace(rewards=rewards, observations=seen)


class Pursuit(dice_tf.games.Game):
    """Continuous actions: player 0 wants to be near player 1, who flees."""

    num_players = 2
    num_actions = (None, None)
    observation_shapes = ((2,), (2,))
    dtype = tf.float64

    def __init__(self, episode_length=2):
        self.episode_length = episode_length

    def reset(self, seed, batch_size):
        noise = uniform(seed, [batch_size, 2], self.dtype)
        return noise, self._time_step(noise, tf.zeros_like(noise[:, 0]))

    def step(self, state, actions, seed):
        del seed
        state = state + 0.5 * tf.stack(actions, axis=1)
        distance = tf.square(state[:, 0] - state[:, 1])
        return state, self._time_step(state, distance)

    def _time_step(self, state, distance):
        return dice_tf.games.TimeStep(
            (state, tf.reverse(state, axis=[1])),
            (-distance, 0.5 * distance),
            tf.ones_like(distance),
        )


def normal_head(outputs):
    """Reads two outputs as the mean and log-scale of a normal."""
    return tfp.distributions.Normal(outputs[..., 0], tf.exp(outputs[..., 1]))


def normal_policy(seed=0, head=normal_head):
    """A linear policy of two outputs for `Pursuit`."""
    inputs = keras.Input((2,), dtype="float64")
    initializer = keras.initializers.RandomNormal(stddev=0.3, seed=seed)
    outputs = keras.layers.Dense(
        2, kernel_initializer=initializer, dtype="float64"
    )(inputs)
    return dice_tf.policies.with_head(keras.Model(inputs, outputs), head)


def masked_game(episode_length=2, dtype="float64", **changes):
    """Two players, three and two actions, some of them illegal; by chance.

    Of the actions of player 0 the first, the second and the last is illegal
    in one state each.
    """
    rng = np.random.default_rng(11)
    tables = {
        "rewards": rng.normal(size=(2, 3, 3, 2)),
        "transitions": rng.dirichlet(np.ones(3), size=(3, 3, 2)),
        "initial": [0.5, 0.2, 0.3],
        "action_masks": [
            ~np.eye(3, dtype=bool),
            np.array([[True, True], [True, False], [False, True]]),
        ],
    } | changes
    return dice_tf.games.FiniteGame(
        **tables, episode_length=episode_length, dtype=dtype
    )
