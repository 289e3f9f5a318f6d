"""What the predecessor of muttd left behind: its env file and its tables, read and mapped."""
