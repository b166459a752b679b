"""Declares every setting, in frozen dataclasses that check their values. Nothing here imports TensorFlow."""
