"""Arguments of a wrong kind: errors that name them."""

import math

import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from dice_tf.learners.inner_rates import FittedState
from tests.toys import random_params, tabular_policies

GAME = dice_tf.games.iterated_prisoners_dilemma(3)
COINS = dice_tf.games.CoinGame(3)
STEPS = tf.ones([3, 4])


@pytest.fixture(scope="module")
def policies():
    return tabular_policies(GAME)


@pytest.fixture(scope="module")
def actors(policies):
    return [
        dice_tf.play.Actor(GAME, policy, player_id)
        for player_id, policy in enumerate(policies)
    ]


@pytest.fixture(scope="module")
def objective(policies):
    return dice_tf.objectives.ExactObjective(GAME, policies)


@pytest.mark.parametrize("game", [None, "x", dict, 3])
@pytest.mark.parametrize(
    "function",
    [
        dice_tf.policies.tabular,
        dice_tf.policies.mlp,
        dice_tf.policies.gru,
        dice_tf.policies.lstm,
        dice_tf.policies.min_gru,
        dice_tf.policies.stacked,
        dice_tf.policies.convolutional,
        dice_tf.policies.tit_for_tat,
        dice_tf.policies.random,
        dice_tf.critics.tabular_critic,
        dice_tf.critics.mlp_critic,
        dice_tf.critics.gru_critic,
        dice_tf.critics.min_gru_critic,
    ],
)
def test_a_game_is_named(function, game):
    with pytest.raises(TypeError, match=r"`game` must be a dice_tf\.games\.Ga"):
        function(game, 0)


def test_a_game_is_named_where_it_is_played(policies, actors):
    message = r"`game` must be a dice_tf\.games\.Game\. Received: game=None"
    with pytest.raises(TypeError, match=message):
        dice_tf.play.Actor(None, policies[0], 0)
    with pytest.raises(TypeError, match=message):
        dice_tf.play.sample_trajectory(
            None, actors, [], batch_size=2, seed=(0, 1)
        )
    with pytest.raises(TypeError, match=r"`game` must be a .*\.CoinGame\. Rec"):
        dice_tf.policies.on_the_grid(GAME, policies[0], 0)


