"""Keras callbacks of the pre-training loop."""
