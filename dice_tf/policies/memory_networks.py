"""Policies with memory that are evaluated over time without a loop."""

from collections.abc import Sequence

import keras

from dice_tf.checks import check_model, check_name
from dice_tf.games.game import Game
from dice_tf.models.memory_layers import (
    MemoryNetwork,
    MinGRU,
    StackedObservations,
)
from dice_tf.models.recurrent_models import has_memory
from dice_tf.policies.action_masks import seated
from dice_tf.policies.heads import attached_head, with_head
from dice_tf.policies.networks import (
    dense_stack,
    observation_input,
    seat_input,
)


def min_gru(
    game: Game, player_id: int, *, units: int = 32, name: str | None = None
) -> keras.Model:
    """A recurrent policy of minimal gated recurrent units.

    As of `gru`, with one state `[B, units]`. Its state is linear in the state
    before, see `dice_tf.layers.MinGRU`, so that no loop over time is needed to
    evaluate an episode, or to differentiate it: it is made for long ones.

    Args:
      game: a game with finitely many actions.
      player_id: the seat.
      units: size of the state.
      name: name of the model.

    Returns:
      A `keras.Model`, with one output (the log-odds of action 0) for two
      actions, else one logit per action.

    Raises:
      TypeError: if `units` is not a whole number.
      ValueError: if the seat does not exist or has no finite set of actions.

    References:
      Feng et al. 2024 (Were RNNs All We Needed?).
    """
    observation, num_outputs = seat_input(game, player_id)
    name = check_name("name", name) or f"min_gru_policy_{player_id}"
    policy = min_gru_network(observation, units, num_outputs, name)
    return seated(policy, game, player_id)


def stacked(
    game: Game,
    player_id: int,
    network: keras.Model | None = None,
    *,
    num_observations: int = 4,
    hidden_units: Sequence[int] = (64, 64),
    activation: str = "tanh",
    name: str | None = None,
) -> keras.Model:
    """A feed-forward policy of the last observations, oldest first.

    Before the start of an episode there are no observations: the network sees
    zeros in their place. The observations before the present one are an
    explicit state, as of `dice_tf.policies.gru`,

      `[observation [B, ...], state [B, (n - 1) * size]]
          -> [logits [B, num_outputs], state [B, (n - 1) * size]]`.

    Over an episode all windows are evaluated at once, without a loop.

    Args:
      game: the game.
      player_id: the seat.
      network: a `keras.Model` from `[B, n, *observation_shape]` to the outputs
        of a head, and not one with memory. Its weights are those of the
        policy, which takes over an attached head. Default: a multi-layer
        perceptron, for a seat with finitely many actions.
      num_observations: n, at least 2.
      hidden_units: width of each hidden layer of the default network.
      activation: a Keras activation of its hidden layers.
      name: name of the model.

    Returns:
      A `keras.Model`.

    Raises:
      TypeError: if `num_observations` is not a whole number, or `network` not
        a `keras.Model`.
      ValueError: if the seat does not exist, the network does not take such
        observations or has memory, or there is no network and no finite set
        of actions.

    Example:
      >>> game = dice_tf.games.iterated_prisoners_dilemma(8)
      >>> policy = dice_tf.policies.stacked(game, 0, num_observations=3)
      >>> policy.input_shape
      [(None, 5), (None, 10)]

    References:
      Mnih et al. 2015 (Human-level control through deep reinforcement
      learning).
    """
    observation = observation_input(game, player_id)
    shape, dtype = observation.shape[1:], observation.dtype
    layer = StackedObservations(num_observations, shape, dtype=dtype)
    windows = keras.Input((layer.num_observations, *shape), dtype=dtype)
    if network is None:
        _, num_outputs = seat_input(game, player_id)
        outputs = dense_stack(windows, hidden_units, activation, num_outputs)
        network = keras.Model(windows, outputs, name="network")
    _check_network(network, windows)
    name = check_name("name", name) or f"stacked_policy_{player_id}"
    layers = MemoryNetwork([layer, network], dtype=dtype)
    policy = memory_model(observation, layers, name)
    head = attached_head(network)
    if head is not None:
        policy = with_head(policy, head)
    return seated(policy, game, player_id)


def min_gru_network(
    observation: keras.KerasTensor, units: int, num_outputs: int, name: str
) -> keras.Model:
    """Returns a model of minimal gated units and linear outputs behind them.

    Args:
      observation: a Keras input.
      units: size of the state.
      num_outputs: number of outputs.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation, state]` to `[outputs, state]`.
    """
    dtype = observation.dtype
    layers = [
        MinGRU(units, dtype=dtype),
        keras.layers.Dense(num_outputs, dtype=dtype),
    ]
    return memory_model(observation, MemoryNetwork(layers, dtype=dtype), name)


def memory_model(
    observation: keras.KerasTensor, network: MemoryNetwork, name: str
) -> keras.Model:
    """Returns a layer with memory as a model with explicit state.

    Args:
      observation: a Keras input.
      network: the layer.
      name: name of the model.

    Returns:
      A `keras.Model` from `[observation, *states]` to `[outputs, *states]`.
    """
    states = [
        keras.Input((size,), dtype=observation.dtype, name=f"state_{number}")
        for number, size in enumerate(network.state_size)
    ]
    outputs, following = network(observation, states)
    return keras.Model([observation, *states], [outputs, *following], name=name)


def _check_network(network: keras.Model, windows: keras.KerasTensor) -> None:
    """Raises if a network does not take the last observations."""
    if has_memory(check_model("network", network)):
        raise ValueError(
            f"`network` ({network.name!r}) must take one input, the last "
            "observations, and have no memory of its own. Received a model "
            f"of {len(network.inputs)} inputs."
        )
    try:
        network(windows)
    except Exception as error:
        raise ValueError(
            f"`network` ({network.name!r}) must take the last observations, "
            f"{windows.shape}, oldest first, but fails on them: {error}"
        ) from error
