"""Losses: pure functions of tensors, one file for each method, of the same stem."""
