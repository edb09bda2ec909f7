"""Small networks from the parameters of all players to their directions."""

import math
from collections.abc import Sequence

import tensorflow as tf

from dice_tf.objectives.objective import Params
from dice_tf.seeds import make_seed, uniform

# By player the weights of its network; empty without parameters.
UpdateFunctions = list[list[tf.Tensor]]


def initial_update_functions(
    params: Params, hidden_units: Sequence[int]
) -> UpdateFunctions:
    """Returns networks by which all players stand still.

    Args:
      params: one list of tensors per player.
      hidden_units: width of each hidden layer.

    Returns:
      For each player `[A, b, W_1, c_1, ..., W_K, c_K, U]`, see `directions_at`;
      `[A, b]` without hidden layers. `A`, `b`, `U` and the biases are zeros,
      the other weights uniform, as Glorot and Bengio 2010 scale them. They
      depend on nothing but the sizes.
    """
    sizes = [sum(x.shape.num_elements() for x in part) for part in params]
    widths = [sum(sizes), *hidden_units]
    networks: UpdateFunctions = []
    for i, size in enumerate(sizes):
        if not size:
            networks.append([])
            continue
        dtype = params[i][0].dtype
        network = [tf.zeros([widths[0], size], dtype), tf.zeros([size], dtype)]
        for number, shape in enumerate(zip(widths, widths[1:], strict=False)):
            scale = math.sqrt(6.0 / sum(shape))
            draws = uniform(make_seed(i, number), list(shape), dtype)
            network += [
                scale * (2.0 * draws - 1.0),
                tf.zeros(shape[1:], dtype),
            ]
        if hidden_units:
            network.append(tf.zeros([widths[-1], size], dtype))
        networks.append(network)
    return networks


def directions_at(
    networks: UpdateFunctions, params: Params
) -> list[list[tf.Tensor]]:
    """Returns the direction of each player at some parameters.

    With x all parameters as one vector, the direction of a player is
    `A x + b + U h_K`, `h_k = tanh(W_k h_(k-1) + c_k)`, `h_0 = x`: a linear map,
    which is all that a quadratic game needs, and a network beside it.

    Args:
      networks: by player, the weights of its network.
      params: one list of tensors per player.

    Returns:
      One list of tensors per player, like its parameters, differentiable in
      both arguments to any order.
    """
    inputs = _as_row(params)
    directions: list[list[tf.Tensor]] = []
    for network, player_params in zip(networks, params, strict=True):
        if not network:
            directions.append([])
            continue
        linear, bias, *layers = network
        output = inputs @ linear + bias
        if layers:
            *hidden, last = layers
            x = inputs
            for weights, shift in zip(hidden[::2], hidden[1::2], strict=True):
                x = tf.tanh(x @ weights + shift)
            output += x @ last
        sizes = [x.shape.num_elements() for x in player_params]
        directions.append(
            [
                tf.reshape(part, parameter.shape)
                for part, parameter in zip(
                    tf.split(output[0], sizes), player_params, strict=True
                )
            ]
        )
    return directions


def _as_row(params: Params) -> tf.Tensor:
    """Returns all parameters side by side, `[1, D]`.

    Products with parts of the unit matrix take the place of `tf.concat`. Its
    second derivative under XLA is an operation that `tf.vectorized_map` would
    turn into a loop, and such a loop in a loop does not compile.
    """
    tensors = [x for player_params in params for x in player_params]
    sizes = [x.shape.num_elements() for x in tensors]
    places = tf.split(tf.eye(sum(sizes), dtype=tensors[0].dtype), sizes)
    return tf.add_n(
        [
            tf.reshape(x, [1, -1]) @ place
            for x, place in zip(tensors, places, strict=True)
        ]
    )
