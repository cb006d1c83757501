"""What can go wrong with the local stack. Each message is one sentence for the person at the keyboard."""

from __future__ import annotations


class StackError(Exception):
    """The root of this package's errors."""


class MissingDependency(StackError):
    """Something that this machine lacks and that could not be installed; the message says what to install."""


class InstallFailed(StackError):
    """A step of the installation ended with an error; the message holds the end of its output."""


class StartFailed(StackError):
    """A server ended, or did not answer in time; the message holds the end of its log."""
