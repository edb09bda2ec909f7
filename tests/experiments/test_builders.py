"""From settings to objects of the library."""

import pathlib
import zipfile
from collections.abc import Iterator

import keras
import numpy as np
import pytest

import dice_tf
from experiments.building import builders
from experiments.settings import line_up, matrix_games
from tests.experiments.parsed_flags import settings_of
from tests.hostile_files import hostile_policy


@pytest.mark.parametrize("name", matrix_games.NAMED_GAMES)
def test_every_named_game_is_built(name: str) -> None:
    settings = settings_of(f"--game={name}", "--episode_length=7")
    game = builders.build_game(settings)
    assert game.episode_length == 7
    is_dilemma = name == matrix_games.PRISONERS_DILEMMA
    assert builders.is_prisoners_dilemma(game) == is_dilemma


def test_the_prisoners_dilemma_is_known_by_its_payoffs() -> None:
    settings = settings_of("--payoffs=[[[-1,-3],[0,-2]],[[-1,0],[-3,-2]]]")
    assert builders.is_prisoners_dilemma(builders.build_game(settings))


@pytest.mark.parametrize("name", line_up.OPPONENTS)
def test_every_opponent_is_built_and_stands_still(name: str) -> None:
    settings = settings_of(f"--learner=naive,{name}")
    game = builders.build_game(settings)
    policy = builders.build_policy(settings, game, 1)
    assert policy.trainable_variables == []
    assert builders.build_learner(settings, None, 1) is None
    assert builders.build_optimizer(settings, 1) is None


def test_an_exported_policy_is_an_opponent(tmp_path) -> None:
    settings = settings_of()
    game = builders.build_game(settings)
    policy = builders.build_policy(settings, game, 0)
    path = tmp_path / "player_0"
    dice_tf.export.export_policy(policy, path)
    settings = settings_of(f"--learner=naive,{path}")
    opponent = builders.build_policy(settings, game, 1)
    logits = np.asarray(opponent(np.eye(5, dtype=np.float32)))
    odds = logits[:, :1] - logits[:, 1:]
    np.testing.assert_allclose(
        odds, policy(np.eye(5, dtype=np.float32)), atol=1e-5
    )


def test_learners_and_their_settings() -> None:
    settings = settings_of(
        "--learner=lola_dice,naive",
        "--num_lookaheads=3",
        "--inner_learning_rate=0.7",
    )
    learner = builders.build_learner(settings, None, 0)
    assert isinstance(learner, dice_tf.learners.LOLADiCE)
    assert learner.num_lookaheads == 3
    assert learner.inner_learning_rate == 0.7
    assert isinstance(
        builders.build_learner(settings, None, 1), dice_tf.learners.Naive
    )


def test_a_mixture_holds_the_naive_direction() -> None:
    settings = settings_of(
        "--learner=lola_dice",
        "--num_lookaheads=3",
        "--look_ahead_weight=0.75,1",
    )
    names = "lola_dice_3_lookaheads_mixed_0.75_vs_lola_dice_3_lookaheads"
    assert settings.method == names
    mixture = builders.build_learner(settings, None, 0)
    assert isinstance(mixture, dice_tf.learners.Mixture)
    look_ahead, naive = mixture.learners
    assert look_ahead.num_lookaheads == 3 and mixture.weights == (0.75, 0.25)
    assert isinstance(naive, dice_tf.learners.Naive)
    alone = builders.build_learner(settings, None, 1)
    assert isinstance(alone, dice_tf.learners.LOLADiCE)


