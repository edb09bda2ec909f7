"""The tests of dice_tf; they mirror the package."""
