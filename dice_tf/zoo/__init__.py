"""The zoo: trained policies that come with the package, each with its card."""

from dice_tf.zoo.loading import card, game, load, names

__all__ = ["card", "game", "load", "names"]