@pytest.mark.parametrize(
    "seed", [None, "x", 1.5, [1.5, 2.5], object(), {}, dict, 10**20]
)
def test_a_seed_is_named(seed):
    message = r"`seed` must be an int32 tensor of shape \[2\]"
    for call in (
        lambda: dice_tf.seeds.split_seed(seed, 2),
        lambda: dice_tf.seeds.private_seed(seed),
        lambda: dice_tf.seeds.uniform(seed, [2]),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_the_number_and_the_shape_of_draws_are_named():
    split, uniform = dice_tf.seeds.split_seed, dice_tf.seeds.uniform
    assert split((0, 1), 0) == []
    with pytest.raises(TypeError, match="`num` must be a whole number"):
        split((0, 1), None)
    with pytest.raises(ValueError, match="`num` must be at most"):
        split((0, 1), 10**9)
    with pytest.raises(TypeError, match="`shape` must be a list of whole num"):
        uniform((0, 1), None)
    with pytest.raises(TypeError, match="`shape` must be a whole number"):
        uniform((0, 1), [None])
    with pytest.raises(ValueError, match="`shape` must be at most"):
        uniform((0, 1), [10**5, 10**5])
    assert uniform((0, 1), [2, tf.constant(3)]).shape == [2, 3]
    assert uniform((0, 1), tf.constant([2, 3])).shape == [2, 3]


@pytest.mark.parametrize("hidden_units", ["", {}, {8}, 8, None])
def test_hidden_units_are_a_list(hidden_units):
    for function in (dice_tf.policies.mlp, dice_tf.critics.mlp_critic):
        with pytest.raises(TypeError, match="`hidden_units` must be a list of"):
            function(GAME, 0, hidden_units=hidden_units)


def test_sizes_of_layers_are_bounded():
    policies, critics = dice_tf.policies, dice_tf.critics
    for call in (
        lambda: policies.mlp(GAME, 0, hidden_units=[10**9]),
        lambda: policies.convolutional(COINS, 0, filters=[10**9]),
        lambda: policies.convolutional(COINS, 0, kernel_size=10**9),
        lambda: policies.gru(GAME, 0, units=10**9),
        lambda: policies.lstm(GAME, 0, units=10**9),
        lambda: policies.min_gru(GAME, 0, units=10**9),
        lambda: policies.stacked(GAME, 0, num_observations=10**9),
        lambda: policies.stacked(GAME, 0, hidden_units=[10**9]),
        lambda: critics.gru_critic(GAME, 0, units=10**9),
        lambda: critics.min_gru_critic(GAME, 0, units=10**9),
    ):
        with pytest.raises(ValueError, match="` must be at most"):
            call()


def test_activations_initializers_and_names_are_named():
    policies = dice_tf.policies
    for call in (
        lambda value: policies.mlp(GAME, 0, activation=value),
        lambda value: policies.stacked(GAME, 0, activation=value),
        lambda value: policies.convolutional(COINS, 0, activation=value),
        lambda value: dice_tf.critics.mlp_critic(GAME, 0, activation=value),
    ):
        with pytest.raises(ValueError, match="`activation` must be a Keras"):
            call(object())
    for value in (object(), "x", lambda: None):
        with pytest.raises(ValueError, match="`initializer` must be a Keras"):
            policies.tabular(GAME, 0, initializer=value)
    for function in (
        policies.tabular,
        policies.mlp,
        policies.gru,
        policies.min_gru,
        policies.stacked,
    ):
        with pytest.raises(TypeError, match="`name` must be a string or None"):
            function(GAME, 0, name=np.array(["a", "b"]))


def test_flags_are_true_or_false(policies, objective):
    cross_play = dice_tf.evaluation.cross_play(
        GAME, {"a": policies[:1]}, {"a": policies[1:]}
    )
    entrants = {"random": dice_tf.policies.random}
    for call in (
        lambda: dice_tf.games.CoinGame(can_stay=1),
        lambda: dice_tf.learners.LOLADiCE(carry_slots="x"),
        lambda: cross_play.group_means(without_partners=None),
        lambda: dice_tf.evaluation.tournament(GAME, entrants, with_itself=1),
        lambda: dice_tf.export.export_policy(policies[0], "x", overwrite=1),
        lambda: objective.bind(tapes_inside=None),
        lambda: dice_tf.diagnostics.shaping_share(
            dice_tf.learners.Naive(), objective, 0, jit_compile=1
        ),
    ):
        with pytest.raises(
            TypeError, match="` must be True or False. Received"
        ):
            call()


def test_fresh_parameters_need_a_model_and_a_seed(policies):
    initial_params = dice_tf.policies.initial_params
    with pytest.raises(TypeError, match="`policy` must be a keras.Model. Rece"):
        initial_params(None, 0)
    for seed in (None, "x", 1.5, object()):
        with pytest.raises(TypeError, match="`seed` must be a whole number"):
            initial_params(policies[0], seed)
    with pytest.raises(ValueError, match="`seed` must be at least 0"):
        initial_params(policies[0], -1)


def test_outputs_of_heads_are_named():
    policies = dice_tf.policies
    for head in (policies.bernoulli, policies.categorical):
        with pytest.raises(ValueError, match="`outputs` must be a tensor"):
            head(None)
    with pytest.raises(ValueError, match=r"`outputs` must have shape \[..., 1"):
        policies.bernoulli(tf.ones([3, 2]))
    with pytest.raises(ValueError, match=r"`outputs` must have shape \[..., n"):
        policies.categorical(tf.ones([]))
    with pytest.raises(ValueError, match=r"`observations` must have shape \[B"):
        dice_tf.check_policy(policies.tabular(GAME, 0), 1.0)


def test_a_policy_in_a_seat_is_named(policies):
    for value in (None, "x", dict):
        with pytest.raises(
            TypeError, match=r"`policies\[0\]` must be .* `policy` of"
        ):
            dice_tf.play.Actor(GAME, value, 0)
        with pytest.raises(TypeError, match="`policy` must be a keras.Model"):
            dice_tf.check_policy(value)
        with pytest.raises(
            TypeError, match="a keras.Model, as the `policy` of"
        ):
            dice_tf.evaluation.action_probabilities(GAME, value, 0)
    with pytest.raises(TypeError, match=r"`policies\[1\]` must be a keras.Mod"):
        dice_tf.evaluation.best_response(GAME, [policies[0], None], 0)
    with pytest.raises(TypeError, match=r"`rows\['a'\]\[0\]` must be a keras"):
        dice_tf.evaluation.cross_play(GAME, {"a": [3]}, {"a": [policies[1]]})


def test_what_an_actor_reads_is_named(actors):
    weights = actors[0].model.weights()
    with pytest.raises(TypeError, match="`weights` must be what `actor.model."):
        actors[0].distribution(None, tf.eye(5))
    with pytest.raises(TypeError, match="`weights` must be what `actor.model."):
        actors[0].log_prob_table(None)
    with pytest.raises(ValueError, match="`observations` must be a tensor"):
        actors[0].distribution(weights, None)
    with pytest.raises(ValueError, match=r"`observations` must have shape \[."):
        actors[0].distribution(weights, tf.eye(4))
    with pytest.raises(TypeError, match="`state` must be a list of tensors"):
        actors[0].step(weights, tf.eye(5), None)


def test_what_is_played_is_named(actors):
    sample = dice_tf.play.sample_trajectory
    weights = [actor.model.weights() for actor in actors]
    with pytest.raises(
        TypeError, match=r"`actors\[0\]` must be a dice_tf.play"
    ):
        sample(GAME, [None, None], weights, batch_size=2, seed=(0, 1))
    with pytest.raises(TypeError, match=r"`weights\[1\]` must be what"):
        sample(GAME, actors, [weights[0], 3], batch_size=2, seed=(0, 1))
    message = r"`batch_size` must be smaller: with episode_length=3 and 2 play"
    with pytest.raises(ValueError, match=message):
        sample(GAME, actors, weights, batch_size=10**9, seed=(0, 1))
    play = sample(GAME, actors, weights, batch_size=2, seed=(0, 1))
    for function in (
        dice_tf.play.player_log_probs,
        dice_tf.play.player_entropies,
    ):
        with pytest.raises(
            TypeError, match="`actor` must be a dice_tf.play.Ac"
        ):
            function(None, weights[0], play, 0)
        with pytest.raises(TypeError, match="`weights` must be what"):
            function(actors[0], None, play, 0)
        with pytest.raises(TypeError, match="`trajectory` must be a dice_tf.p"):
            function(actors[0], weights[0], None, 0)
        with pytest.raises(ValueError, match="`player_id` must be below"):
            function(actors[0], weights[0], play, 2)


def test_batches_of_10_to_the_9_are_refused(policies):
    message = "`batch_size` must be smaller"
    with pytest.raises(ValueError, match=message):
        dice_tf.objectives.DiCEObjective(GAME, policies, batch_size=10**9)
    with pytest.raises(ValueError, match=message):
        dice_tf.evaluation.play_match(
            GAME, policies, batch_size=10**9, seed=(0, 1)
        )
    with pytest.raises(ValueError, match="`episode_length` must be smaller, o"):
        dice_tf.evaluation.best_response(
            GAME, policies, 0, episode_length=10**9
        )


LEARNERS = [
    dice_tf.learners.Naive(),
    dice_tf.learners.LOLA(),
    dice_tf.learners.LOLADiCE(1, carry_slots=True),
    dice_tf.learners.MAML(),
    dice_tf.diagnostics.MeasuredShaping(dice_tf.learners.LOLADiCE()),
    dice_tf.learners.SOS(),
    dice_tf.learners.Mixture([(1.0, dice_tf.learners.Naive())]),
    dice_tf.learners.COLA(num_steps=1),
]


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda x: type(x).__name__)
def test_what_a_learner_is_given_is_named(learner, objective):
    params = random_params(objective.policies, 0)
    state = learner.init(params)
    with pytest.raises(TypeError, match="`objective` must be a dice_tf.object"):
        learner.step(None, params, 0, None, state)
    with pytest.raises(TypeError, match="`objective` must be a dice_tf.object"):
        learner.gradient(None, params, 0)
    for value in (None, "x", [None, None]):
        with pytest.raises(TypeError, match="`params` must be one list of ten"):
            learner.step(objective, value, 0, None, state)
    with pytest.raises(ValueError, match=r"`params\[0\]\[0\]` must be a tens"):
        learner.step(objective, [[None], params[1]], 0, None, state)
    with pytest.raises(ValueError, match="`player_id` must be below"):
        learner.step(objective, params, 2, None, state)


