"""The negotiation experiment, at a tiny size."""

import functools
import json
import pathlib

import matplotlib.figure
import numpy as np
import pytest
import tensorflow as tf

import dice_tf
from experiments import negotiation
from experiments.building import trainings
from experiments.negotiations import (
    negotiation_plot,
    negotiation_settings,
    negotiation_training,
)
from experiments.results.outputs import OutputFolder
from tests.experiments.commands import read_curves
from tests.experiments.kills import Killed, calls_of, kill_at
from tests.experiments.parsed_flags import parsed_flags, run_command

pytestmark = pytest.mark.own_process

TINY = negotiation_settings.NegotiationSettings(
    learner="advantage_alignment",
    weight=3.0,
    past="averaged",
    num_seeds=2,
    seed=3,
    num_iterations=3,
    batch_size=4,
    episode_length=5,
    discount=0.96,
    tau=0.95,
    hidden_units=4,
    learning_rate=0.01,
    critic_learning_rate=0.01,
    entropy_coefficient=0.01,
    max_gradient_norm=1.0,
)
FILES = {
    "config.json",
    "curves.csv",
    "curves.png",
    "episode.png",
    "summary.json",
}


@pytest.fixture(autouse=True)
def _without_xla(monkeypatch) -> None:
    # It would take most of the time.
    build = functools.partial(
        negotiation_training.build_trainer, jit_compile=False
    )
    monkeypatch.setattr(negotiation_training, "build_trainer", build)
    monkeypatch.setattr(negotiation_training, "_NUM_EPISODES", 64)


