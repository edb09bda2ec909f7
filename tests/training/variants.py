"""Trainers of one shape, and everything in which another one can differ."""

import keras

import dice_tf
from tests.toys import ASYMMETRIC


def make_game(payoffs=ASYMMETRIC, episode_length=3):
    return dice_tf.games.iterated_matrix_game(payoffs, episode_length)


def make_policies(
    game, activation="tanh", hidden_units=(3,), dtype=None, normalise=False
):
    policies = []
    for player_id in range(game.num_players):
        initializer = keras.initializers.GlorotUniform(player_id)
        inputs = keras.Input(game.observation_shapes[player_id])
        x = inputs
        for units in hidden_units:
            x = keras.layers.Dense(
                units,
                activation=activation,
                dtype=dtype,
                kernel_initializer=initializer,
            )(x)
        if normalise:
            x = dice_tf.layers.SafeLayerNormalization(epsilon=normalise)(x)
        head = keras.layers.Dense(1, kernel_initializer=initializer)
        policies.append(keras.Model(inputs, head(x)))
    return policies


def make_trainer(
    *,
    game=None,
    policy=None,
    objective=dice_tf.objectives.DiCEObjective,
    arguments=None,
    with_critics=False,
    learner=None,
    learners=None,
    optimizer=None,
    compiled=None,
    changed=None,
    **options,
):
    """Makes a trainer; each argument changes one part of the default one.

    `changed` gets the trainer before it is compiled, to change it.
    """
    game = make_game(**(game or {}))
    policies = make_policies(game, **(policy or {}))
    defaults = {"discount": 0.9}
    if objective is not dice_tf.objectives.ExactObjective:
        defaults["batch_size"] = 4
    if with_critics:
        critics = [dice_tf.critics.tabular_critic(game, i) for i in range(2)]
        defaults |= {"baseline": "critic", "critics": critics}
    made = objective(game, policies, **(defaults | (arguments or {})))
    learner = learner or dice_tf.learners.Naive
    trainer = dice_tf.Trainer(
        made, learners or [learner(), learner()], **options
    )
    if changed:
        changed(trainer)
    trainer.compile(
        (optimizer or (lambda: keras.optimizers.Adam(0.1)))(),
        **({"jit_compile": False} | (compiled or {})),
    )
    return trainer


def payoffs_with(value):
    payoffs = ASYMMETRIC.copy()
    payoffs[0, 1, 1] = value
    return {"game": {"payoffs": payoffs}}


def with_learner(kind, *arguments, **options):
    return {"learner": lambda: kind(*arguments, **options)}


def with_optimizer(kind, *arguments, **options):
    return {"optimizer": lambda: kind(*arguments, **options)}


def decay(rate):
    return keras.optimizers.schedules.ExponentialDecay(0.1, 10, rate)


def set_attribute(*path_and_value):
    *path, name, value = path_and_value

    def change(trainer):
        thing = trainer
        for part in path:
            thing = (
                thing[part] if isinstance(part, int) else getattr(thing, part)
            )
        setattr(thing, name, value)

    return {"changed": change}


