"""Arguments that public functions take, and objects to call methods of.

Arguments of one name mean the same everywhere, so that most of them come from
one table by name; what differs stands in a table by function.
"""

import functools
import itertools
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf

_numbers = itertools.count()

# What is not changed by calls is made once.


@functools.cache
def _game() -> dice_tf.games.FiniteGame:
    return dice_tf.games.iterated_prisoners_dilemma(3)


@functools.cache
def _coin_game() -> dice_tf.games.CoinGame:
    return dice_tf.games.CoinGame(3)


@functools.cache
def _coin_game_with_memory() -> dice_tf.games.CoinGameWithMemory:
    return dice_tf.games.CoinGameWithMemory(_coin_game())


@functools.cache
def _coin_table() -> dice_tf.games.TabularCoinGame:
    return dice_tf.games.TabularCoinGame(3)


def _policy(player_id: int = 0) -> keras.Model:
    return dice_tf.policies.tabular(_game(), player_id)


@functools.cache
def _kept_policies() -> tuple[keras.Model, ...]:
    return tuple(map(_policy, range(2)))


def _policies() -> list[keras.Model]:
    return list(_kept_policies())


@functools.cache
def _actors() -> tuple[dice_tf.play.Actor, ...]:
    return tuple(
        dice_tf.play.Actor(_game(), policy, player_id)
        for player_id, policy in enumerate(_policies())
    )


def _weights(player_id: int = 0) -> Any:
    return _actors()[player_id].model.weights()


@functools.cache
def _trajectory() -> dice_tf.play.Trajectory:
    return dice_tf.play.sample_trajectory(
        _game(),
        _actors(),
        [_weights(player_id) for player_id in range(2)],
        batch_size=4,
        seed=(0, 1),
    )


@functools.cache
def _exact_objective() -> dice_tf.objectives.ExactObjective:
    return dice_tf.objectives.ExactObjective(_game(), _policies())


@functools.cache
def _sampled_objective() -> dice_tf.objectives.DiCEObjective:
    return dice_tf.objectives.DiCEObjective(
        _game(), _policies(), 0.9, 4, "leave_one_out"
    )


def _value(params: Any, player_id: int = 0) -> tf.Tensor:
    x, y = params[0][0], params[1][0]
    return tf.reduce_sum(x * y - params[player_id][0] ** 2)


def _gradients_of(params: Any) -> list[list[tf.Tensor]]:
    naive, objective = dice_tf.learners.Naive(), _function_objective()
    return [naive.gradient(objective, params, i) for i in range(2)]


@functools.cache
def _function_objective() -> dice_tf.objectives.FunctionObjective:
    return dice_tf.objectives.FunctionObjective(
        [functools.partial(_value, player_id=i) for i in range(2)]
    )


def _params() -> list[list[tf.Tensor]]:
    return [[tf.constant([0.3, -0.2])], [tf.constant([0.1, 0.4])]]


def _table_params() -> list[list[tf.Tensor]]:
    return _exact_objective().initial_params()


def _steps() -> tf.Tensor:
    return tf.constant(np.linspace(-1.0, -0.1, 12).reshape(3, 4), tf.float32)


def _path(suffix: str = "") -> str:
    return f"written_{next(_numbers)}{suffix}"


@functools.cache
def _saved_policy() -> str:
    path = tempfile.mkdtemp()
    dice_tf.export.export_policy(_policy(), path)
    return path


def _trainer() -> dice_tf.Trainer:
    trainer = dice_tf.Trainer(
        _exact_objective(), [dice_tf.learners.Naive(), None]
    )
    trainer.compile("sgd", jit_compile=False)
    return trainer


_kept_trainer = functools.cache(_trainer)


class _Environment(dice_tf.bridges.VectorEnvironment):
    """Two players who see nothing and get nothing."""

    num_actions = (2, 2)
    observation_shapes = ((1,), (1,))

    def reset(self, seeds: np.ndarray) -> tuple[np.ndarray, ...]:
        self._size = len(seeds)
        return (np.zeros([self._size, 1]),) * 2

    def step(self, actions: Any) -> dice_tf.bridges.VectorStep:
        return dice_tf.bridges.VectorStep(
            (np.zeros([self._size, 1]),) * 2,
            (np.zeros([self._size]),) * 2,
            np.ones([self._size], bool),
        )