def _names(folder: pathlib.Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_run_writes_its_files(tmp_path, capsys) -> None:
    out = tmp_path / "out"
    negotiation.run(TINY, OutputFolder(out))
    assert _names(out) == FILES
    curves = read_curves(out / "curves.csv")["advantage_alignment"]
    assert curves.shape == (3, 2, 2)
    summary = json.loads((out / "summary.json").read_text())
    entry = summary["advantage_alignment"]
    np.testing.assert_allclose(
        entry["final_joint_return_per_run"], curves.mean((0, 2)), rtol=1e-5
    )
    printed = capsys.readouterr().out
    for name in (
        "final_mean_reward_per_run",
        "between_runs",
        "against_always_cooperate",
        "against_always_maximal",
    ):
        assert len(entry[name]) == 2
        assert all(0.0 < reward < 0.6 for reward in entry[name])
        assert name in printed


def test_the_bots_earn_what_the_game_promises() -> None:
    game = dice_tf.games.Negotiation()
    bots = [negotiation_training.bot(game, kind) for kind in (True, False)]
    for bot, reward in zip(bots, (0.5, 0.3), strict=True):
        play = negotiation_training._player(game, [bot, bot])
        episode = play([[], []], tf.constant([1, 2]))
        assert np.mean(episode.rewards) == pytest.approx(reward, abs=0.02)
        less, more = negotiation_training._mean_proposals(game, episode)
        assert less == pytest.approx(0.0 if reward == 0.5 else 5.0, abs=0.01)
        assert more == pytest.approx(5.0, abs=0.01)


def test_matches_are_those_of_each_runs_policy(monkeypatch) -> None:
    """Linear policies that want everything, or what they value more."""
    network = negotiation_training.network
    monkeypatch.setattr(
        negotiation_training,
        "network",
        lambda game, _, num_outputs: network(game, (), num_outputs),
    )
    trainer = negotiation_training.build_trainer(TINY)
    bots = [
        negotiation_training.bot(trainer.objective.game, kind)
        for kind in (True, False)
    ]
    policy = trainer.objective.policies[0]
    for run, bot in enumerate(bots):
        trainer.load_run(run)
        kernel, bias = bot.get_weights()
        # A network sees observations at 4 times the scale, from -1 on, and
        # puts out log-odds, before those of the noise.
        kernel, bias = kernel / 4.0, bias - 2.5 + kernel.sum(0) / 4.0
        zeros = np.zeros_like(kernel)
        policy.set_weights(
            [
                20.0 * np.concatenate([kernel, zeros], 1),
                np.concatenate([20.0 * bias, np.full(3, -20.0)]),
            ]
        )
        trainer.synchronize()
    matches = negotiation_training.play_matches(trainer, TINY)
    # The least noise costs a little.
    for found, expected in (
        (matches.self_play, [0.5, 0.3]),
        (matches.between_runs, [0.25, 0.55]),
        (matches.against_always_cooperate, [0.5, 0.55]),
        (matches.against_always_maximal, [0.25, 0.3]),
    ):
        np.testing.assert_allclose(found, expected, atol=0.03)
    np.testing.assert_allclose(matches.proposals, [[0, 5], [5, 5]], atol=0.3)


def test_a_single_run_has_no_other_runs() -> None:
    settings = TINY._replace(num_seeds=1)
    trainer = negotiation_training.build_trainer(settings)
    matches = negotiation_training.play_matches(trainer, settings)
    assert np.isnan(matches.between_runs).tolist() == [True]


def test_an_episode_that_earns_one_a_round_has_the_return_of_ones() -> None:
    returns = sum(0.04 * 0.96**t for t in range(5))
    assert negotiation_training.return_of_ones(TINY) == pytest.approx(returns)
    undiscounted = TINY._replace(discount=1.0)
    assert negotiation_training.return_of_ones(undiscounted) == 1.0


def test_a_killed_run_is_resumed_and_ends_as_if_it_had_not_been(
    tmp_path, monkeypatch
) -> None:
    """While it trains, and while it writes results."""

    def run(name: str, settings=TINY) -> None:
        folder = OutputFolder(tmp_path / name, resume=True)
        negotiation.run(settings, folder)

    run("peaceful")
    for owner, name, call in (
        (dice_tf.callbacks.Checkpoint, "save", 2),
        (OutputFolder, "collect", 1),
    ):
        with monkeypatch.context() as patch:
            kill_at(patch, owner, name, call)
            with pytest.raises(Killed):
                run("killed")
    with pytest.raises(SystemExit, match="`configuration.discount` is 0.96"):
        run("killed", TINY._replace(discount=0.5))
    steps = calls_of(monkeypatch, dice_tf.Trainer, "train_step")
    run("killed")
    assert steps == []
    assert _names(tmp_path / "killed") == FILES
    for name in ("curves.csv", "episode.png"):
        found, expected = (
            (tmp_path / kind / name).read_bytes()
            for kind in ("killed", "peaceful")
        )
        assert found == expected


def test_a_run_that_is_asked_to_stop_leaves_a_checkpoint(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(trainings, "stop_requested", lambda: True)
    folder = OutputFolder(tmp_path, checkpoint_every=1e6)
    with pytest.raises(KeyboardInterrupt):
        negotiation.run(TINY, folder)
    assert folder.checkpoint_path("trainer").exists()


def test_learners_and_their_settings() -> None:
    learner = negotiation_training.build_learner(TINY)
    assert isinstance(learner, dice_tf.learners.AdvantageAlignment)
    assert (learner.weight, learner.past) == (3.0, "averaged")
    selfish = negotiation_training.build_learner(
        TINY._replace(learner="actor_critic")
    )
    assert isinstance(selfish, dice_tf.learners.ActorCritic)


def test_the_picture_tells_items_that_are_valued_more(
    tmp_path, monkeypatch
) -> None:
    game = dice_tf.games.Negotiation(4)
    bot = negotiation_training.bot(game, is_cooperative=True)
    play = negotiation_training._player(game, [bot, bot])
    episode = play([[], []], tf.constant([1, 2]))
    figures = []
    monkeypatch.setattr(
        matplotlib.figure.Figure,
        "savefig",
        lambda figure, *_, **__: figures.append(figure),
    )
    negotiation_plot.plot_episode(tmp_path / "episode.png", game, episode, 9)
    *items, rewards = figures[0].axes
    assert len(items) == game.num_items
    for axes in items:
        # Four rounds of each player, who wants what it values: filled bars.
        assert len(axes.patches) == 2 * 4
        for bar in axes.patches:
            is_filled = bar.get_facecolor()[3] > 0.0
            assert bar.get_height() == pytest.approx(5.0 * is_filled, abs=0.02)
    (legend,) = figures[0].legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "player 0, of what it values more",
        "player 0, of what it values less",
        "player 1, of what it values more",
        "player 1, of what it values less",
    ]


def test_flags_become_settings() -> None:
    command = negotiation.COMMAND
    arguments = ("--hidden_units=8", "--max_gradient_norm=none")
    with parsed_flags(*arguments, command=command) as values:
        settings = command.resolve(values)
    assert (settings.hidden_units, settings.max_gradient_norm) == (8, None)
    assert settings.learner == "advantage_alignment"
    assert settings.num_seeds == 4


def test_flags_without_a_use_are_refused() -> None:
    command = negotiation.COMMAND
    with parsed_flags("--learner=actor_critic", command=command) as values:
        settings = command.resolve(values)
    assert (settings.weight, settings.past) == (None, None)
    for argument in ("--weight=10", "--past=averaged"):
        with pytest.raises(SystemExit, match="no use with --learner=actor"):
            run_command(command, "--learner=actor_critic", argument)


def test_words_without_a_flag_are_refused() -> None:
    with pytest.raises(SystemExit, match="Flags start with --"):
        negotiation.COMMAND.main(["negotiation", "runs"])


def test_sizes_that_no_tensor_holds_are_refused() -> None:
    with pytest.raises(SystemExit, match="--num_seeds times --batch_size"):
        run_command(negotiation.COMMAND, "--batch_size=2000000000")
