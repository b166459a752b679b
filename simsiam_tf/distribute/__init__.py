"""Runs training on one device or several: the strategy, its input, communication between replicas, and XLA."""
