"""Steps in the outputs of policies instead of their parameters."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import learners
from dice_tf.learners import OutputSpace
from dice_tf.objectives import DiCEObjective, ExactObjective
from dice_tf.play import rollouts
from tests.toys import ASYMMETRIC, Plain, random_params, tabular_policies

pytestmark = pytest.mark.own_process

SEED = (3, 4)
DISCOUNT, LENGTH, BATCH = 0.9, 3, 6
# An invertible change of coordinates that is far from a rotation.
MIXING = np.random.default_rng(7).normal(size=(5, 5)) + 2.0 * np.eye(5)

LEARNERS = {
    "naive": learners.Naive(),
    "lola": learners.LOLA(0.7),
    "lola_dice": learners.LOLADiCE(2, 0.7),
    "sos": learners.SOS(0.7),
    "pola": learners.POLA(
        2, 0.3, 0.5, inner_learning_rate=0.4, inner_penalty=0.2
    ),
    "competitive": learners.CompetitiveGradientDescent(0.3),
}


def make_game(**kwargs):
    return dice_tf.games.iterated_matrix_game(
        ASYMMETRIC, LENGTH, dtype="float64", **kwargs
    )


def mixed_policy():
    """Logits of a table `z = MIXING w`: a table in other coordinates."""
    inputs = keras.Input([5], dtype="float64")
    mix = keras.layers.Dense(
        5, use_bias=False, trainable=False, dtype="float64"
    )
    logits = keras.layers.Dense(1, use_bias=False, dtype="float64")
    policy = keras.Model(inputs, logits(mix(inputs)))
    mix.set_weights([MIXING])
    return policy


def small_network(units=3):
    inputs = keras.Input([5], dtype="float64")
    x = keras.layers.Dense(units, activation="tanh", dtype="float64")(inputs)
    return keras.Model(inputs, keras.layers.Dense(1, dtype="float64")(x))


def make_objective(kind, policies, game=None):
    game = game or make_game()
    if kind == "exact":
        return ExactObjective(game, policies, DISCOUNT)
    return DiCEObjective(game, policies, DISCOUNT, BATCH, "leave_one_out")


def numeric_jacobian(outputs, params):
    """Central differences of an array in lists of arrays."""
    columns = []
    for k, parameter in enumerate(params):
        for index in np.ndindex(parameter.shape):
            ends = []
            for step in (1e-5, -1e-5):
                moved = [np.array(x) for x in params]
                moved[k][index] += step
                ends.append(np.ravel(outputs(moved)))
            columns.append((ends[0] - ends[1]) / 2e-5)
    return np.stack(columns, axis=1)


def gauss_newton(jacobian, gradient, damping):
    """`(J^T (J J^T + c I)^-1) (J (J J^T + c I)^-1)^T g`, as a vector."""
    gram = jacobian @ jacobian.T
    gram += damping * np.trace(gram) / len(gram) * np.eye(len(gram))
    pull = jacobian.T @ np.linalg.inv(gram)
    return pull @ pull.T @ gradient


def vector(tensors):
    return np.concatenate([np.ravel(x) for x in tensors])


@pytest.mark.parametrize(
    "name, kind",
    [*((name, "exact") for name in LEARNERS), ("lola_dice", "dice")],
)
def test_it_moves_outputs_as_a_table_moves_whatever_the_coordinates(name, kind):
    game = make_game()
    table = make_objective(kind, tabular_policies(game))
    mixed = make_objective(kind, [mixed_policy() for _ in range(2)])
    table_params = random_params(table.policies, 1)
    mixed_params = [
        [np.linalg.solve(MIXING, logits)] for (logits,) in table_params
    ]
    learner = LEARNERS[name]
    for player_id in range(2):
        expected = learner.gradient(table, table_params, player_id, SEED)
        found = OutputSpace(learner, damping=0.0).gradient(
            mixed, mixed_params, player_id, SEED
        )
        np.testing.assert_allclose(
            MIXING @ found[0], expected[0], rtol=1e-8, atol=1e-9
        )


@pytest.mark.parametrize("name", ["lola_dice", "pola"])
def test_for_a_table_it_is_the_wrapped_learner(name):
    objective = make_objective("dice", tabular_policies(make_game()))
    params = random_params(objective.policies, 1)
    for player_id in range(2):
        found, expected = (
            learner.gradient(objective, params, player_id, SEED)
            for learner in (
                OutputSpace(LEARNERS[name], damping=0.0),
                LEARNERS[name],
            )
        )
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-9)


@pytest.mark.parametrize("damping", [0.01, 0.5])
def test_gradient_ascent_becomes_the_gauss_newton_step(damping):
    policies = [small_network() for _ in range(2)]
    objective = make_objective("exact", policies)
    params = random_params(policies, 2)
    for player_id, policy in enumerate(policies):
        jacobian = numeric_jacobian(
            lambda values, policy=policy: policy.stateless_call(
                values, [], np.eye(5)
            )[0],
            params[player_id],
        )
        gradient = learners.Naive().gradient(objective, params, player_id)
        found = OutputSpace(learners.Naive(), damping=damping).gradient(
            objective, params, player_id
        )
        np.testing.assert_allclose(
            vector(found),
            gauss_newton(jacobian, vector(gradient), damping),
            rtol=1e-5,
            atol=1e-9,
        )


@pytest.mark.parametrize("num_observations", [5, 100])
def test_in_other_games_it_measures_outputs_on_what_was_played(
    num_observations,
):
    game = Plain(make_game())
    policies = [small_network() for _ in range(2)]
    objective = make_objective("dice", policies, game)
    params = random_params(policies, 2)
    seed = tf.constant(SEED)
    played = objective.play(params, seed).trajectory.observations[0]
    rows = np.reshape(played, [-1, 5])
    count = min(num_observations, len(rows))
    rows = rows[np.round(np.linspace(0, len(rows) - 1, count)).astype(int)]
    jacobian = numeric_jacobian(
        lambda values: policies[0].stateless_call(values, [], rows)[0],
        params[0],
    )
    gradient = learners.Naive().gradient(objective, params, 0, seed)
    found = OutputSpace(
        learners.Naive(), damping=0.1, num_observations=num_observations
    ).gradient(objective, params, 0, seed)
    np.testing.assert_allclose(
        vector(found),
        gauss_newton(jacobian, vector(gradient), 0.1),
        rtol=1e-4,
        atol=1e-9,
    )


def test_a_policy_with_memory_is_measured_on_whole_episodes():
    game = make_game()
    policies = [
        dice_tf.policies.gru(game, player_id, units=2) for player_id in range(2)
    ]
    objective = make_objective("dice", policies)
    params = objective.initial_params()
    params = [[x + 0.3 for x in player_params] for player_params in params]
    seed = tf.constant(SEED)
    # Four of the six numbers of the first two episodes.
    played = objective.play(params, seed).trajectory.observations[1][:, :2]
    actor = objective.actors[1]

    def outputs(values):
        weights = actor.model.weights()._replace(
            params=list(map(tf.constant, values))
        )
        return np.ravel(actor.model(weights, played))[[0, 2, 3, 5]]

    jacobian = numeric_jacobian(outputs, [x.numpy() for x in params[1]])
    gradient = learners.Naive().gradient(objective, params, 1, seed)
    found = OutputSpace(
        learners.Naive(), damping=0.1, num_observations=4
    ).gradient(objective, params, 1, seed)
    np.testing.assert_allclose(
        vector(found),
        gauss_newton(jacobian, vector(gradient), 0.1),
        rtol=1e-4,
        atol=1e-9,
    )


def test_it_shares_the_play_that_all_learners_start_from(monkeypatch):
    objective = make_objective("dice", [small_network() for _ in range(2)])
    params = [list(map(tf.constant, p)) for p in objective.initial_params()]
    seed = tf.constant(SEED)
    plays = []

    def counted(*args, **kwargs):
        plays.append(1)
        return rollouts.sample_trajectory(*args, **kwargs)

    monkeypatch.setattr("dice_tf.objectives.sampled.sample_trajectory", counted)
    learner = OutputSpace(learners.LOLADiCE(1, 0.7))
    expected = [
        learner.gradient(objective, params, player_id, seed)
        for player_id in range(2)
    ]
    plays.clear()
    bound = objective.bind()
    bound.play(params, seed)
    found = [
        learner.gradient(bound, params, player_id, seed)
        for player_id in range(2)
    ]
    # One that all share, and one of each player after its look-ahead.
    assert len(plays) == 3
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(vector(one), vector(two))


def test_a_frozen_seat_has_no_outputs_to_move():
    game = make_game()
    policies = [small_network(), dice_tf.policies.tit_for_tat(game, 1)]
    objective = make_objective("exact", policies)
    params = objective.initial_params()
    learner = OutputSpace(learners.LOLADiCE(1, 0.7))
    plain = OutputSpace(learners.Naive())
    assert learner.gradient(objective, params, 1) == []
    for one, two in zip(
        learner.gradient(objective, params, 0),
        plain.gradient(objective, params, 0),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_runs_are_vectorised_and_stay_those_of_single_trainers():
    """The runs by XLA, and the single one without."""

    def curves(seed, num_seeds, jit_compile):
        game = make_game()
        policies = [small_network() for _ in range(2)]
        learner = OutputSpace(learners.LOLADiCE(1, 0.7))
        trainer = dice_tf.Trainer(
            make_objective("dice", policies, game),
            [learner, learners.Naive()],
            num_seeds=num_seeds,
            seed=seed,
            initial_params="random",
        )
        trainer.compile(
            optimizer=keras.optimizers.SGD(0.5), jit_compile=jit_compile
        )
        trainer.fit(steps_per_epoch=4, verbose=0)
        return trainer.curves

    found = curves(5, 2, True)
    assert np.all(np.isfinite(found))
    alone = curves(6, 1, False)
    np.testing.assert_allclose(alone[:, 0], found[:, 1], rtol=1e-5)


def test_models_of_opponents_are_networks_too():
    objective = make_objective("dice", [small_network() for _ in range(2)])
    learner = dice_tf.opponent_models.OpponentModelling(
        OutputSpace(learners.LOLADiCE(1, 0.7)), [None, small_network()]
    )
    direction = learner.gradient(
        objective, objective.initial_params(), 0, tf.constant(SEED)
    )
    assert np.all(np.isfinite(vector(direction)))
    assert np.any(vector(direction))


def test_a_learner_that_remembers_is_refused():
    objective = make_objective("exact", [small_network() for _ in range(2)])
    learner = OutputSpace(learners.LOLADiCE(1, learners.FittedRates(0.3)))
    with pytest.raises(ValueError, match="remembers tensors"):
        learner.gradient(objective, objective.initial_params(), 0)


def test_memory_in_vectorised_runs_is_refused():
    game = make_game()
    policies = [dice_tf.policies.gru(game, i, units=2) for i in range(2)]
    learner = OutputSpace(learners.Naive())
    trainer = dice_tf.Trainer(
        make_objective("dice", policies), [learner, learner], num_seeds=2
    )
    trainer.compile(optimizer="sgd")
    with pytest.raises(ValueError, match="cannot vectorise a pass over time"):
        trainer.fit(verbose=0)


def test_an_objective_without_policies_is_refused():
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: params[0][0]]
    )
    with pytest.raises(ValueError, match="needs the objective of a game"):
        OutputSpace(learners.Naive()).gradient(objective, [[tf.ones([])]], 0)


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="`learner`"):
        OutputSpace(None)
    with pytest.raises(ValueError, match="`damping`"):
        OutputSpace(learners.Naive(), damping=-1.0)
    with pytest.raises(ValueError, match="`num_observations`"):
        OutputSpace(learners.Naive(), num_observations=0)
