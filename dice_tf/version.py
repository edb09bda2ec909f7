"""The version of dice_tf, in its one place."""

__version__ = "0.1.0"
