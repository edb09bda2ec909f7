"""COLA: updates that are learned until they are consistent."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from keras.optimizers.schedules import LearningRateSchedule

from dice_tf.checks import (
    MOST_UNITS,
    check_number,
    check_sizes,
    check_whole_number,
)
from dice_tf.inner_optimizers import Adam
from dice_tf.inner_optimizers.optimizer import as_dtype
from dice_tf.learners.consistency import check_exact, consistency_residuals
from dice_tf.learners.derivatives import (
    inner_product,
    opponents_of,
    players_with_params,
)
from dice_tf.learners.inner_rates import (
    InnerRates,
    as_inner_rates,
    rates_of_players,
)
from dice_tf.learners.jacobians import flatten, unflatten
from dice_tf.learners.learner import (
    Learner,
    LearnerStep,
    as_params,
    check_state,
    check_step,
    gradient_of,
    own_gradients,
)
from dice_tf.learners.update_functions import (
    UpdateFunctions,
    directions_at,
    initial_update_functions,
)
from dice_tf.objectives.objective import Objective, Params
from dice_tf.seeds import Seed, child_seeds, uniform

# More points or steps would be no step of training.
_MOST = 2**24


class COLAState(NamedTuple):
    """What `COLA` remembers.

    Attributes:
      networks: by player the weights of its update function, see
        `dice_tf.learners.update_functions`.
      slots: by player, what the optimiser of its network remembers.
      rates: nest of tensors, what the inner rates remember.
      loss: scalar, the consistency loss that was last measured.
      count: int32 scalar, number of steps made, for schedules.
    """

    networks: UpdateFunctions
    slots: list[Any]
    rates: Any
    loss: tf.Tensor
    count: tf.Tensor


class COLA(Learner):
    """Learns updates of all players that shape each other's updates.

    LOLA shapes opponents that are naive, and `HOLA` of order n those of order
    n - 1, which need not come to an end as n grows. COLA looks for the end
    itself: directions of all players, functions of all parameters, such that

      `d_i(theta) = d/dtheta_i V_i(theta_i, theta_-i + a d_-i(theta))`,

    the total derivative, which flows through the opponents' functions. Each
    function is a small network, a linear map beside hidden layers of `tanh`.
    Player i moves along `d_i(theta)`. Before that, in every step, all networks
    descend the sum over players of the squared differences of the two sides,
    `num_steps` times by Adam, each time its mean over `batch_size` points which
    are drawn from

      `theta + radius u`,   `u` uniform in [-1, 1] in every coordinate.

    It takes derivatives of the second order of the values, where HOLA of order
    n takes those of order n + 1. There may be several consistent updates. The
    networks start from directions of 0, by which all players stand still.

    The learner remembers its networks. To train them before the player moves,
    as in the paper, make steps in which it does not move. `gradient` is one
    step from new networks. A step of many points is slow unless it is compiled:
    call it within a `tf.function`, or use a `dice_tf.Trainer`.

    `dice_tf.diagnostics.shaping_share` does not see how COLA shapes: with the
    opponents held still it fits other networks, which still depend on the
    player.

    It logs `consistency_loss`, that of `dice_tf.learners.consistency_loss`, as
    the mean over the last points before the last step of the networks.

    Args:
      inner_learning_rate: `a`: one number, one per player, or `InnerRates`. At
        rate 0 the networks learn the direction of `Naive`.
      hidden_units: width of each hidden layer; `()` for linear functions.
      radius: at least 0, how far from the parameters the points are drawn.
      batch_size: number of points.
      learning_rate: of the networks: a number, or a schedule of
        `keras.optimizers.schedules` over steps of the learner, from 0.
      num_steps: of the networks, in each step of the learner.

    Raises:
      TypeError, ValueError: if an argument is out of its range; on a step, if
        there is no seed or the values of the objective are sampled.

    Example:
      >>> learner = dice_tf.learners.COLA(1.0, num_steps=1)
      >>> state = learner.init(params)
      >>> direction, state = learner.step(objective, params, 0, seed, state)

    References:
      Willi et al. 2022 (COLA: Consistent Learning with Opponent-Learning
      Awareness). There all points are drawn around 0, with a radius of 7, and
      the networks are trained before the players.
    """

    metric_names = ("consistency_loss",)

    def __init__(
        self,
        inner_learning_rate: float | Sequence[float] | InnerRates = 1.0,
        *,
        hidden_units: Sequence[int] = (16,),
        radius: float = 1.0,
        batch_size: int = 64,
        learning_rate: float | LearningRateSchedule = 1e-2,
        num_steps: int = 20,
    ):
        self.inner_learning_rate = inner_learning_rate
        self.inner_rates = as_inner_rates(inner_learning_rate)
        self.hidden_units = check_sizes(
            "hidden_units", hidden_units, MOST_UNITS
        )
        self.radius = check_number("radius", radius)
        self.batch_size = check_whole_number("batch_size", batch_size, 1, _MOST)
        if not isinstance(learning_rate, LearningRateSchedule):
            learning_rate = check_number("learning_rate", learning_rate)
        self.learning_rate = learning_rate
        self.num_steps = check_whole_number("num_steps", num_steps, 1, _MOST)

    def init(self, params: Params) -> COLAState:
        params = as_params(params)
        networks = initial_update_functions(params, self.hidden_units)
        tensors = tf.nest.flatten(params)
        dtype = tensors[0].dtype if tensors else tf.float32
        return COLAState(
            networks,
            [Adam().init(network) for network in networks],
            self.inner_rates.init(params),
            tf.zeros([], dtype),
            tf.zeros([], tf.int32),
        )

    def metrics(self, state: COLAState) -> tuple[tf.Tensor, ...]:
        return (check_state(state, COLAState).loss,)

    def hoisted(self, states: COLAState) -> "COLA":
        check_state(states, COLAState, "states")
        hoisted = copy.copy(self)
        hoisted.learning_rate = self._rate_at(states.count[0])
        return hoisted

    def step(
        self,
        objective: Objective,
        params: Params,
        player_id: int,
        seed: Seed | None,
        state: COLAState,
    ) -> LearnerStep:
        params = check_step(objective, params, player_id)
        _check_sizes(params, check_state(state, COLAState))
        check_exact(objective, "COLA")
        if not params[player_id]:
            return LearnerStep([], state)
        if seed is None:
            raise ValueError(
                "`seed` must be an int32 tensor of shape [2]: points are drawn "
                "by it. Received: None."
            )
        rates_state = self.inner_rates.observe(state.rates, params)
        rates = rates_of_players(self.inner_rates, rates_state, params)
        fitted = self._fit(objective, params, seed, state, rates)
        gradients = {}
        if self.inner_rates.reads_gradients:
            opponents = opponents_of(params, player_id)
            gradients = own_gradients(objective, params, opponents, None)
        return LearnerStep(
            self.directions(params, fitted)[player_id],
            fitted._replace(
                rates=self.inner_rates.remember(rates_state, params, gradients)
            ),
        )

    def directions(
        self, params: Params, state: COLAState
    ) -> list[list[tf.Tensor]]:
        """Returns the directions of all players by the networks.

        This is an `update` of `dice_tf.learners.consistency_loss`.

        Args:
          params: one list of tensors per player.
          state: what `init` or a step returned.

        Returns:
          One list of tensors per player, differentiable in `params`.
        """
        check_state(state, COLAState)
        params = as_params(params, len(state.networks))
        _check_sizes(params, state)
        return directions_at(state.networks, params)

    def _fit(
        self,
        objective: Objective,
        params: Params,
        seed: Seed,
        state: COLAState,
        rates: Sequence[Any],
    ) -> COLAState:
        """Returns the state after the steps of the networks."""
        players = players_with_params(params)
        # No tape may record a loop, so that nothing that enters it is watched.
        center = tf.stop_gradient(flatten(params, players))
        rates = [tf.stop_gradient(as_dtype(x, center.dtype)) for x in rates]
        seed_of = child_seeds(seed, self.num_steps)
        learning_rate = self._rate_at(state.count)
        tapes_inside = objective.tapes_are_inside

        def fitting_step(k: Any, networks: Any, slots: Any, loss: Any) -> tuple:
            del loss
            noise = uniform(
                seed_of(k), [self.batch_size, center.shape[0]], center.dtype
            )
            points = center + self.radius * (2.0 * noise - 1.0)

            def at(point: tf.Tensor) -> tuple:
                # In a map, tapes are opened in another place than around it.
                here = objective.bind(tapes_inside=tapes_inside)
                at_point = unflatten(point, params, players)
                point_params = [at_point.get(i, []) for i in range(len(params))]
                return fitting_gradients(here, point_params, networks, rates)

            gradients, losses = tf.vectorized_map(at, points)
            moved = [
                Adam().step(
                    network,
                    [-tf.reduce_mean(x, axis=0) for x in gradient],
                    slot,
                    learning_rate,
                )
                for network, gradient, slot in zip(
                    networks, gradients, slots, strict=True
                )
            ]
            return (
                k + 1,
                [step.params for step in moved],
                [step.slots for step in moved],
                tf.reduce_mean(losses),
            )

        _, networks, slots, loss = tf.while_loop(
            lambda k, *_: k < self.num_steps,
            fitting_step,
            (0, state.networks, state.slots, state.loss),
        )
        return COLAState(networks, slots, state.rates, loss, state.count + 1)

    def _rate_at(self, count: tf.Tensor) -> Any:
        if isinstance(self.learning_rate, LearningRateSchedule):
            return self.learning_rate(count)
        return self.learning_rate


def fitting_gradients(
    objective: Objective,
    params: Params,
    networks: UpdateFunctions,
    rates: Sequence[Any],
) -> tuple[UpdateFunctions, tf.Tensor]:
    """Returns what the networks descend at one point.

    Args:
      objective: what all players maximise, in closed form.
      params: the point, one list of tensors per player.
      networks: by player, the weights of its network.
      rates: one per player.

    Returns:
      The gradients of `sum_i |r_i|^2` with the residuals `r_i`, tensors like
      the weights, and the consistency loss `sum_i |a_i r_i|^2`, a scalar.
    """
    weights = tf.nest.flatten(networks)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        residuals = consistency_residuals(
            lambda known: directions_at(networks, known),
            objective,
            params,
            rates,
        )
        squares = {i: inner_product(r, r) for i, r in residuals.items()}
        total = tf.add_n(list(squares.values()))
    gradients = gradient_of(tape, total, weights)
    loss = tf.add_n([rates[i] ** 2 * squares[i] for i in squares])
    return tf.nest.pack_sequence_as(networks, gradients), loss


def _check_sizes(params: Params, state: COLAState) -> None:
    """Raises if the networks were made for other parameters."""
    received = [sum(x.shape.num_elements() for x in part) for part in params]
    expected = [
        network[1].shape[0] if network else 0 for network in state.networks
    ]
    if received != expected:
        raise ValueError(
            "`params` must hold as many numbers for each player as those that "
            f"`init` was given, {expected}. Received: {received}."
        )
