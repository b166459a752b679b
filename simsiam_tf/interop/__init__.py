"""Exports networks to formats that other programs read."""
