"""The commands of the muttd program, one module per group."""
