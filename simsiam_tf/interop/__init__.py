"""Weights and networks in other forms."""