@pytest.mark.parametrize("learner", LEARNERS[2::2])
def test_the_state_of_a_learner_is_named(learner, objective):
    params = random_params(objective.policies, 0)
    for value in (None, (), "x", 3):
        with pytest.raises(TypeError, match="`state` must be what `init` or a"):
            learner.step(objective, params, 0, None, value)


def test_what_rates_are_given_is_named():
    rates = dice_tf.learners.FittedRates(1.0)
    params = [[tf.ones([2])], [tf.ones([3])]]
    state = rates.init(params)
    assert isinstance(state, FittedState)
    for call in (
        lambda: rates.observe(None, params),
        lambda: rates.values(None, 2),
        lambda: rates.remember(None, params, {}),
    ):
        with pytest.raises(TypeError, match="`state` must be what `init` or a"):
            call()
    with pytest.raises(ValueError, match="`num_players` must be that of the s"):
        rates.values(state, 3)
    with pytest.raises(TypeError, match="`gradients` must be a dictionary by"):
        rates.remember(state, params, [])
    with pytest.raises(TypeError, match="`rates` must be a number. Received"):
        dice_tf.learners.FixedRates("x")
    with pytest.raises(TypeError, match="`initial` must be a number. Received"):
        dice_tf.learners.FittedRates([None])
    with pytest.raises(ValueError, match="`num_players` must be at most"):
        dice_tf.learners.FixedRates(1.0).values((), 10**9)
    with pytest.raises(TypeError, match="`seeds` must be a list of seeds"):
        dice_tf.learners.LOLADiCE().look_ahead(
            dice_tf.objectives.FunctionObjective([len, len]), params, 0, None
        )


