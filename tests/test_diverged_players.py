"""Players whose parameters are NaN have no returns, wherever they are measured.

NaN probabilities always play action 0. In the prisoner's dilemma that looks
like mutual cooperation, the best there is.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf
from dice_tf import diagnostics, evaluation, learners
from dice_tf.callbacks import CrossPlayEvaluation, RestoreLastGood
from dice_tf.objectives import DiCEObjective, ExactObjective, SurrogateObjective
from dice_tf.play.exact_values import solve
from tests.toys import ASYMMETRIC, Plain, random_params, tabular_policies

GAME = dice_tf.games.iterated_prisoners_dilemma(6)
NAIVE = [learners.Naive()] * 2


def make_nan(policy):
    for variable in policy.weights:
        variable.assign(variable * np.nan)
    return policy


def pair(game=GAME, build=dice_tf.policies.tabular, broken=(1,)):
    policies = [build(game, player_id) for player_id in range(2)]
    for player_id in broken:
        make_nan(policies[player_id])
    return policies


# A table and a network, in a game that is played by its states and not.
KINDS = {
    "table": (GAME, dice_tf.policies.tabular),
    "network": (Plain(GAME), dice_tf.policies.mlp),
    "memory": (GAME, dice_tf.policies.gru),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_match_with_a_player_of_nans_has_no_returns(kind):
    policies = pair(*KINDS[kind])
    match = evaluation.play_match(
        KINDS[kind][0], policies, batch_size=4, seed=(0, 1)
    )
    for array in (match.mean, match.standard_error, match.returns):
        assert np.all(np.isnan(array))
    assert np.all(np.isnan(match.cooperation_rates))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("objective", [DiCEObjective, SurrogateObjective])
def test_sampled_play_of_nans_has_no_value(kind, objective):
    sampled = objective(KINDS[kind][0], pair(*KINDS[kind]), 0.96, 4)
    params = sampled.initial_params()
    assert np.all(np.isnan(sampled.play(params, [0, 1]).values))
    assert np.all(np.isnan(sampled(params, [0, 1])))


def test_continuous_actions_of_nans_have_no_value_even_if_clipped():
    class Bounded(dice_tf.games.RepeatedCournot):
        def step(self, state, actions, seed):
            actions = [
                tf.where(action > 0.0, action, 0.0) for action in actions
            ]
            return super().step(state, actions, seed)

    def build(game, player_id):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        return dice_tf.policies.with_head(
            model, lambda x: tfp.distributions.Normal(x[..., 0], 0.1)
        )

    game = Bounded(3)
    match = evaluation.play_match(
        game, pair(game, build), batch_size=4, seed=(0, 1)
    )
    assert np.all(np.isnan(match.mean))
    assert np.all(
        np.isfinite(
            evaluation.play_match(
                game, pair(game, build, ()), batch_size=4, seed=(0, 1)
            ).mean
        )
    )


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("kind", KINDS)
def test_infinite_weights_have_no_returns_either(kind, value):
    """Softmax of infinity is NaN; of minus infinity alone it is a mask."""
    game, build = KINDS[kind]
    policies = pair(game, build, ())
    for variable in policies[1].trainable_variables:
        variable.assign(tf.fill(variable.shape, value))
    match = evaluation.play_match(game, policies, batch_size=4, seed=(0, 1))
    assert np.all(np.isnan(match.mean))


def test_huge_weights_play_as_any_others():
    """Steps of 1 are rounded away in weights of 3e38."""
    policies = pair(broken=())
    policies[1].set_weights([np.full([5, 1], -3e38, np.float32)])
    sampled = DiCEObjective(GAME, policies, 0.96, 4)
    played = sampled.play(sampled.initial_params(), [0, 1]).trajectory
    np.testing.assert_array_equal(played.actions[1], 1)


def test_only_the_episodes_with_nans_are_lost():
    """NaN after mutual defection alone, and all else by a table."""

    class Gap(keras.layers.Layer):
        def call(self, observations):
            return tf.where(observations[:, 3:4] > 0.5, np.nan, 0.3)

    def build(game, player_id):
        inputs = keras.Input((5,))
        return keras.Model(inputs, Gap()(inputs))

    game = Plain(dice_tf.games.iterated_prisoners_dilemma(3))
    match = evaluation.play_match(
        game, pair(game, build, ()), batch_size=64, seed=(0, 1)
    )
    first, second = (actions[:-1] for actions in match.actions)
    lost = np.any((first == 1) & (second == 1), axis=0)
    assert 0 < lost.sum() < 64
    np.testing.assert_array_equal(np.isnan(match.returns[:, 0]), lost)
    np.testing.assert_array_equal(np.isnan(match.returns[:, 1]), lost)
    assert np.all(np.isnan(match.mean))


@pytest.mark.parametrize("batch_size", [None, 8])
def test_cross_play_is_nan_where_a_player_is(batch_size):
    good, bad = pair(broken=()), pair(broken=(0, 1))
    result = evaluation.cross_play(
        GAME,
        {"runs": [good[0], bad[0]]},
        {"runs": [good[1], bad[1]]},
        batch_size=batch_size,
    )
    expected = [[False, True], [True, True]]
    for table in (*result.payoffs, *result.cooperation_rates):
        np.testing.assert_array_equal(np.isnan(table), expected)


@pytest.mark.parametrize("with_itself", [True, False])
@pytest.mark.parametrize("batch_size", [None, 8])
def test_a_tournament_ranks_nan_last_and_the_others_without_it(
    batch_size, with_itself
):
    others = {
        "tit_for_tat": dice_tf.policies.tit_for_tat,
        "always_defect": dice_tf.policies.always_defect,
    }
    options = {"batch_size": batch_size, "with_itself": with_itself}
    bad = make_nan(dice_tf.policies.tit_for_tat(GAME, 0))
    result = evaluation.tournament(GAME, {"bad": bad} | others, **options)
    alone = evaluation.tournament(GAME, others, **options)
    assert result.ranking == (*alone.ranking, "bad")
    assert np.isnan(result.scores[0])
    assert np.isnan(result.cooperation_rates[0])
    # Nobody here acts at random but by the tiny chances of a float.
    np.testing.assert_allclose(result.scores[1:], alone.scores, atol=1e-9)
    text = evaluation.tournament_table(result).splitlines()
    assert text[-1].split()[:3] == ["3", "bad", "-"]
    lines = evaluation.tournament_csv(result).splitlines()
    assert "bad,tit_for_tat,,,,,," in lines
    assert "tit_for_tat,bad,,,,,," in lines


def test_exact_figures_of_nans_are_nan_at_any_horizon():
    policies = pair()
    for length in (6, None):
        match = evaluation.exact_match(
            GAME, policies, discount=0.9, episode_length=length
        )
        assert np.all(np.isnan(match.mean))
        assert np.all(np.isnan(match.cooperation_rates))
        visits = evaluation.visit_frequencies(
            GAME, policies, 0, discount=0.9, episode_length=length
        )
        assert np.all(np.isnan(visits))
        gaps = evaluation.exploitability(
            GAME, policies, discount=0.9, episode_length=length
        )
        assert np.all(np.isnan(gaps.values)) and np.isnan(gaps.nash_conv)
        # Against the other, who is fine, player 1 has a best response.
        best = evaluation.best_response(
            GAME, policies, 1, discount=0.9, episode_length=length
        )
        np.testing.assert_array_equal(
            gaps.best_response_values, [np.nan, best.value]
        )


def test_nobody_responds_best_to_nan():
    with pytest.raises(ValueError, match=r"`policies\[1\]` \('tabular.*NaN"):
        evaluation.best_response(GAME, pair(), 0)


def test_nan_has_no_name():
    with pytest.raises(ValueError, match="must give finite probabilities to"):
        evaluation.name_policy(GAME, pair()[1], 1)


def test_a_policy_of_nans_cannot_be_checked():
    """Its outputs are linear: both derivatives are finite, and agree."""
    for policy in (
        pair()[1],
        make_nan(dice_tf.policies.tit_for_tat(GAME, 0)),
        make_nan(dice_tf.policies.mlp(GAME, 0)),
    ):
        with pytest.raises(ValueError, match="its outputs must be finite"):
            dice_tf.check_policy(policy)


def test_shares_of_shaping_are_nan():
    objective = ExactObjective(GAME, pair(), 0.96)
    learner = learners.LOLADiCE(1, 1.0)
    params = objective.initial_params()
    found = diagnostics.shaping_share(
        learner, objective, 0, params=params, num_repetitions=1
    )
    assert np.isnan(found.share)
    measured = diagnostics.MeasuredShaping(learner)
    state = measured.init(params)
    state = measured.step(objective, params, 0, (0, 1), state).state
    assert np.isnan(state.share)


# --- Where runs start -------------------------------------------------------


def objective_of(*broken):
    return ExactObjective(GAME, pair(broken=broken), 0.96)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_initial_parameters_must_be_finite(value):
    objective = objective_of()
    start = [random_params(objective.policies, seed) for seed in range(3)]
    wrong = start[2][1][0].astype(np.float64)
    wrong[3, 0] = value
    start[2][1][0] = wrong
    with pytest.raises(
        ValueError, match="`initial_params` must be finite.*run 2, player 1, a"
    ):
        dice_tf.Trainer(objective, NAIVE, num_seeds=3, initial_params=start)


def test_initial_parameters_of_functions_must_be_finite():
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: -(params[0][0] ** 2)]
    )
    with pytest.raises(ValueError, match="finite.*run 0, player 0, array 0"):
        dice_tf.Trainer(
            objective, [learners.Naive()], initial_params=[[[np.nan]]]
        )


def test_current_parameters_must_be_finite():
    with pytest.raises(ValueError, match=r"`policies\[1\]`.*5 of the 5 numbe"):
        dice_tf.Trainer(objective_of(1), NAIVE)
    # What is drawn anew does not depend on them.
    trainer = dice_tf.Trainer(objective_of(1), NAIVE, num_seeds=2)
    assert trainer.diverged_runs == ()


@pytest.mark.parametrize("num_seeds", [1, 2])
def test_a_frozen_player_must_be_finite(num_seeds):
    policies = pair(broken=())
    policies[1] = make_nan(dice_tf.policies.tit_for_tat(GAME, 1))
    objective = DiCEObjective(GAME, policies, 0.96, 4)
    with pytest.raises(ValueError, match=r"`policies\[1\]` \('tit_for_tat'\)"):
        dice_tf.Trainer(
            objective, [learners.Naive(), None], num_seeds=num_seeds
        )


def test_a_critic_must_be_finite():
    critics = [
        keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
        for _ in range(2)
    ]
    make_nan(critics[0])
    objective = DiCEObjective(
        GAME, pair(broken=()), 0.96, 4, baseline="critic", critics=critics
    )
    with pytest.raises(ValueError, match=r"`critics\[0\]`"):
        dice_tf.Trainer(objective, NAIVE)


def test_parameters_of_nan_are_not_exported(tmp_path):
    hides = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(2, trainable=False),
            keras.layers.Lambda(lambda x: tf.where(x < 0.0, x, 0.0)),
        ]
    )
    for policy in (pair()[1], make_nan(hides)):
        with pytest.raises(ValueError, match="weight '.*kernel' are NaN or in"):
            dice_tf.export.export_policy(policy, tmp_path / "policy")
    assert not list(tmp_path.iterdir())


def test_models_of_opponents_must_be_finite():
    with pytest.raises(ValueError, match=r"`models\[1\]` \('tabular_policy_1"):
        dice_tf.opponent_models.OpponentModelling(
            learners.Naive(), [None, pair()[1]]
        )


def test_a_saved_model_of_nans_is_no_opponent(tmp_path):
    """As dice_tf would not write it, but others may."""
    policy = pair(broken=())[0]
    archive = keras.export.ExportArchive()
    archive.track(policy)
    archive.add_endpoint(
        "probabilities",
        lambda observation: {
            "probabilities": tf.nn.softmax(policy(observation))
        },
        input_signature=[tf.TensorSpec([None, 5], tf.float32, "observation")],
    )
    archive.write_out(tmp_path / "good", verbose=False)
    make_nan(policy)
    archive.write_out(tmp_path / "bad", verbose=False)
    dice_tf.policies.from_saved_model(tmp_path / "good")
    with pytest.raises(ValueError, match="bad'. must give finite probabilitie"):
        dice_tf.policies.from_saved_model(tmp_path / "bad")


# --- While training ---------------------------------------------------------

MATRIX = dice_tf.games.iterated_matrix_game(ASYMMETRIC, 4)
OBJECTIVES = {
    "exact": lambda: ExactObjective(
        MATRIX, tabular_policies(MATRIX), 0.9, None
    ),
    "sampled": lambda: DiCEObjective(
        MATRIX, tabular_policies(MATRIX), 0.9, 4, baseline="leave_one_out"
    ),
    "general": lambda: DiCEObjective(
        Plain(MATRIX), tabular_policies(MATRIX), 0.9, 4
    ),
}


def poison(trainer, run=1, value=np.nan):
    params = trainer.players[1].params[0]
    values = params.numpy()
    values[run] = value
    params.assign(values)


def build(name, learner):
    trainer = dice_tf.Trainer(
        OBJECTIVES[name](), [learner, learner], num_seeds=3, seed=5
    )
    trainer.compile(keras.optimizers.SGD(0.3), jit_compile=False)
    return trainer


@functools.cache
def curves_of(name, learner):
    trainer = build(name, learner)
    trainer.fit(steps_per_epoch=3, verbose=0)
    return trainer.curves


LEARNERS = {
    "naive": learners.Naive(),
    "competitive": learners.CompetitiveGradientDescent(0.1),
}


@pytest.mark.parametrize(
    ("name", "learner"),
    [
        ("exact", "naive"),
        ("sampled", "naive"),
        ("general", "naive"),
        ("exact", "competitive"),
    ],
)
def test_a_run_that_diverges_is_nan_and_leaves_the_others_alone(name, learner):
    trainer = build(name, LEARNERS[learner])
    poison(trainer)
    history = trainer.fit(steps_per_epoch=3, verbose=0).history
    assert np.all(np.isnan(trainer.curves[:, 1]))
    expected = curves_of(name, LEARNERS[learner])
    assert np.all(np.isfinite(expected))
    others = trainer.curves[:, [0, 2]]
    np.testing.assert_array_equal(others, expected[:, [0, 2]])
    assert trainer.diverged_runs == (1,)
    for key in ("joint/return", "player_0/return", "player_1/return", "loss"):
        assert np.isnan(history[key][0]), key
    found = trainer.evaluate({"defector": dice_tf.policies.always_defect})
    assert np.isnan(found["player_1/return_against_defector"])


def test_the_progress_bar_says_that_a_run_has_diverged(capsys):
    trainer = build("sampled", LEARNERS["naive"])
    poison(trainer)
    trainer.fit(steps_per_epoch=2, verbose=2)
    assert "joint/return: nan - loss: nan" in capsys.readouterr().out


def test_steps_that_overflow_end_as_nan():
    """The largest legal rate: parameters become infinite by themselves."""
    # In this play a derivative is larger than 1.
    trainer = dice_tf.Trainer(OBJECTIVES["sampled"](), NAIVE, seed=2)
    trainer.compile(keras.optimizers.SGD(3.4e38), jit_compile=False)
    trainer.fit(steps_per_epoch=4, verbose=0)
    assert np.all(np.isfinite(trainer.curves[0]))
    assert np.all(np.isnan(trainer.curves[-1]))
    assert trainer.diverged_runs == (0,)


def test_the_last_update_counts_as_diverged_too():
    trainer = build("exact", LEARNERS["naive"])
    trainer.fit(verbose=0)
    assert trainer.diverged_runs == ()
    poison(trainer, 2, np.inf)
    assert np.all(np.isfinite(trainer.curves))
    assert trainer.diverged_runs == (2,)


def test_cross_play_while_training_is_nan_and_does_not_stop_it():
    trainer = build("exact", LEARNERS["naive"])
    poison(trainer)
    evaluate = [CrossPlayEvaluation()]
    history = trainer.fit(epochs=2, verbose=0, callbacks=evaluate).history
    for key in ("cross_play/player_0/return", "self_play/player_1/return"):
        assert np.all(np.isnan(history[key]))
    poison(trainer, slice(None))
    history = trainer.fit(verbose=0, callbacks=evaluate).history
    assert np.isnan(history["cross_play/player_1/return"][0])


def test_the_guard_needs_something_good_to_go_back_to():
    trainer = build("exact", LEARNERS["naive"])
    poison(trainer)
    with pytest.raises(ValueError, match=r"nothing good .* the runs \[1\]"):
        trainer.fit(verbose=0, callbacks=[RestoreLastGood()])


def test_the_guard_undoes_an_epoch_without_returns():
    trainer = build("sampled", LEARNERS["naive"])
    guard = RestoreLastGood()
    once = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epoch == 1 and poison(trainer)
    )
    trainer.fit(epochs=3, verbose=0, callbacks=[once, guard])
    assert guard.num_restores == 1
    assert np.all(np.isfinite(trainer.curves)) and len(trainer.curves) == 2


# --- Sums that overflow, and linear systems ----------------------------------


@pytest.mark.parametrize("kind", [DiCEObjective, ExactObjective])
def test_returns_that_overflow_are_nan(kind):
    """Each payoff is finite, and 6 rounds of them are not."""
    payoffs = np.array([[[3e38] * 2] * 2, [[1.0, 2.0], [3.0, 4.0]]])
    game = dice_tf.games.iterated_matrix_game(payoffs, 6)
    sizes = (4,) if kind is DiCEObjective else ()
    objective = kind(game, tabular_policies(game), 0.96, *sizes)
    trainer = dice_tf.Trainer(objective, [None, learners.Naive()])
    trainer.compile("sgd", jit_compile=False)
    trainer.fit(verbose=0)
    np.testing.assert_array_equal(np.isnan(trainer.curves[0, 0]), [True, False])
    assert trainer.diverged_runs == (0,)


def test_sums_that_overflow_are_no_returns_of_matches():
    payoffs = np.full([2, 2, 2], 1e308)
    game = dice_tf.games.iterated_matrix_game(payoffs, 6, dtype="float64")
    policies = tabular_policies(game)
    with np.errstate(all="ignore"):
        for match in (
            evaluation.play_match(game, policies, batch_size=4, seed=(0, 1)),
            evaluation.exact_match(game, policies),
        ):
            assert np.all(np.isnan(match.mean))


def test_systems_are_solved_as_tensorflow_does_or_are_nan():
    rng = np.random.default_rng(0)
    matrices = tf.constant(rng.normal(size=[3, 4, 4]))
    x = tf.constant(rng.normal(size=[4, 2]))
    broken = tf.tensor_scatter_nd_update(matrices, [[1, 2, 3]], [np.nan])

    @tf.function(autograph=False)
    def solutions(matrices):
        with tf.GradientTape() as tape:
            tape.watch(matrices)
            solved = tf.vectorized_map(
                lambda matrix: solve(matrix, x, adjoint=True), matrices
            )
        return solved, tape.gradient(solved, matrices)

    found, gradient = solutions(broken)
    transposed = np.transpose(matrices, [0, 2, 1])
    expected = np.linalg.solve(transposed, np.stack([x] * 3))
    np.testing.assert_allclose(found[::2], expected[::2], rtol=1e-10)
    np.testing.assert_array_equal(np.isnan(found[:, 0, 0]), [0, 1, 0])
    # d sum(y) for A' y = x is - y (A^-1 1)'.
    for run in (0, 2):
        ones = np.linalg.solve(matrices[run], np.ones([4, 2]))
        np.testing.assert_allclose(
            gradient[run], -expected[run] @ ones.T, rtol=1e-10
        )
