"""Devices: the strategy, what crosses replicas, the input of each host, what is compiled, several workers."""
