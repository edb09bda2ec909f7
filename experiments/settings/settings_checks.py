"""Whether the settings of a training fit each other."""

from typing import Any

from experiments.settings.line_up import (
    LEARNERS,
    LOLA_DICE_OPPONENT_MODEL,
    LOLA_SURROGATE,
    NAIVE,
    POLA,
)
from experiments.settings.named_games import TANDEM
from experiments.settings.player_flags import (
    LEAVE_ONE_OUT,
    NO_BASELINE,
    STATE_VALUES,
)


def check_settings(settings: Any) -> None:
    """Raises if settings do not fit each other.

    Args:
      settings: `Settings`.

    Raises:
      ValueError: with what to change.
    """
    _check_learners(settings.learner)
    if settings.game == TANDEM and not set(settings.learner) <= set(LEARNERS):
        raise ValueError(
            f"--game={TANDEM} has no policies, and so no fixed ones. Received: "
            f"{','.join(settings.learner)}."
        )
    if settings.game == TANDEM and POLA in settings.learner:
        raise ValueError(
            f"--game={TANDEM} has no policies, the divergence of which "
            f"{POLA} could limit. Received: {','.join(settings.learner)}."
        )
    if settings.baseline is not None:
        _check_sampling(settings)
    elif settings.episode_length is None and settings.discount == 1.0:
        raise ValueError(
            "--discount must be below 1 with an infinite horizon. Received: "
            "--discount=1. Give --episode_length for a finite one."
        )
    elif LOLA_DICE_OPPONENT_MODEL in settings.learner:
        raise ValueError(
            f"{LOLA_DICE_OPPONENT_MODEL} learns its models from play, and "
            "exact values have none: use --mode=sampled or lola_dice."
        )
    elif LOLA_SURROGATE in settings.learner:
        raise ValueError(
            f"{LOLA_SURROGATE} is a way to sample: with exact values it would "
            "be lola_dice_1_lookahead."
        )
    for optimizer, momentum in zip(
        settings.optimizer, settings.momentum, strict=True
    ):
        if momentum and optimizer != "sgd":
            raise ValueError(
                "--momentum is that of --optimizer=sgd. Received: "
                f"--momentum={momentum:g} with --optimizer={optimizer}."
            )


def _check_learners(learners: tuple[str, ...]) -> None:
    learning = {learner for learner in learners if learner in LEARNERS}
    if not learning:
        raise ValueError(
            "--learner must let at least one player learn "
            f"({', '.join(LEARNERS)}). Received: {','.join(learners)}."
        )
    if LOLA_SURROGATE in learning and not learning <= {LOLA_SURROGATE, NAIVE}:
        raise ValueError(
            f"{LOLA_SURROGATE} can play with itself, {NAIVE} learners and "
            "opponents that do not learn: all players share its objective. "
            f"Received: {','.join(learners)}."
        )


def _check_sampling(settings: Any) -> None:
    alone = settings.batch_size == 1
    if settings.baseline in (LEAVE_ONE_OUT, STATE_VALUES) and alone:
        raise ValueError(
            f"--baseline={settings.baseline} needs a --batch_size of at least "
            "2. Received: 1. For single episodes, give --baseline=none or "
            "--baseline=critic."
        )
    decays = [settings.loaded_lambda, settings.tau]
    is_loaded = min(decay for decay in decays if decay is not None) < 1.0
    if is_loaded and settings.baseline in (NO_BASELINE, LEAVE_ONE_OUT):
        raise ValueError(
            "--loaded_lambda and --tau below 1 need a --baseline of state "
            f"values. Received: --baseline={settings.baseline}."
        )
