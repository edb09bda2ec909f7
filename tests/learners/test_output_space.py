"""Steps in the outputs of policies instead of their parameters."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf import learners
from dice_tf.learners import OutputSpace, output_space
from dice_tf.learners.history_jacobians import history_jacobian
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


def recurrent_objective(wrap=lambda game: game, units=2, cell="gru"):
    """Policies with memory, far from their start, and their parameters."""
    game = wrap(make_game())
    factory = getattr(dice_tf.policies, cell)
    policies = [factory(game, player_id, units=units) for player_id in range(2)]
    objective = make_objective("dice", policies, game)
    params = [
        [x + 0.3 for x in player_params]
        for player_params in objective.initial_params()
    ]
    return objective, params


def with_values(actor, values):
    return actor.model.weights()._replace(params=list(map(tf.constant, values)))


def test_in_other_games_memory_is_measured_on_whole_episodes():
    objective, params = recurrent_objective(Plain)
    seed = tf.constant(SEED)
    # Four of the six numbers of the first two episodes.
    played = objective.play(params, seed).trajectory.observations[1][:, :2]
    actor = objective.actors[1]

    def outputs(values):
        weights = with_values(actor, values)
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


def mean_outputs_after_histories(actor, values, trajectory, player_id):
    """`sum_t,b w_t,b(s) z(h_t,b, s) / sum_t,b w_t,b(s)` for each state s."""
    weights = with_values(actor, values)
    seen = trajectory.observations[player_id].numpy()
    states = trajectory.states.numpy()
    observations = make_game().observations[player_id]
    sums, counts = np.zeros(5), np.zeros(5)
    for t in range(LENGTH):
        # Each history of t steps, followed by each of the five states.
        histories = np.repeat(seen[: t + 1], 5, axis=1)
        histories[t] = np.tile(observations, [BATCH, 1])
        outputs = actor.model(weights, tf.constant(histories))[t]
        was_seen = states[t][:, np.newaxis] == np.arange(5)
        shares = DISCOUNT**t * (was_seen + 0.01)
        sums += np.sum(shares * np.reshape(outputs, [BATCH, 5]), axis=0)
        counts += np.sum(shares, axis=0)
    return sums / counts


@pytest.mark.parametrize("cell", ["gru", "lstm", "min_gru"])
def test_memory_is_measured_by_what_it_would_do_after_each_history(cell):
    objective, params = recurrent_objective(cell=cell)
    seed = tf.constant(SEED)
    trajectory = objective.play(params, seed).trajectory
    for player_id, actor in enumerate(objective.actors):
        jacobian = numeric_jacobian(
            lambda values, actor=actor, player_id=player_id: (
                mean_outputs_after_histories(
                    actor, values, trajectory, player_id
                )
            ),
            [x.numpy() for x in params[player_id]],
        )
        gradient = learners.Naive().gradient(objective, params, player_id, seed)
        found = OutputSpace(learners.Naive(), damping=0.1).gradient(
            objective, params, player_id, seed
        )
        np.testing.assert_allclose(
            vector(found),
            gauss_newton(jacobian, vector(gradient), 0.1),
            rtol=1e-4,
            atol=1e-9,
        )


def test_each_output_of_a_policy_with_memory_has_a_row():
    payoffs = np.random.default_rng(3).normal(size=[2, 3, 3])
    game = dice_tf.games.iterated_matrix_game(payoffs, 3, dtype="float64")
    policies = [dice_tf.policies.gru(game, i, units=2) for i in range(2)]
    objective = make_objective("dice", policies, game)
    params = objective.initial_params()
    trajectory = objective.play(params, tf.constant(SEED)).trajectory
    actor, weights = objective.actors[1], objective.player_weights(params)[1]

    def jacobian(num_episodes):
        return history_jacobian(
            game,
            actor,
            weights,
            trajectory,
            1,
            discount=DISCOUNT,
            num_episodes=num_episodes,
        ).numpy()

    found = jacobian(4)
    assert found.shape == (
        10 * 3,
        sum(x.shape.num_elements() for x in params[1]),
    )
    # The last parameters are the biases of the three outputs.
    np.testing.assert_allclose(found[:, -3:], np.tile(np.eye(3), [10, 1]))
    assert not np.allclose(found, jacobian(5))


def test_a_table_beside_a_policy_with_memory_stays_a_table():
    game = make_game()
    policies = [
        tabular_policies(game)[0],
        dice_tf.policies.gru(game, 1, units=2),
    ]
    objective = make_objective("dice", policies)
    params = objective.initial_params()
    found, expected = (
        learner.gradient(objective, params, 0, tf.constant(SEED))
        for learner in (
            OutputSpace(learners.Naive(), damping=0.0),
            learners.Naive(),
        )
    )
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-9)


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


@pytest.mark.parametrize("with_memory", [True, False])
def test_runs_are_vectorised_and_stay_those_of_single_trainers(with_memory):
    """The runs by XLA, and the single one without."""

    def curves(seed, num_seeds, jit_compile):
        game = make_game()
        policies = [
            dice_tf.policies.gru(game, player_id, units=2)
            if with_memory
            else small_network()
            for player_id in range(2)
        ]
        # Without look-aheads there is less to compile.
        learner = OutputSpace(learners.LOLADiCE(int(not with_memory), 0.7))
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


def test_memory_in_vectorised_runs_of_other_games_is_refused():
    objective, _ = recurrent_objective(Plain)
    learner = OutputSpace(learners.Naive())
    trainer = dice_tf.Trainer(objective, [learner, learner], num_seeds=2)
    trainer.compile(optimizer="sgd")
    with pytest.raises(ValueError, match="cannot vectorise a pass over time"):
        trainer.fit(verbose=0)


def test_all_learners_of_a_step_share_their_maps(monkeypatch):
    objective = make_objective("dice", [small_network() for _ in range(2)])
    params = [list(map(tf.constant, p)) for p in objective.initial_params()]
    seed, maps = tf.constant(SEED), []

    class Counted(output_space.OutputMap):
        def __init__(self, *args):
            maps.append(self)
            super().__init__(*args)

    monkeypatch.setattr(output_space, "OutputMap", Counted)
    bound = objective.bind()
    for damping in (0.01, 0.01, 0.5):
        learner = OutputSpace(learners.Naive(), damping=damping)
        learner.gradient(bound, params, 0, seed)
    # One of each player, and others with another damping.
    assert len(maps) == 4


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
