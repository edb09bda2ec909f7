"""The trainings behind `dice_tf.zoo`: commands, and what must come of them."""

from typing import NamedTuple

from ..settings.training_flags import MLP, TABULAR

# The network of the Coin Game.
COIN_NETWORK = "coin_network"
# Of the run that is taken, the first one of its training.
SEED = 0

_RUN_1 = "saved_model/run_1"
_SHARED = ("player_0", "player_0")


class Recipe(NamedTuple):
    """How a policy of the zoo is trained, and how it is measured.

    Attributes:
      experiment: name of the program, such as `ipd`.
      flags: that differ from its defaults.
      policy: which kind of model has the weights.
      learner: words for it.
      least: what each seat must earn in self-play.
      most: what no seat may earn.
      discount: of the returns.
      folder: of the SavedModels, in the folder of the training.
      seats: the SavedModel of each seat.
      num_runs: of the training, of which the first one is taken.
    """

    experiment: str
    flags: tuple[str, ...]
    policy: str
    learner: str
    least: float
    most: float
    discount: float = 0.96
    folder: str = "saved_model"
    seats: tuple[str, ...] = ("player_0", "player_1")
    num_runs: int = 1

    @property
    def arguments(self) -> list[str]:
        """The flags of the training, but for where its results go."""
        runs = f"--num_seeds={self.num_runs}", f"--seed={SEED}"
        return [*self.flags, *runs]


def _lola_dice(rate: str) -> str:
    return (
        f"LOLADiCE(num_lookaheads=1, inner_learning_rate={rate}), each seat "
        "against the same learner"
    )


RECIPES = {
    "coin_game/advantage_alignment": Recipe(
        "coin_game",
        ("--learner=advantage_alignment",),
        COIN_NETWORK,
        'AdvantageAlignment(1.0, past="averaged"), one policy in both seats '
        "against its past selves",
        0.335,
        0.35,
        discount=1.0,
        folder=_RUN_1,
        seats=_SHARED,
        # It is one of those that README's tables are of.
        num_runs=10,
    ),
    "coin_game/lola_dice": Recipe(
        "coin_game",
        ("--policy=tabular", "--learner=lola_dice_1_lookahead"),
        TABULAR,
        _lola_dice("25") + ", on exact values",
        0.31,
        0.35,
        discount=1.0,
        folder=_RUN_1,
    ),
    "ipd/lola_dice": Recipe("ipd", (), TABULAR, _lola_dice("1.5"), -1.05, -0.9),
    "ipd/lola_dice_mlp": Recipe(
        "ipd",
        ("--policy=mlp",),
        MLP,
        f"OutputSpace of {_lola_dice('1.5')}",
        -1.05,
        -0.9,
    ),
    "ipd/naive": Recipe(
        "ipd",
        ("--learner=naive",),
        TABULAR,
        "Naive(), each seat against the same learner",
        -2.0,
        -1.95,
    ),
    "matching_pennies/lola_dice": Recipe(
        "ipd",
        (
            "--game=matching_pennies",
            "--discount=0.9",
            "--inner_learning_rate=1",
            "--learning_rate=1",
        ),
        TABULAR,
        _lola_dice("1"),
        -0.05,
        0.05,
        discount=0.9,
    ),
    "public_goods/lola_dice": Recipe(
        "ipd",
        (
            "--game=public_goods",
            "--discount=0.98",
            "--inner_learning_rate=3",
            "--learning_rate=6.5",
            "--final_learning_rate=0.13",
            "--batch_size=2000",
            "--num_iterations=40",
            "--initial_logits=nearly_even",
        ),
        TABULAR,
        _lola_dice("3"),
        0.45,
        0.5,
        discount=0.98,
        seats=("player_0", "player_1", "player_2"),
    ),
    "stag_hunt/lola_dice": Recipe(
        "ipd", ("--game=stag_hunt",), TABULAR, _lola_dice("1.5"), 3.9, 4.0
    ),
}