@functools.cache
def _python_game() -> dice_tf.bridges.PythonGame:
    return dice_tf.bridges.PythonGame(_Environment, 3)


def _point_game() -> dice_tf.games.PointNavigation:
    return dice_tf.games.PointNavigation([0.3, -0.2], 3)


@functools.cache
def _negotiation() -> dice_tf.games.Negotiation:
    return dice_tf.games.Negotiation(3)


def _state_of(game: dice_tf.games.Game) -> Any:
    return game.reset((0, 1), 4)[0]


def _graph() -> dice_tf.StochasticComputationGraph:
    return dice_tf.StochasticComputationGraph(**_graph_parts())


def _graph_parts() -> dict[str, Any]:
    draw = tfp.distributions.Bernoulli(logits=0.5, dtype=tf.float32)
    return {"nodes": {"z": draw}, "costs": {"cost": lambda z: z}}


def _models() -> list[keras.Model | None]:
    return [None, _policy(1)]


def _modelling() -> dice_tf.opponent_models.OpponentModelling:
    return dice_tf.opponent_models.OpponentModelling(
        dice_tf.learners.Naive(), _models(), num_steps=1
    )


def _pool() -> list[tuple[float, Any]]:
    return [(0.5, dice_tf.partners.PastSelves(2))]


def _against_partners() -> dice_tf.partners.AgainstPartners:
    return dice_tf.partners.AgainstPartners(dice_tf.learners.Naive(), _pool())


def _fitting_learner() -> dice_tf.learners.LOLADiCE:
    rates = dice_tf.learners.FittedRates(1.0)
    return dice_tf.learners.LOLADiCE(1, rates, carry_slots=True)


def _parts() -> list[tuple[float, dice_tf.learners.Learner]]:
    return [(0.5, _fitting_learner()), (0.5, dice_tf.learners.Naive())]


def _mixture() -> dice_tf.learners.Mixture:
    return dice_tf.learners.Mixture(_parts())


@functools.cache
def _consistent() -> dice_tf.learners.COLA:
    return dice_tf.learners.COLA(hidden_units=(2,), batch_size=2, num_steps=1)


def _measured() -> dice_tf.diagnostics.MeasuredShaping:
    return dice_tf.diagnostics.MeasuredShaping(_fitting_learner())


def _fitted_rates() -> dice_tf.learners.FittedRates:
    return dice_tf.learners.FittedRates(1.0)


def _cross_play() -> dice_tf.evaluation.CrossPlay:
    first, second = _policies()
    return dice_tf.evaluation.cross_play(
        _game(), {"a": [first]}, {"a": [second]}
    )


@functools.cache
def _tournament() -> dice_tf.evaluation.TournamentResult:
    return dice_tf.evaluation.tournament(_game(), _entrants())


def _entrants() -> dict[str, Any]:
    return {
        "tit_for_tat": dice_tf.policies.tit_for_tat,
        "random": dice_tf.policies.random,
    }


def _game_tables() -> dict[str, Callable[[], Any]]:
    return {
        "rewards": lambda: np.zeros([2, 3, 2, 2]),
        "transitions": lambda: np.full([3, 2, 2, 3], 1.0 / 3.0),
        "initial": lambda: np.full([3], 1.0 / 3.0),
    }


def _nothing() -> tuple[()]:
    return ()


