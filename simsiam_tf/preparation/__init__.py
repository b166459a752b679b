"""Prepares a data set once, so that training reads it fast: writes shards of plain JPEGs."""
