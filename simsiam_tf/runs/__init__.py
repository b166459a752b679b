"""Finds the runs in folders, and compares them."""