def _sum_cell(
    params: Any, carry: tf.Tensor, x: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    return carry + x, carry


def _always(value: Any) -> Callable[[], Any]:
    return lambda: value


# Valid arguments by name.
VALID: Mapping[str, Callable[[], Any]] = {
    "actions": lambda: (tf.zeros([4], tf.int32),) * 2,
    "actor": lambda: _actors()[0],
    "actors": lambda: list(_actors()),
    "baseline": _steps,
    "baselines": _always((-2.0, -2.0)),
    "carry": lambda: tf.zeros([]),
    "cell": lambda: keras.layers.GRUCell(2),
    "batch_size": _always(4),
    "columns": lambda: {"a": [_policies()[1]]},
    "cooperation": lambda: [0.9, 0.1, 0.8, 0.2, 0.7],
    "critic_params": lambda: [[], []],
    "discount": _always(0.9),
    "discounts": lambda: tf.ones([3, 4]),
    "entrants": _entrants,
    "episode_length": _always(3),
    "epoch": _always(1),
    "function": lambda: lambda *arguments: tf.zeros([]),
    "game": _game,
    "goal": lambda: [0.3, -0.2],
    "gradients": lambda: [tf.constant([0.3, -0.2])],
    "head": _always(dice_tf.policies.bernoulli),
    "initial": _always(1.0),
    "joint": lambda: tf.zeros([4], tf.int32),
    "learner": dice_tf.learners.Naive,
    "learners": lambda: [dice_tf.learners.Naive(), None],
    "learning_rate": _always(0.1),
    "log_probs": _steps,
    "make_environment": _always(_Environment),
    "max_norm": _always(1.0),
    "models": _models,
    "noise": lambda: None,
    "num": _always(2),
    "num_players": _always(2),
    "num_tasks": _always(2),
    "objective": _function_objective,
    "objectives": lambda: [_function_objective()],
    "observations": lambda: tf.eye(5)[:4],
    "opponents": lambda: {"tit_for_tat": dice_tf.policies.tit_for_tat},
    "other_params": _table_params,
    "other_payoffs": lambda: [-1.0, 0.0, -3.0, -2.0],
    "outputs": lambda: tf.zeros([3, 1]),
    "own_payoffs": lambda: [-1.0, -3.0, 0.0, -2.0],
    "params": _params,
    "path": _path,
    "payoffs": lambda: [[[3, 0], [5, 1]], [[3, 5], [0, 1]]],
    "play": lambda: _exact_objective().play(_table_params(), None),
    "player_id": _always(0),
    "policies": _policies,
    "policy": _policy,
    "probabilities": lambda: np.full([5, 2], 0.5),
    "rates": _always(1.0),
    "result": _tournament,
    "rewards": _steps,
    "rows": lambda: {"a": [_policies()[0]]},
    "run": _always(0),
    "sample_shape": _always(3),
    "samples": lambda: _graph().sample(3, (0, 1)),
    "seed": _always((0, 1)),
    "seeds": lambda: [(0, 1)],
    "shape": lambda: [2, 3],
    "slots": lambda: [],
    "snapshot": lambda: _trainer().take_snapshot(),
    "state": _always(()),
    "states": _always(()),
    "tables": lambda: [np.full([2, 5, 2], 0.5)] * 2,
    "trainer": _kept_trainer,
    "trajectory": _trajectory,
    "update": _always(_gradients_of),
    "value_functions": lambda: [_value, _value],
    "values": _steps,
    "weights": _weights,
    "x": lambda: tf.constant([1.0, 2.0]),
    "xs": lambda: tf.constant([1.0, 2.0]),
}

_OPTIONS = {
    "critic_td_lambda": _always(1.0),
    "critic_target_momentum": _always(0.0),
    "num_groups": _always(1),
}
_OF_TABLES = {"params": _table_params, "critic_params": lambda: [[], []]}


def _coin_play(
    make_game: Callable[[], dice_tf.games.Game],
) -> dict[str, Callable[[], Any]]:
    """Returns arguments of the methods of a Coin Game."""
    return {
        "state": lambda: _state_of(make_game()),
        "observations": lambda: make_game().reset((0, 1), 4)[1].observations[0],
        "trajectory": lambda: _coin_trajectory(make_game()),
    }


@functools.cache
def _coin_trajectory(game: dice_tf.games.Game) -> dice_tf.play.Trajectory:
    policies = [dice_tf.policies.mlp(game, i) for i in range(2)]
    actors = [
        dice_tf.play.Actor(game, policy, player_id)
        for player_id, policy in enumerate(policies)
    ]
    weights = [actor.model.weights() for actor in actors]
    return dice_tf.play.sample_trajectory(
        game, actors, weights, batch_size=4, seed=(0, 1)
    )


# Valid arguments of some functions, by patterns of their names.
SPECIAL: Mapping[str, Mapping[str, Callable[[], Any]]] = {
    "StochasticComputationGraph": {
        "nodes": lambda: _graph_parts()["nodes"],
        "costs": lambda: _graph_parts()["costs"],
    },
    "Trainer": {"objective": _exact_objective},
    "bridges.PythonGame.step": {"state": lambda: _state_of(_python_game())},
    "bridges.from_open_spiel": {"game": _always("matrix_pd")},
    "bridges.from_pettingzoo": {
        "make_environment": lambda: (
            lambda: dice_tf.bridges.to_pettingzoo(_coin_game())
        )
    },
    "callbacks.PolicyPictures": {"folder": _path},
    "diagnostics.MeasuredShaping.*": {
        "state": lambda: _measured().init(_params()),
        "states": lambda: _measured().init(_params()),
    },
    "diagnostics.derivative_statistics": {
        "objective": _exact_objective,
        "orders": _always((1,)),
        "num_repetitions": _always(2),
    },
    "diagnostics.shaping_share": {
        "params": _params,
        "num_repetitions": _always(1),
    },
    "export.export_onnx": {"path": lambda: _path(".onnx")},
    "export.export_tflite": {"path": lambda: _path(".tflite")},
    "export.read_card": {"path": _saved_policy},
    "games.CoinGame.*": _coin_play(_coin_game),
    "games.CoinGameWithMemory": {"game": _coin_game},
    "games.CoinGameWithMemory.*": _coin_play(_coin_game_with_memory),
    "games.CommonPool.*": {"state": lambda: tf.fill([4], 12)},
    "games.FiniteGame": _game_tables(),
    "games.FiniteGame.*": {"state": lambda: tf.zeros([4], tf.int32)},
    "games.Negotiation.step": {
        "state": lambda: _state_of(_negotiation()),
        "actions": lambda: (tf.zeros([4, 3]),) * 2,
    },
    "games.PointNavigation.step": {
        "state": lambda: _state_of(_point_game()),
        "actions": lambda: (tf.zeros([4, 2]),),
    },
    "games.RepeatedCournot.step": {"actions": lambda: (tf.zeros([4]),) * 2},
    "games.RepeatedCournot.linear_gaussian_values": {
        "gains": lambda: [tf.zeros([2])] * 2,
        "offsets": lambda: [tf.ones([])] * 2,
        "scales": lambda: [tf.ones([])] * 2,
    },
    "games.TabularCoinGame.statistics": {
        "trajectory": lambda: _coin_trajectory(_coin_table())
    },
    "inner_optimizers.*.init": {"params": lambda: _params()[0]},
    "inner_optimizers.*.step": {"params": lambda: _params()[0]},
    "inner_optimizers.Adam.step": {
        "slots": lambda: dice_tf.inner_optimizers.Adam().init(_params()[0])
    },
    "layers.MemoryNetwork": {"layers": lambda: [dice_tf.layers.MinGRU(2)]},
    "layers.MinGRU": {"units": lambda: 2},
    "layers.StackedObservations": {
        "num_observations": lambda: 2,
        "observation_shape": lambda: (5,),
    },
    "learners.*Rates.remember": {
        "gradients": lambda: dict(enumerate(_params()))
    },
    "learners.COLA.*": {
        "state": lambda: _consistent().init(_params()),
        "states": lambda: tf.nest.map_structure(
            lambda x: x[tf.newaxis], _consistent().init(_params())
        ),
    },
    "learners.FittedRates.*": {
        "state": lambda: _fitted_rates().init(_params())
    },
    "learners.LOLADiCE.step": {
        "state": lambda: _fitting_learner().init(_params())
    },
    "learners.Mixture": {"parts": _parts},
    "learners.Mixture.*": {
        "state": lambda: _mixture().init(_params()),
        "states": lambda: _mixture().init(_params()),
    },
    "learners.OutputSpace.step": {
        "objective": _exact_objective,
        "params": _table_params,
    },
    "objectives.Advantages.mean": {"x": _steps},
    "objectives.DiCEObjective": _OPTIONS,
    "objectives.ExactObjective.*": _OF_TABLES,
    "objectives.FirstOrderBaselineObjective": {
        **_OPTIONS,
        "baseline": _always("state_values"),
    },
    "objectives.Objective.*": _OF_TABLES,
    "objectives.Objective.once": {
        "compute": _always(_nothing),
        "objects": lambda: [],
        "key": _always("nothing"),
    },
    "objectives.Objective.share_play": {"like": _table_params},
    "objectives.SampledTasks": {
        "build_objective": lambda: lambda task: _function_objective(),
        "sample_tasks": lambda: lambda seed, num: tf.zeros([2]),
    },
    "objectives.SampledTasks.average": {"seed": _always((0, 1))},
    "objectives.SurrogateObjective": _OPTIONS,
    "opponent_models.OpponentModelling.*": {
        "objective": _sampled_objective,
        "params": _table_params,
        "state": lambda: _modelling().init(_table_params()),
    },
    "opponent_models.OpponentModelling.hoisted": {
        "states": lambda: tf.nest.map_structure(
            lambda x: x[tf.newaxis], _modelling().init(_table_params())
        )
    },
    "partners.AgainstPartners": {"pool": _pool},
    "partners.AgainstPartners.*": {
        "objective": _exact_objective,
        "params": _table_params,
        "state": lambda: _against_partners().init(_table_params()),
        "states": lambda: _against_partners().init(_table_params()),
    },
    "partners.FixedPolicies": {"policies": _models},
    "partners.PastSelves": {"capacity": _always(2)},
    "play.Actor.step": {"state": lambda: []},
    "play.sample_trajectory": {
        "weights": lambda: [_weights(i) for i in range(2)]
    },
    "policies.convolutional": {"game": _coin_game},
    "policies.from_saved_model": {"path": _saved_policy},
    "policies.on_the_grid": {
        "game": _coin_game,
        "policy": lambda: dice_tf.policies.tabular(_coin_table(), 0),
    },
    "scan": {"cell": _always(_sum_cell)},
    "zoo.*": {"name": _always("ipd/naive")},
}

# Objects whose methods are called: of abstract classes, and those that need
# other arguments than a constructor is tried with.
INSTANCES: Mapping[str, Callable[[], Any]] = {
    "Trainer": _kept_trainer,
    "Trainer.compile": _trainer,
    "Trainer.put_back": _trainer,
    "StochasticComputationGraph": _graph,
    "bridges.PythonGame": _python_game,
    "callbacks.Checkpoint": lambda: dice_tf.callbacks.Checkpoint(_path()),
    "diagnostics.MeasuredShaping": _measured,
    "evaluation.CrossPlay": _cross_play,
    "games.CoinGame": _coin_game,
    "games.CoinGameWithMemory": _coin_game_with_memory,
    "games.CommonPool": functools.cache(
        lambda: dice_tf.games.CommonPool(episode_length=3)
    ),
    "games.FiniteGame": _game,
    "games.Game": _coin_game,
    "games.Negotiation": _negotiation,
    "games.PointNavigation": _point_game,
    "games.RepeatedCournot": lambda: dice_tf.games.RepeatedCournot(3),
    "games.TabularCoinGame": _coin_table,
    "learners.COLA": _consistent,
    "learners.InnerRates": lambda: dice_tf.learners.FixedRates(1.0),
    "learners.LOLADiCE": _fitting_learner,
    "learners.Learner": dice_tf.learners.Naive,
    "learners.Mixture": _mixture,
    "objectives.Advantages": lambda: _sampled_objective().advantages(
        _table_params(), (0, 1)
    ),
    "objectives.ExactObjective": _exact_objective,
    "objectives.Objective": _exact_objective,
    "objectives.Objective.advantages": _sampled_objective,
    "objectives.SampledTasks": lambda: dice_tf.objectives.SampledTasks(
        lambda task: _function_objective(), lambda seed, num: tf.zeros([2]), 2
    ),
    "objectives.TaskFamily": lambda: dice_tf.objectives.FiniteTasks(
        [_function_objective()]
    ),
    "opponent_models.OpponentModelling": _modelling,
    "partners.AgainstPartners": _against_partners,
    "play.Actor": lambda: _actors()[0],
}
