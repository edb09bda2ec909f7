"""Flags of every experiment that continues where it was interrupted."""

from experiments.settings.common_flags import define_resume_flags

define_resume_flags()
