"""Trains linear classifiers on frozen features (linear probes)."""