@pytest.mark.parametrize(
    "optimizer",
    [
        dice_tf.inner_optimizers.SGD(0.5),
        dice_tf.inner_optimizers.Adam(),
        dice_tf.inner_optimizers.ClipByGlobalNorm(1.0),
    ],
)
def test_what_an_inner_optimizer_is_given_is_named(optimizer):
    params = [tf.ones([2])]
    slots = optimizer.init(params)
    for value in (None, 3, tf.ones([2])):
        with pytest.raises(TypeError, match="`params` must be a list of tenso"):
            optimizer.step(value, params, slots, 0.1)
        with pytest.raises(TypeError, match="`gradients` must be a list of te"):
            optimizer.step(params, value, slots, 0.1)
    with pytest.raises(ValueError, match="`gradients` must hold one tensor fo"):
        optimizer.step(params, [], slots, 0.1)
    with pytest.raises(ValueError, match=r"`gradients\[0\]` must have the sha"):
        optimizer.step(params, [tf.ones([3])], slots, 0.1)
    with pytest.raises(TypeError, match="`slots` must be what `init` or a ste"):
        optimizer.step(params, params, None, 0.1)
    for value in (None, "x", [0.1, 0.2], tf.ones([2]), dict):
        with pytest.raises(ValueError, match="`learning_rate` must be a numbe"):
            optimizer.step(params, params, slots, value)


