"""Sans-IO protocols: octets in, values out. No socket, no clock, no logger, no counter."""