@pytest.mark.parametrize("policy", ["tabular", "mlp", "gru", "min_gru"])
def test_loqa_has_critics_of_actions(policy: str) -> None:
    """All seats, and targets of slow copies; other learners have neither."""
    settings = settings_of(
        "--learner=loqa,advantage_alignment",
        f"--policy={policy}",
        "--step_space=parameters",
    )
    game = builders.build_game(settings)
    policies = [builders.build_policy(settings, game, i) for i in range(2)]
    objective = builders.build_objective(settings, game, policies)
    assert [critic.num_actions for critic in objective.critics] == [2, 2]
    assert objective.critic_td_lambda == 0.0
    assert objective.critic_target_momentum == 0.99
    found = [builders.build_learner(settings, game, i) for i in range(2)]
    assert isinstance(found[0], dice_tf.learners.LOQA)
    assert isinstance(found[1], dice_tf.learners.AdvantageAlignment)
    rate = 75.0 if policy == "tabular" else 50.0
    assert settings.learning_rate[0] == rate
    settings = settings_of("--learner=actor_critic", "--baseline=critic")
    objective = builders.build_objective(settings, game, policies)
    assert [critic.num_actions for critic in objective.critics] == [None] * 2
    assert objective.critic_target_momentum == 0.0


def test_loqa_without_critics_is_refused() -> None:
    with pytest.raises(ValueError, match="loqa needs critics of action values"):
        settings_of("--learner=loqa,naive", "--baseline=leave_one_out")


def test_networks_step_in_the_space_of_outputs_unless_told_otherwise() -> None:
    settings = settings_of(
        "--policy=mlp,tabular", "--learner=lola_dice_opponent_model,naive"
    )
    game = builders.build_game(settings)
    modelling = builders.build_learner(settings, game, 0)
    assert isinstance(modelling.learner, dice_tf.learners.OutputSpace)
    assert isinstance(modelling.learner.learner, dice_tf.learners.LOLADiCE)
    naive = builders.build_learner(settings, game, 1)
    assert isinstance(naive, dice_tf.learners.Naive)
    settings = settings_of("--policy=mlp", "--step_space=parameters,outputs")
    found = [builders.build_learner(settings, game, i) for i in range(2)]
    assert isinstance(found[0], dice_tf.learners.LOLADiCE)
    assert isinstance(found[1], dice_tf.learners.OutputSpace)


@pytest.mark.parametrize("policy", ["tabular", "mlp"])
def test_pola_moves_all_the_way(policy: str) -> None:
    settings = settings_of(
        "--learner=pola,naive",
        f"--policy={policy}",
        "--inner_learning_rate=0.7",
    )
    learner = builders.build_learner(settings, None, 0)
    assert isinstance(learner, dice_tf.learners.POLA)
    assert learner.inner_learning_rate == 0.7
    assert learner.outer_learning_rate == (1.0 if policy == "tabular" else 0.02)
    optimizer = builders.build_optimizer(settings, 0)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert float(optimizer.learning_rate) == 1.0


def test_opponents_are_modelled_as_what_they_are_or_by_a_table() -> None:
    settings = settings_of(
        "--learner=lola_dice_opponent_model,naive", "--policy=tabular,mlp"
    )
    game = builders.build_game(settings)
    learner = builders.build_learner(settings, game, 0)
    assert isinstance(learner, dice_tf.opponent_models.OpponentModelling)
    assert isinstance(learner.learner, dice_tf.learners.LOLADiCE)
    assert learner.models[0] is None
    assert len(learner.models[1].trainable_variables) > 1
    settings = settings_of("--learner=tit_for_tat,lola_dice_opponent_model")
    learner = builders.build_learner(settings, game, 1)
    assert [
        tuple(variable.shape) for variable in learner.models[0].variables
    ] == [(5, 1)]


@pytest.mark.parametrize("policy", ["tabular", "mlp", "gru"])
@pytest.mark.parametrize("name", line_up.LEARNERS)
def test_the_seed_alone_says_what_training_starts_from(
    name: str, policy: str
) -> None:
    flags = f"--learner={name}", f"--policy={policy}", "--hidden_units=3"
    try:
        settings = settings_of(*flags, "--num_seeds=2", "--episode_length=4")
    except ValueError:
        pytest.skip("the policy is not for this learner")

    def start(seed: int) -> list[np.ndarray]:
        # Models of opponents may start from what Keras draws.
        keras.utils.set_random_seed(seed)
        trainer = builders.build_trainer(settings)
        return [np.asarray(variable) for variable in trainer.variables]

    for first, second in zip(start(1), start(2), strict=True):
        np.testing.assert_array_equal(first, second)


