"""Lists the flags of every command, and holds the recipes."""
