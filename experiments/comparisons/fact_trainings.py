"""The trainings behind what is known of learners, and what they showed."""

import math

import numpy as np
from absl import flags

import dice_tf

from ..building.builders import build_trainer, compile_trainer
from ..building.trainings import (
    StopWhenAsked,
    checkpoint_of,
    train,
)
from ..command_line.stopping import deferred_interrupts
from ..results.check_list import Check, at_least, at_most
from ..results.curves import (
    FINAL_ITERATIONS,
    final_returns,
    print_failed,
)
from ..results.outputs import OutputFolder
from ..results.partial_results import partial_results
from ..results.result_files import policy_tables
from ..settings.defaults import EXACT_DEFAULTS, Defaults, defaults_for
from ..settings.training_settings import (
    TrainingSettings,
    resolve_method,
)
from . import fact_measures as measures

PENNIES_DISCOUNT = 0.9

# Mutual defection in the prisoner's dilemma, and what may be lost to a player
# that always defects.
_DEFECTION = -2.0
_LOSS = 0.1
# Small real steps for both players: with the larger steps of self-play a naive
# learner settles on defection before it can be shaped.
_AGAINST_OTHERS = defaults_for(1)._replace(learning_rate=0.3)
_PENNIES = Defaults(inner_learning_rate=1.0, learning_rate=1.0)


class Record:
    """Trains, prints what is going on, and keeps what was trained.

    Args:
      values: parsed flags.
      folder: where trainings leave checkpoints.

    Attributes:
      values: parsed flags.
      settings: by name, the settings of every training so far.
    """

    def __init__(self, values: flags.FlagValues, folder: OutputFolder):
        self.values = values
        self.settings: dict[str, TrainingSettings] = {}
        self._folder = folder

    def final_returns(
        self, name: str, settings: TrainingSettings
    ) -> np.ndarray:
        """Trains all players, from the checkpoint on.

        Returns:
          `[num_runs, num_players]`, returns over the last iterations.
        """
        checkpoint = self._start(name, settings)
        trainer = build_trainer(settings)
        finals = final_returns(train(trainer, settings, checkpoint).judged)
        print_failed(finals, "  ")
        return finals

    def final_tables(
        self, name: str, settings: TrainingSettings
    ) -> list[np.ndarray]:
        """Trains, and averages policies over the last iterations.

        Returns:
          Per player `[num_runs, num_observations, num_actions]`.
        """
        checkpoint = self._start(name, settings)
        kept = partial_results(self._folder, name, settings)
        tables = kept.load()
        if not tables:
            tables = _train_tables(settings, checkpoint)
            kept.save(tables)
        return list(tables.values())

    def _start(
        self, name: str, settings: TrainingSettings
    ) -> dice_tf.callbacks.Checkpoint:
        self.settings[name] = settings
        print(f"{name}: {settings.num_seeds} runs", flush=True)
        return checkpoint_of(self._folder, name, settings)


def _train_tables(
    settings: TrainingSettings, checkpoint: dice_tf.callbacks.Checkpoint
) -> dict[str, np.ndarray]:
    trainer = build_trainer(settings)
    compile_trainer(trainer, settings, steps_per_execution=1)
    num_last = min(FINAL_ITERATIONS, settings.num_iterations)
    first = settings.num_iterations - num_last
    # Checkpoints are written between epochs.
    steps = math.gcd(first, FINAL_ITERATIONS)
    done = checkpoint.restore(trainer)
    if done * steps < first:
        with deferred_interrupts():
            trainer.fit(
                epochs=first // steps,
                initial_epoch=done,
                steps_per_epoch=steps,
                verbose=0,
                callbacks=[checkpoint, StopWhenAsked(checkpoint)],
            )
    seen = []
    for _ in range(num_last):
        trainer.fit(epochs=1, steps_per_epoch=1, verbose=0)
        seen.append(policy_tables(trainer))
    return {
        f"player_{player_id}": np.mean(tables, axis=0)
        for player_id, tables in enumerate(zip(*seen, strict=True))
    }


def matching_pennies(record: Record) -> list[Check]:
    """LOLA tosses coins in matching pennies, and naive learners do not."""
    checks = []
    for kind, method in (
        ("exact", "lola"),
        ("dice", "lola_dice_1_lookahead"),
        ("exact", "naive"),
        ("dice", "naive"),
    ):
        name = f"matching pennies, {method}, {kind}"
        settings = _pennies_settings(record.values, method, kind == "exact")
        tables = record.final_tables(name, settings)
        mixing = measures.mixing(tables, settings.discount)
        mixed = measures.is_mixed(mixing)
        print(
            f"  distance from one half: mean {mixing.mean.mean():.3f}, worst "
            f"run {mixing.mean.max():.3f}, worst state "
            f"{mixing.largest.max():.3f}",
            flush=True,
        )
        print_failed(mixing.mean, "  ")
        if method == "naive":
            name = f"{name}: share of runs that mix"
            share = measures.share_of_runs(mixed, mixing.mean)
            checks.append(at_most(name, share, 0.5))
        else:
            checks.append(measures.enough_runs(f"{name}: mixes", mixed, 0.9))
    return checks


def naive_opponent(record: Record) -> list[Check]:
    """LOLA-DiCE earns more than the naive learner that it meets."""
    checks = []
    for method, seat in (
        ("lola_dice_1_lookahead_vs_naive", 0),
        ("naive_vs_lola_dice_1_lookahead", 1),
    ):
        finals = record.final_returns(
            method, _dilemma_settings(record.values, method)
        )
        more = finals[:, seat] > finals[:, 1 - seat]
        means = finals.mean(axis=0)
        print(f"  mean returns {means[0]:.3f}, {means[1]:.3f}", flush=True)
        checks.append(
            measures.enough_runs(f"{method}: LOLA-DiCE earns more", more, 0.9)
        )
    return checks


def defector(record: Record) -> list[Check]:
    """LOLA-DiCE is not exploited by a player that always defects."""
    checks = []
    for method, seat in (
        ("lola_dice_1_lookahead_vs_always_defect", 0),
        ("always_defect_vs_lola_dice_1_lookahead", 1),
    ):
        settings = _dilemma_settings(record.values, method)
        finals = record.final_returns(method, settings)
        bound = measures.constant_return(
            _DEFECTION, settings.discount, settings.episode_length
        )
        name = f"{method}: return of LOLA-DiCE, worst run"
        checks.append(
            at_least(name, float(finals[:, seat].min()), bound - _LOSS)
        )
    return checks


def _pennies_settings(
    values: flags.FlagValues, method: str, is_exact: bool
) -> TrainingSettings:
    defaults = EXACT_DEFAULTS if is_exact else _PENNIES
    settings = resolve_method(
        values,
        method,
        is_exact=is_exact,
        defaults=defaults,
        game="matching_pennies",
    )
    return settings._replace(
        discount=PENNIES_DISCOUNT,
        num_seeds=values.num_seeds,
        num_iterations=values.num_iterations,
    )


def _dilemma_settings(
    values: flags.FlagValues, method: str
) -> TrainingSettings:
    return resolve_method(
        values,
        method,
        game="prisoners_dilemma",
        defaults=_AGAINST_OTHERS,
    )