def test_policies_and_critics_with_memory_are_of_one_kind() -> None:
    settings = settings_of("--policy=min_gru,lstm", "--baseline=critic")
    game = builders.build_game(settings)
    for build, names in (
        (builders.build_policy, ("min_gru_policy_0", "lstm_policy_1")),
        (builders.build_critic, ("min_gru_critic_0", "gru_critic_1")),
    ):
        for player_id, name in enumerate(names):
            model = build(settings, game, player_id)
            assert model.name == name
            assert len(model.inputs) > 1
    assert settings.hidden_units == (None, None)


def test_policies_have_the_hidden_units_of_their_seat() -> None:
    settings = settings_of("--policy=mlp,tabular", "--hidden_units=3x4")
    game = builders.build_game(settings)
    shapes = [
        [tuple(variable.shape) for variable in model.trainable_variables]
        for model in (
            builders.build_policy(settings, game, 0),
            builders.build_policy(settings, game, 1),
            builders.build_critic(settings, game, 0),
        )
    ]
    assert shapes[0] == [(5, 3), (3,), (3, 4), (4,), (4, 1), (1,)]
    assert shapes[1] == [(5, 1)]
    assert shapes[2] == shapes[0]


@pytest.mark.parametrize(
    ("name", "std"), [("uniform", 3**-0.5), ("nearly_even", 0.3 * 3**-0.5)]
)
def test_tables_start_from_what_is_asked_for(name: str, std: float) -> None:
    settings = settings_of(f"--initial_logits={name}", "--game=public_goods")
    game = builders.build_game(settings)
    logits = np.concatenate(
        [
            dice_tf.policies.initial_params(
                builders.build_policy(settings, game, 0), seed
            )[0].ravel()
            for seed in range(10)
        ]
    )
    # Of 90 draws; the standard error of their mean square is 0.894 / 90**0.5
    # times its expectation.
    ratio = np.mean(logits**2) / std**2
    assert abs(ratio - 1.0) < 3.0 * 0.894 / 90**0.5
    assert np.abs(logits).max() <= std * 3**0.5


def test_a_keras_model_of_the_users_own_is_a_policy(tmp_path) -> None:
    inputs = keras.Input([5])
    hidden = keras.layers.Dense(3, activation="silu")(inputs)
    path = tmp_path / "own.keras"
    keras.Model(inputs, keras.layers.Dense(2)(hidden)).save(path)
    trainer = builders.build_trainer(settings_of(f"--policy={path}"))
    for policy in trainer.objective.policies:
        shapes = [tuple(v.shape) for v in policy.trainable_variables]
        assert shapes == [(5, 3), (3,), (3, 2), (2,)]
    first, second = trainer.objective.policies
    assert np.any(first.get_weights()[0] != second.get_weights()[0])


@pytest.fixture
def safe_again():
    """Ends what --trust_policy_files allows in this process."""
    yield
    keras.utils.clear_session()


def _table_on(first: keras.Model, path) -> str:
    """Writes a policy that learns a table on another policy's outputs."""
    outputs = keras.layers.Dense(1)(first.outputs[0])
    keras.Model(first.inputs, outputs).save(path)
    return f"--policy={path}"


def test_a_file_that_names_a_program_needs_to_be_trusted(
    tmp_path, safe_again
) -> None:
    policy, mark = hostile_policy(tmp_path)
    flag = _table_on(policy, tmp_path / "policy.keras")
    message = r"--policy=.*hostile', which is a program.*--trust_policy_files"
    with pytest.raises(ValueError, match=message):
        builders.build_trainer(settings_of(flag))
    assert not mark.exists()
    builders.build_trainer(settings_of(flag, "--trust_policy_files"))
    assert mark.exists()


