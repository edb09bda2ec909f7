"""The learning rates that a learner assumes of its opponents."""

import abc
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from dice_tf.checks import (
    check_kind,
    check_number,
    check_per_player,
    check_shapes,
    check_whole_number,
)
from dice_tf.learners.derivatives import inner_product
from dice_tf.learners.learner import as_params, check_state
from dice_tf.objectives.objective import Params

# There is one rate for each.
_MOST_PLAYERS = 2**16


class InnerRates(abc.ABC):
    """Assumed learning rates, one per player, with what they remember.

    They are beliefs. The optimisers that move the players may have others.

    Rates that follow a schedule count the steps in their state:

    Attributes:
      reads_gradients: whether `remember` reads the gradients that it is given.

    Example:
      >>> class ScheduledRates(dice_tf.learners.InnerRates):
      ...     reads_gradients = False
      ...     def __init__(self, schedule):
      ...         self.schedule = schedule
      ...     def init(self, params):
      ...         return tf.constant(0)
      ...     def values(self, state, num_players):
      ...         return (self.schedule(state),) * num_players
      ...     def remember(self, state, params, gradients):
      ...         return state + 1
      >>> schedule = keras.optimizers.schedules.ExponentialDecay(1.0, 100, 0.9)
      >>> learner = dice_tf.learners.LOLA(ScheduledRates(schedule))
    """

    reads_gradients: bool = True

    def init(self, params: Params) -> Any:
        """Returns the state to start from; `()` if there is none."""
        del params
        return ()

    def observe(self, state: Any, params: Params) -> Any:
        """Returns the state after seeing where all players are now."""
        del params
        return state

    @abc.abstractmethod
    def values(self, state: Any, num_players: int) -> tuple[Any, ...]:
        """Returns one rate per player, numbers or scalar tensors."""

    def remember(
        self,
        state: Any,
        params: Params,
        gradients: dict[int, list[tf.Tensor]],
    ) -> Any:
        """Returns the state to keep for the next step.

        Args:
          state: what `observe` returned.
          params: one list of tensors per player, where they are now.
          gradients: by player, the gradient of its value in its parameters.
        """
        del params, gradients
        return state


class FixedRates(InnerRates):
    """Rates that do not change.

    Args:
      rates: one number for all players, or one per player.

    Raises:
      TypeError, ValueError: if a rate is not a number, or is negative.
    """

    reads_gradients = False

    def __init__(self, rates: float | Sequence[float]):
        self._rates = _check_rates("rates", rates)

    def values(self, state: Any, num_players: int) -> tuple[Any, ...]:
        return _rates_of(self._rates, num_players)


class FittedState(NamedTuple):
    """What `FittedRates` remembers.

    Attributes:
      params: one list of tensors per player, before the last move.
      gradients: tensors like `params`, the gradients there.
      products: scalars, one per player, running sums of moves times gradients.
      squares: scalars, running sums of squared gradients.
    """

    params: list[list[tf.Tensor]]
    gradients: list[list[tf.Tensor]]
    products: list[tf.Tensor]
    squares: list[tf.Tensor]