POLICY = ("objective", "policies", 0)
LOLADiCE = dice_tf.learners.LOLADiCE
OPTIMIZERS = keras.optimizers
INNER = dice_tf.inner_optimizers
# What each of these changes of the default is another program.
DIFFERENT = {
    "default": {},
    # Games.
    "payoffs": payoffs_with(0.3001),
    "zero": payoffs_with(0.0),
    "negative zero": payoffs_with(-0.0),
    "length": {"game": {"episode_length": 4}},
    # Policies.
    "activation": {"policy": {"activation": "sigmoid"}},
    "units": {"policy": {"hidden_units": (4,)}},
    "layers": {"policy": {"hidden_units": (3, 3)}},
    "precision": {"policy": {"dtype": "mixed_bfloat16"}},
    "normalised": {"policy": {"normalise": 1e-3}},
    "otherwise normalised": {"policy": {"normalise": 1e-2}},
    "activation set later": set_attribute(
        *POLICY, "layers", 1, "activation", keras.activations.sigmoid
    ),
    # Objectives.
    "discount": {"arguments": {"discount": 0.8}},
    "batch": {"arguments": {"batch_size": 8}},
    "baseline": {"arguments": {"baseline": None}},
    "groups": {"arguments": {"num_groups": 2}},
    "critics": {"with_critics": True},
    "targets": {
        "with_critics": True,
        "arguments": {"critic_td_lambda": 0.5},
    },
    "critic passes": {"with_critics": True, "compiled": {"critic_passes": 2}},
    "critic optimizer": {
        "with_critics": True,
        "compiled": {"critic_optimizer": "sgd"},
    },
    "surrogate": {"objective": dice_tf.objectives.SurrogateObjective},
    "exact": {"objective": dice_tf.objectives.ExactObjective},
    "endless": {
        "objective": dice_tf.objectives.ExactObjective,
        "arguments": {"episode_length": None},
    },
    "discount set later": set_attribute("objective", "discount", 0.8),
    # Learners.
    "LOLA-DiCE": with_learner(LOLADiCE),
    "look-aheads": with_learner(LOLADiCE, 2),
    "inner rate": with_learner(LOLADiCE, 1, 0.5),
    "inner rates": with_learner(LOLADiCE, 1, (0.5, 0.25)),
    "inner rates turned": with_learner(LOLADiCE, 1, (0.25, 0.5)),
    "differentiated": with_learner(LOLADiCE, 2, num_differentiated=1),
    "momentum": with_learner(LOLADiCE, 1, 1.0, INNER.SGD(0.5)),
    "more momentum": with_learner(LOLADiCE, 1, 1.0, INNER.SGD(0.6)),
    "inner Adam": with_learner(LOLADiCE, 1, 1.0, INNER.Adam()),
    "inner Adam's decay": with_learner(LOLADiCE, 1, 1.0, INNER.Adam(0.8)),
    "inner Adam's epsilon": with_learner(
        LOLADiCE, 1, 1.0, INNER.Adam(epsilon=1e-3)
    ),
    "clipped": with_learner(LOLADiCE, 1, 1.0, INNER.ClipByGlobalNorm(1.0)),
    "carried": with_learner(LOLADiCE, 1, 1.0, INNER.Adam(), carry_slots=True),
    "fitted rates": with_learner(
        LOLADiCE, 1, dice_tf.learners.FittedRates(0.5)
    ),
    "forgetful rates": with_learner(
        LOLADiCE, 1, dice_tf.learners.FittedRates(0.5, 0.5)
    ),
    "LOLA": with_learner(dice_tf.learners.LOLA, 0.5),
    "look-ahead": with_learner(dice_tf.learners.LookAhead, 0.5),
    "SOS": with_learner(dice_tf.learners.SOS, 0.5),
    "one learns otherwise": {
        "learners": [LOLADiCE(), dice_tf.learners.Naive()]
    },
    "in the other seat": {"learners": [dice_tf.learners.Naive(), LOLADiCE()]},
    "frozen": {"learners": [dice_tf.learners.Naive(), None]},
    "the other frozen": {"learners": [None, dice_tf.learners.Naive()]},
    "set later": {
        **with_learner(LOLADiCE),
        **set_attribute("learners", 0, "num_lookaheads", 3),
    },
    # Trainers.
    "runs": {"num_seeds": 2},
    "entropy": {"entropy_coefficient": 0.1},
    "more entropy": {"entropy_coefficient": 0.2},
    "entropy of one": {"entropy_coefficient": (0.1, 0.0)},
    "norm": {"max_gradient_norm": 1.0},
    "larger norm": {"max_gradient_norm": 2.0},
    "in turn": {
        "updates": "alternating",
        "optimizer": lambda: [OPTIMIZERS.Adam(0.1), OPTIMIZERS.Adam(0.1)],
    },
    "XLA": {"compiled": {"jit_compile": True}},
    "compiled steps": {
        "compiled": {"steps_per_execution": 2, "jit_compile": True}
    },
    # Optimisers.
    "SGD": with_optimizer(OPTIMIZERS.SGD, 0.1),
    "Keras' momentum": with_optimizer(OPTIMIZERS.SGD, 0.1, momentum=0.5),
    "Nesterov": with_optimizer(
        OPTIMIZERS.SGD, 0.1, momentum=0.5, nesterov=True
    ),
    "first decay": with_optimizer(OPTIMIZERS.Adam, 0.1, beta_1=0.8),
    "second decay": with_optimizer(OPTIMIZERS.Adam, 0.1, beta_2=0.8),
    "epsilon": with_optimizer(OPTIMIZERS.Adam, 0.1, epsilon=1e-3),
    "AMSGrad": with_optimizer(OPTIMIZERS.Adam, 0.1, amsgrad=True),
    "weight decay": with_optimizer(OPTIMIZERS.Adam, 0.1, weight_decay=0.1),
    "clipnorm": with_optimizer(OPTIMIZERS.Adam, 0.1, clipnorm=1.0),
    "clipvalue": with_optimizer(OPTIMIZERS.Adam, 0.1, clipvalue=1.0),
    "averages": with_optimizer(OPTIMIZERS.Adam, 0.1, use_ema=True),
    "schedule": with_optimizer(OPTIMIZERS.Adam, decay(0.9)),
    "other schedule": with_optimizer(OPTIMIZERS.Adam, decay(0.8)),
    "optimizers": {
        "optimizer": lambda: [OPTIMIZERS.Adam(0.1), OPTIMIZERS.Adam(0.1)]
    },
    "optimizers that differ": {
        "optimizer": lambda: [OPTIMIZERS.SGD(0.1), OPTIMIZERS.Adam(0.1)]
    },
}