def test_a_file_that_holds_code_needs_to_be_trusted(
    tmp_path, safe_again
) -> None:
    inputs = keras.Input([5])
    outputs = keras.layers.Lambda(lambda x: -x, output_shape=(5,))(inputs)
    flag = _table_on(keras.Model(inputs, outputs), tmp_path / "policy.keras")
    with pytest.raises(ValueError, match="--trust_policy_files"):
        builders.build_trainer(settings_of(flag))
    builders.build_trainer(settings_of(flag, "--trust_policy_files"))


def test_a_damaged_file_is_not_a_matter_of_trust(tmp_path) -> None:
    path = tmp_path / "policy.keras"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(
        ValueError, match="--policy=.* cannot be loaded"
    ) as info:
        builders.build_trainer(settings_of(f"--policy={path}"))
    assert "trust" not in str(info.value)


def _damaged_policies(path: pathlib.Path) -> Iterator[bytes]:
    keras.Sequential([keras.Input([5]), keras.layers.Dense(2)]).save(path)
    content = path.read_bytes()
    yield content[: len(content) // 2]
    yield content[:-30]
    # The archive is whole, and lacks its configuration.
    yield content.replace(b"config.json", b"konfig.json")
    # A stored weight is another one than its checksum says.
    yield content.replace(b"HDF", b"XDF")
    yield content.replace(b"Dense", b"Dents")


def test_a_damaged_policy_is_refused(tmp_path) -> None:
    path = tmp_path / "own.keras"
    for content in _damaged_policies(path):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="--policy=.* cannot be loaded: "):
            builders.load_policy(str(path))


def test_a_policy_that_cannot_be_read_names_its_keras(tmp_path) -> None:
    path = tmp_path / "policy.keras"
    keras.Sequential([keras.Input([5]), keras.layers.Dense(2)]).save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["metadata.json"] = b'{"keras_version": "9.8.7"}'
    members["config.json"] = b"{}"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"written by Keras 9\.8\.7, and this"):
        builders.load_policy(str(path))


@pytest.mark.parametrize("baseline", ["none", "leave_one_out", "critic"])
def test_every_baseline_is_built(baseline: str) -> None:
    settings = settings_of(
        f"--baseline={baseline}", "--learner=naive,tit_for_tat"
    )
    objective = builders.build_trainer(settings).objective
    assert objective.batch_size == 64
    assert len(objective.critics) == (2 if baseline == "critic" else 0)


@pytest.mark.parametrize("name", ["sgd", "adam", "rmsprop", "adagrad", "nadam"])
def test_every_optimizer_is_built(name: str) -> None:
    settings = settings_of(f"--optimizer={name}", "--learning_rate=0.25")
    optimizer = builders.build_optimizer(settings, 0)
    assert type(optimizer).__name__.lower() == name
    assert float(optimizer.learning_rate) == 0.25


def test_momentum_is_passed_on() -> None:
    settings = settings_of("--optimizer=sgd", "--momentum=0.9,0")
    assert builders.build_optimizer(settings, 0).momentum == 0.9
    assert builders.build_optimizer(settings, 1).momentum == 0


def test_the_last_update_has_the_final_learning_rate() -> None:
    settings = settings_of(
        "--learning_rate=0.5", "--final_learning_rate=0.1", "--num_iterations=5"
    )
    schedule = builders.build_optimizer(settings, 0)._learning_rate
    assert isinstance(schedule, keras.optimizers.schedules.PolynomialDecay)
    rates = [float(schedule(iteration)) for iteration in range(5)]
    np.testing.assert_allclose(rates, [0.5, 0.4, 0.3, 0.2, 0.1], rtol=1e-5)


def test_an_opponent_that_cannot_play_the_game_is_refused() -> None:
    settings = settings_of(
        "--payoffs=[[[1,2,3],[3,2,1]],[[1,2,3],[3,2,1]]]",
        "--learner=naive,tit_for_tat",
    )
    with pytest.raises(ValueError, match="tit_for_tat needs an iterated game"):
        builders.build_trainer(settings)