class FittedRates(InnerRates):
    """Learns each player's rate from the moves that it is seen to make.

    The least-squares fit of one naive step per iteration, which forgets:

      `a_j = max(0, sum_s decay^(t-s) <dtheta_j,s, g_j,s>
                    / sum_s decay^(t-s) <g_j,s, g_j,s>)`,

    over the iterations s before t, with `g_j,s` the gradient of j's value as
    this learner evaluated it and `dtheta_j,s` the move that followed. For an
    opponent that ascends `g_j` with plain SGD it is the opponent's real rate
    from the second iteration on; for one that stands still it goes to 0. If
    gradients are sampled from other play than the opponent's own, their noise
    adds to the denominator only, and the fit is too small.

    A rate that ascended the value of the learner instead would be wishful: it
    would go to 0 wherever the learning of the opponents hurts.

    Args:
      initial: one number for all players, or one per player: the rate of a
        player until the learner has seen it move from a point at which its
        gradient is not 0.
      decay: in [0, 1], the weight of the past at each step.

    Raises:
      TypeError, ValueError: if an argument is out of its range.
    """

    def __init__(self, initial: float | Sequence[float], decay: float = 0.9):
        self.initial = _check_rates("initial", initial)
        self.decay = check_number("decay", decay, 0.0, 1.0)

    def init(self, params: Params) -> FittedState:
        params = as_params(params)
        gradients = tf.nest.map_structure(tf.zeros_like, params)
        sums = [tf.zeros([], _dtype_of(tensors)) for tensors in params]
        return FittedState(params, gradients, sums, list(sums))

    def observe(self, state: FittedState, params: Params) -> FittedState:
        check_state(state, FittedState)
        params = as_params(params, len(state.params))
        for j, player_params in enumerate(params):
            name = f"params[{j}]"
            check_shapes(name, player_params, state.params[j], "the state")
        products, squares = [], []
        for j, player_params in enumerate(params):
            product, square = state.products[j], state.squares[j]
            if player_params:
                gradient = state.gradients[j]
                moves = [
                    now - before
                    for now, before in zip(
                        player_params, state.params[j], strict=True
                    )
                ]
                product = self.decay * product + inner_product(moves, gradient)
                square = self.decay * square + inner_product(gradient, gradient)
            products.append(product)
            squares.append(square)
        return state._replace(products=products, squares=squares)

    def values(self, state: FittedState, num_players: int) -> tuple[Any, ...]:
        check_state(state, FittedState)
        check_whole_number("num_players", num_players, 1, _MOST_PLAYERS)
        if num_players != len(state.params):
            raise ValueError(
                "`num_players` must be that of the state, "
                f"{len(state.params)}. Received: num_players={num_players!r}."
            )
        return tuple(
            tf.where(
                square > 0.0,
                tf.maximum(tf.math.divide_no_nan(product, square), 0.0),
                tf.constant(initial, square.dtype),
            )
            for initial, product, square in zip(
                _rates_of(self.initial, num_players),
                state.products,
                state.squares,
                strict=True,
            )
        )

    def remember(
        self,
        state: FittedState,
        params: Params,
        gradients: dict[int, list[tf.Tensor]],
    ) -> FittedState:
        check_state(state, FittedState)
        params = as_params(params, len(state.params))
        check_kind("gradients", gradients, dict, "a dictionary by player")
        return state._replace(
            params=params,
            gradients=[
                gradients.get(j, [tf.zeros_like(x) for x in player_params])
                for j, player_params in enumerate(params)
            ],
        )


def as_inner_rates(rates: Any) -> InnerRates:
    """Returns `InnerRates`, fixed if numbers are given.

    Raises:
      TypeError, ValueError: if they are neither.
    """
    if isinstance(rates, InnerRates):
        return rates
    return FixedRates(_check_rates("inner_learning_rate", rates))


def rates_of_players(
    inner_rates: InnerRates, state: Any, params: Params
) -> list[Any]:
    """Returns the rates of all players, tensors in their parameters' dtype.

    A schedule of Keras computes in float32, whatever the game does.

    Args:
      inner_rates: the rates.
      state: what they remember.
      params: one list of tensors per player.

    Raises:
      TypeError, ValueError: if `values` does not return one rate per player.
    """
    rates = check_per_player(
        "inner_learning_rate.values(state, num_players)",
        inner_rates.values(state, len(params)),
        len(params),
    )
    dtype = _dtype_of(tf.nest.flatten(params))
    return [
        tf.cast(rate, dtype) if tf.is_tensor(rate) else rate for rate in rates
    ]


def _check_rates(name: str, rates: Any) -> float | tuple[float, ...]:
    if isinstance(rates, (list, tuple)):
        return tuple(_check_rate(name, rate) for rate in rates)
    return _check_rate(name, rates)


def _check_rate(name: str, rate: Any) -> float:
    is_schedule = isinstance(
        rate, keras.optimizers.schedules.LearningRateSchedule
    )
    if is_schedule or callable(rate):
        raise TypeError(
            f"`{name}` must be one number, one per player, or "
            f"dice_tf.learners.InnerRates. Received: {rate!r}. A learner does "
            "not count steps: write a subclass of InnerRates that counts them "
            "in its state and asks the schedule; its docstring shows one."
        )
    return check_number(name, rate)


def _rates_of(
    rates: float | tuple[float, ...], num_players: int
) -> tuple[float, ...]:
    check_whole_number("num_players", num_players, 1, _MOST_PLAYERS)
    if not isinstance(rates, tuple):
        return (rates,) * num_players
    if len(rates) != num_players:
        raise ValueError(
            "`inner_learning_rate` must be one number, or one for each of "
            f"{num_players} players. Received: {rates}."
        )
    return rates


def _dtype_of(tensors: Sequence[tf.Tensor]) -> tf.DType:
    return tensors[0].dtype if tensors else tf.float32
