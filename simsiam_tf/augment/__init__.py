"""Augmentation: keys to parameters, parameters to pixels."""
