"""Listeners: sockets, clocks and counters around the sans-IO protocols."""
