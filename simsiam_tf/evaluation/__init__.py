"""Evaluation: features, kNN, linear probes, and label-free metrics."""
