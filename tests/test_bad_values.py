"""Arguments of the right kind that cannot be used: errors that name them."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import dice_tf

ESTIMATORS = dice_tf.estimators
STEPS = tf.ones([3, 4])


@pytest.mark.parametrize(
    "rewards", [np.ones([3], np.float16), 1.0 + 2.0j, [1.0, 2.0]]
)
def test_rewards_have_two_axes_before_values_are_cast_to_them(rewards):
    message = r"`rewards` must have shape \[T, B\] \(rank 2\)"
    with pytest.raises(ValueError, match=message):
        ESTIMATORS.lambda_returns(rewards, STEPS, discount=0.9)


@pytest.mark.parametrize("discounts", [1.5, -1e30, [1.0, 0.0]])
def test_steps_run_by_time_and_episode(discounts):
    with pytest.raises(ValueError, match=r"`discounts` must have shape \[T, B"):
        ESTIMATORS.running_steps(discounts)


def test_a_pool_names_its_players_if_they_are_too_many():
    message = "`capacity` must be at least num_players.*num_players=1000000000"
    with pytest.raises(ValueError, match=message):
        dice_tf.games.CommonPool(num_players=10**9)


def test_functions_take_what_they_are_called_with():
    objective = dice_tf.objectives.FunctionObjective(
        [lambda params: tf.reduce_sum(params[0][0])]
    )

    def draw(seed, number):
        return tf.zeros([number])

    family = dice_tf.objectives.SampledTasks(lambda task: objective, draw, 2)
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policy = dice_tf.policies.mlp(game, 0)
    trainer = dice_tf.Trainer(
        objective, [dice_tf.learners.Naive()], initial_params=[[np.ones([1])]]
    )
    for name, call in {
        "build_objective": lambda function: dice_tf.objectives.SampledTasks(
            function, draw, 2
        ),
        "sample_tasks": lambda function: dice_tf.objectives.SampledTasks(
            lambda task: objective, function, 2
        ),
        "function": objective.average,
        "head": lambda function: dice_tf.policies.with_head(policy, function),
    }.items():
        with pytest.raises(TypeError, match=f"`{name}` must be a func.*takes "):
            call(lambda: None)
    for call in (family.average, trainer.map_loaded_runs):
        with pytest.raises(TypeError, match="`function` must be a f.*takes "):
            call(lambda: None)
    for make in (dice_tf.bridges.from_pettingzoo, dice_tf.bridges.PythonGame):
        with pytest.raises(TypeError, match="`make_environment` must .*takes "):
            make(lambda seed: None, 3)


def test_nobody_has_no_parameters():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    learner = dice_tf.opponent_models.OpponentModelling(
        dice_tf.learners.Naive(), [None, dice_tf.policies.mlp(game, 1)]
    )
    for params in ([], ()):
        with pytest.raises(ValueError, match="`params` must not be empty"):
            learner.init(params)


RAGGED = [[1], [1, 2]]


@pytest.mark.parametrize(
    "game",
    [dice_tf.games.iterated_prisoners_dilemma(3), dice_tf.games.CoinGame(3)],
)
def test_actions_of_all_players_have_one_shape(game):
    state = game.reset((0, 1), 2)[0]
    with pytest.raises(ValueError, match=r"`actions\[1\]` must have the shape"):
        game.step(state, RAGGED, (0, 1))


def test_actions_are_named_where_they_do_not_fit():
    cournot = dice_tf.games.RepeatedCournot(3)
    state = cournot.reset((0, 1), 2)[0]
    with pytest.raises(ValueError, match=r"`actions\[1\]` must have the shape"):
        cournot.step(state, [tf.ones([1]), tf.ones([2])], (0, 1))
    with pytest.raises(ValueError, match=r"`actions\[0\]` must have shape \[B"):
        cournot.step(state, [tf.ones([2, 1])] * 2, (0, 1))
    coins = dice_tf.games.CoinGame(3)
    state = coins.reset((0, 1), 2)[0]
    with pytest.raises(ValueError, match=r"`actions\[0\]` must have the shape"):
        coins.step(state, [[0, 1, 2]] * 2, (0, 1))
    dilemma = dice_tf.games.iterated_prisoners_dilemma(3)
    state = dilemma.reset((0, 1), 2)[0]
    with pytest.raises(
        TypeError, match=r"`actions\[1\]` must be a tensor of w"
    ):
        dilemma.step(state, [[0, 1], [0.0, 1.0]], (0, 1))


def test_gains_of_firms_have_an_entry_per_firm():
    game = dice_tf.games.RepeatedCournot(3)
    parts = {"offsets": [1.0, 1.0], "scales": [1.0, 1.0], "discount": 0.9}
    with pytest.raises(
        ValueError, match=r"`gains\[0\]` must have shape \[...,"
    ):
        game.linear_gaussian_values([[1.0], [1.0, 2.0]], **parts)
    with pytest.raises(ValueError, match=r"`gains\[0\]` must have shape \[num"):
        game.linear_gaussian_values([1.0, 2.0], **parts)


@pytest.mark.parametrize(
    "shape", [tf.zeros([2, 2]), tf.zeros([2, 2], tf.int32)]
)
def test_shapes_are_vectors_of_whole_numbers(shape):
    graph = dice_tf.StochasticComputationGraph(
        {"z": tfp.distributions.Bernoulli(0.5)}, {"cost": lambda z: z}
    )
    for name, call in {
        "sample_shape": lambda: graph.sample(shape, (0, 1)),
        "shape": lambda: dice_tf.seeds.uniform((0, 1), shape),
    }.items():
        with pytest.raises((TypeError, ValueError), match=f"`{name}` must "):
            call()


def test_how_much_is_printed_is_a_word_or_a_number():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive(), None])
    trainer.compile("sgd", jit_compile=False)
    for verbose in (np.array(["a", "b"]), tf.zeros([2]), None):
        with pytest.raises(
            TypeError, match="`verbose` must be .auto., 0, 1 or"
        ):
            trainer.fit(verbose=verbose)
    for verbose in (True, np.int64(0), 2):
        trainer.fit(verbose=verbose)


def test_a_policy_without_a_set_of_actions_names_what_says_so(tmp_path):
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policy = dice_tf.policies.tabular(game, 0)
    with pytest.raises(
        ValueError, match=r"\(num_actions=None\): attach a head"
    ):
        dice_tf.export.export_policy(policy, tmp_path / "a", num_actions=None)


@pytest.mark.parametrize("shape", [[], [2], [1, 2, 1, 2], [[1.0]], [1.5]])
def test_the_shape_of_observations_is_one_that_the_policy_takes(
    shape, tmp_path
):
    policy = dice_tf.policies.tabular(
        dice_tf.games.iterated_prisoners_dilemma(3), 0
    )
    for suffix, export in {
        "": dice_tf.export.export_policy,
        ".tflite": dice_tf.export.export_tflite,
        ".onnx": dice_tf.export.export_onnx,
    }.items():
        with pytest.raises(
            (TypeError, ValueError), match="`observation_shape` must be"
        ):
            export(policy, tmp_path / f"a{suffix}", observation_shape=shape)


def test_the_shape_of_observations_with_memory_is_one_that_the_policy_takes(
    tmp_path,
):
    policy = dice_tf.policies.gru(dice_tf.games.CoinGame(3), 0, units=2)
    with pytest.raises(ValueError, match="`observation_shape` must be the sha"):
        dice_tf.export.export_policy(
            policy, tmp_path / "a", observation_shape=[2]
        )


def test_observations_are_what_the_policy_sees():
    policy = dice_tf.policies.tabular(
        dice_tf.games.iterated_prisoners_dilemma(3), 0
    )
    for observations in ([], [1.0], tf.zeros([2, 1, 2])):
        with pytest.raises(ValueError, match="`observations` must be what the"):
            dice_tf.check_policy(policy, observations)


def test_parameters_have_the_shapes_of_their_policies():
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    params = objective.initial_params()
    wrong = r"\[1\]` must hold tensors of the shapes of the trainable.*\(5, 1\)"
    for received in ([tf.ones([3])], [], [tf.ones([5, 1])] * 2):
        odd = [params[0], received]
        for call in (
            lambda odd=odd: objective(odd),
            lambda odd=odd: objective.play(odd, None),
            lambda odd=odd: objective.player_weights(odd),
            lambda odd=odd: objective.divergences(odd, params),
            lambda odd=odd: dice_tf.learners.Naive().gradient(
                objective, odd, 0, None
            ),
        ):
            with pytest.raises(ValueError, match=f"`params{wrong}"):
                call()
        with pytest.raises(ValueError, match=f"`other_params{wrong}"):
            objective.divergences(params, odd)


def test_rates_are_fitted_to_parameters_of_one_shape():
    rates = dice_tf.learners.FittedRates(1.0)
    state = rates.init([[tf.ones([2])], [tf.ones([3])]])
    for odd in ([tf.ones([2])], [tf.ones([3])] * 2, []):
        message = r"`params\[1\]` must hold tensors of the shapes of the state"
        with pytest.raises(ValueError, match=message):
            rates.observe(state, [[tf.ones([2])], odd])


def test_a_checkpoint_is_of_a_trainer(tmp_path):
    checkpoint = dice_tf.callbacks.Checkpoint(tmp_path / "a")
    for trainer in (None, dict, "x"):
        with pytest.raises(TypeError, match="`trainer` must be a dice_tf.Tra"):
            checkpoint.save(trainer, 1)
        with pytest.raises(TypeError, match="`trainer` must be a dice_tf.Tra"):
            checkpoint.restore(trainer)


@pytest.mark.parametrize("callbacks", ["x", 1, {1}, dict, [None], ["x"], [3]])
def test_callbacks_are_those_of_keras(callbacks):
    game = dice_tf.games.iterated_prisoners_dilemma(3)
    policies = [dice_tf.policies.tabular(game, i) for i in range(2)]
    objective = dice_tf.objectives.ExactObjective(game, policies, 0.9)
    trainer = dice_tf.Trainer(objective, [dice_tf.learners.Naive(), None])
    trainer.compile("sgd", jit_compile=False)
    with pytest.raises(TypeError, match=r"`callbacks(\[0\])?` must be a"):
        trainer.fit(callbacks=callbacks)
    assert trainer.iterations == 0