ESTIMATORS = dice_tf.estimators


@pytest.mark.parametrize(
    "function",
    [
        ESTIMATORS.discount_weights,
        ESTIMATORS.discounted_rewards,
        ESTIMATORS.mean_return,
        ESTIMATORS.returns_to_go,
    ],
)
def test_rewards_and_discounts_are_named(function):
    for value in (None, object(), "x"):
        with pytest.raises((TypeError, ValueError), match="`rewards` must be"):
            function(value, 0.9)
        with pytest.raises((TypeError, ValueError), match="`discount` must be"):
            function(STEPS, value)
    # What is not a tensor yet is read as one.
    assert np.allclose(
        function([[1.0], [1.0]], 0.5), function(STEPS[:2, :1], 0.5)
    )


@pytest.mark.parametrize(
    "function",
    [
        dice_tf.dice_objective,
        ESTIMATORS.surrogate_objective,
        ESTIMATORS.loaded_dice_objective,
        ESTIMATORS.first_order_baseline_objective,
    ],
)
def test_arguments_of_estimators_are_named(function):
    valid = {
        "log_probs": -STEPS,
        "rewards": STEPS,
        "discount": 0.9,
        "baseline": STEPS,
    }
    for name in valid:
        for value in (object(), {}, [[1.0], [1.0, 2.0]]):
            with pytest.raises(ValueError, match=f"`{name}` must be"):
                function(**valid | {name: value})


def test_values_of_steps_are_named():
    for function in (
        ESTIMATORS.generalized_advantages,
        ESTIMATORS.lambda_returns,
    ):
        with pytest.raises(ValueError, match="`values` must be a tensor"):
            function(STEPS, None, discount=0.9)
        with pytest.raises(ValueError, match="`final_values` must be a tensor"):
            function(STEPS, STEPS, discount=0.9, final_values=object())
        with pytest.raises(ValueError, match="`final_values` must have the sh"):
            function(STEPS, STEPS, discount=0.9, final_values=tf.ones([3]))
        with pytest.raises(ValueError, match="`discount` must have the shape"):
            function(STEPS, STEPS, discount=tf.ones([3, 3]))
    with pytest.raises(ValueError, match="`x` must be a tensor. Received: x="):
        dice_tf.magic_box(None)
    with pytest.raises(ValueError, match="`discounts` must be a tensor"):
        ESTIMATORS.running_steps(None)
    with pytest.raises(ValueError, match="`baseline` must be a function of d"):
        dice_tf.dice_objective(
            STEPS, STEPS, discount=0.9, baseline=lambda: None
        )


def test_parts_of_a_graph_are_named():
    graph = dice_tf.StochasticComputationGraph
    for name in ("nodes", "costs", "baselines"):
        parts = {"nodes": {"z": 1.0}, "costs": {"c": lambda z: z}}
        with pytest.raises(TypeError, match=f"`{name}` must be a mapping from"):
            graph(**parts | {name: [1]})
        with pytest.raises(TypeError, match=f"`{name}` must have strings as"):
            graph(**parts | {name: {1: 1.0}})
    with pytest.raises(ValueError, match="`nodes` must hold a distribution"):
        graph({}, {"c": lambda: 1.0})
    with pytest.raises(TypeError, match="`reparameterized` must be a list of"):
        graph({"z": 1.0}, {"c": lambda z: z}, reparameterized=3)
    made = graph({"z": 1.0}, {"c": lambda z: z})
    with pytest.raises(TypeError, match="`sample_shape` must be a whole numbe"):
        made.sample(None, (0, 1))
    with pytest.raises(ValueError, match="`sample_shape` must be at most"):
        made.sample(10**9, (0, 1))
    with pytest.raises(TypeError, match="`samples` must be a mapping by name"):
        made.objective(None)


