"""Defines the logging level of the messages that state a command's result."""

# The level lies between INFO and WARNING: --verbosity=quiet shows results, but no other ordinary messages.
RESULT = 25