def test_tables_and_labels_of_a_picture_are_named():
    figure = dice_tf.evaluation.policy_figure
    tables = [np.full([2, 5, 2], 0.5)] * 2
    for value in (None, 3, np.ones([2, 5, 2])):
        with pytest.raises(TypeError, match="`tables` must be a list of one a"):
            figure(value)
    with pytest.raises(ValueError, match="`tables` must hold one array per pl"):
        figure([])
    for value in (np.ones([2, 5]), np.ones([3, 5, 2]), np.ones([2, 5, 0])):
        with pytest.raises(ValueError, match=r"`tables\[1\]` must have shape"):
            figure([tables[0], value])
    for name in ("run_labels", "player_labels", "state_labels"):
        with pytest.raises(TypeError, match=f"`{name}` must be a list of stri"):
            figure(tables, **{name: 3})
        with pytest.raises(ValueError, match=f"`{name}` must hold 2 entries"):
            figure(tables, **{name: ["a"]})
    with pytest.raises(TypeError, match="`player_labels` must be a list of s"):
        figure(tables, player_labels=[None, None])
    for name in ("run_title", "state_title", "shown", "title"):
        with pytest.raises(TypeError, match=f"`{name}` must be a string"):
            figure(tables, **{name: 3})


def test_payoffs_and_results_are_named():
    evaluation = dice_tf.evaluation
    cooperation, payoffs = [0.9, 0.1, 0.8, 0.2, 0.7], [-1.0, -3.0, 0.0, -2.0]
    with pytest.raises(
        ValueError, match="`cooperation` must be an array of nu"
    ):
        evaluation.zero_determinant_fit(object(), payoffs, payoffs)
    with pytest.raises(ValueError, match="`own_payoffs` must be an array of n"):
        evaluation.zero_determinant_fit(cooperation, ["a"], payoffs)
    with pytest.raises(ValueError, match="`weights` must be an array of numbe"):
        evaluation.strategy_distances(cooperation, weights="x")
    for value in ((1.0,), (1.0, math.nan)):
        with pytest.raises(
            ValueError, match="`baselines` must be two finite n"
        ):
            evaluation.extortion_fit(
                cooperation, payoffs, payoffs, baselines=value
            )
    for function in (evaluation.tournament_csv, evaluation.tournament_table):
        with pytest.raises(TypeError, match="`result` must be a dice_tf.evalu"):
            function(None)


def test_what_statistics_are_taken_of_is_named(objective):
    statistics = dice_tf.diagnostics.derivative_statistics
    with pytest.raises(TypeError, match="`orders` must be a list of whole num"):
        statistics(objective, 0, orders=1)
    with pytest.raises(ValueError, match="`orders` must not be empty"):
        statistics(objective, 0, orders=[])
    with pytest.raises(ValueError, match="`num_repetitions` must be at most"):
        statistics(objective, 0, num_repetitions=10**9)
    with pytest.raises(TypeError, match="`exact_objective` must be a dice_tf."):
        statistics(objective, 0, exact_objective=3)
    with pytest.raises(ValueError, match="`direction` must be one list of arr"):
        statistics(objective, 0, direction=[[1.0], [2.0]])


def test_what_an_objective_is_called_with_is_named(objective):
    params = objective.initial_params()
    for value in (None, 3, [None, None]):
        for call in (
            lambda value: objective(value),
            lambda value: objective.play(value, None),
            lambda value: objective.player_weights(value),
            lambda value: objective.divergences(value, params),
        ):
            with pytest.raises(TypeError, match=r"`params(\[0\])?` must be a"):
                call(value)
        with pytest.raises(
            TypeError, match=r"`other_params(\[0\])?` must be a"
        ):
            objective.divergences(params, value)
    for state in ((), "x", 3):
        with pytest.raises(TypeError, match="`state` must be what `initial_st"):
            objective(params, None, state)
    with pytest.raises(TypeError, match="`play` must be what `play` returned"):
        objective.critic_losses(params, None)
    with pytest.raises(TypeError, match="`function` must be a function of a t"):
        objective.average(None)
    with pytest.raises(TypeError, match=r"`objectives\[0\]` must be a dice_tf"):
        dice_tf.objectives.FiniteTasks([None])


def test_arguments_of_games_are_named():
    games = dice_tf.games
    tables = {
        "rewards": np.zeros([1, 2, 1]),
        "transitions": np.full([2, 1, 2], 0.5),
        "initial": [0.5, 0.5],
    }
    for name in tables:
        with pytest.raises(ValueError, match=f"`{name}` must be an array of n"):
            games.FiniteGame(**tables | {name: object()}, episode_length=2)
    with pytest.raises(TypeError, match="`observations` must be a list with"):
        games.FiniteGame(**tables, episode_length=2, observations=3)
    with pytest.raises(ValueError, match="`goal` must be a tensor of dtype fl"):
        games.PointNavigation(None)
    for call in (
        lambda: games.CoinGame(grid_size=10**9),
        lambda: games.RepeatedCournot(num_players=10**9),
        lambda: games.iterated_public_goods(num_players=10**9),
        lambda: games.PointNavigation.sample_goals((0, 1), 10**9),
        lambda: games.CoinGame(10**20),
    ):
        with pytest.raises(ValueError, match="` must be at most"):
            call()
    state = tf.zeros([2], tf.int32)
    for call in (
        lambda: GAME.step(None, (state, state), (0, 1)),
        lambda: GAME.next_state(tf.zeros([2]), state, None),
        lambda: GAME.reward(object(), state, 0),
    ):
        with pytest.raises(
            (TypeError, ValueError), match="`state` must be a t"
        ):
            call()
    with pytest.raises(TypeError, match="`joint` must be a tensor of whole nu"):
        GAME.split_joint_action(tf.zeros([2]))
    with pytest.raises(TypeError, match="`actions` must be a list with one en"):
        GAME.joint_action(None)
    with pytest.raises(TypeError, match="`state` must be a dice_tf.games.Coin"):
        COINS.step(None, (state, state), (0, 1))
    with pytest.raises(ValueError, match=r"`observations` must have shape \[."):
        COINS.state_of(tf.zeros([2]))
    for game in (COINS, dice_tf.games.TabularCoinGame(3)):
        with pytest.raises(TypeError, match="`trajectory` must be a dice_tf.p"):
            game.statistics(None)
    with pytest.raises(TypeError, match="`make_environment` must be a functio"):
        dice_tf.bridges.PythonGame(None, 3)


def test_arguments_of_a_trainer_are_named(objective):
    learners = [dice_tf.learners.Naive(), None]
    with pytest.raises(ValueError, match="`num_seeds` must be at most"):
        dice_tf.Trainer(objective, learners, num_seeds=10**9)
    with pytest.raises(TypeError, match="`name` must be a string or None"):
        dice_tf.Trainer(objective, learners, name=3)
    with pytest.raises(TypeError, match="`initial_params` must be a list of r"):
        dice_tf.Trainer(objective, learners, initial_params=1.0)
    trainer = dice_tf.Trainer(objective, learners)
    with pytest.raises(TypeError, match="`snapshot` must be of `take_snapshot"):
        trainer.put_back(None)
    for name in ("folder", "log_dir"):
        with pytest.raises(TypeError, match=f"`{name}` must be a string or a"):
            dice_tf.callbacks.PolicyPictures(**{name: 3})
    with pytest.raises(TypeError, match="`path` must be a string or path"):
        dice_tf.callbacks.Checkpoint(None)
    with pytest.raises(ValueError, match="`optimizer` must be the name of a K"):
        trainer.compile("")
    with pytest.raises(TypeError, match="`player_id` must be a whole number"):
        trainer.optimizer_of(None)
    with pytest.raises(TypeError, match="`function` must be a function of th"):
        trainer.map_loaded_runs(None)
    with pytest.raises(ValueError, match="`num_runs` must be at most 1"):
        trainer.map_loaded_runs(print, num_runs=2)
    with pytest.raises(TypeError, match="`axis` must be a whole number"):
        dice_tf.layers.SafeLayerNormalization(axis=None)
