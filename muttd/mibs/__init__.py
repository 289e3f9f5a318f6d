"""Operators' own MIBs: from the text of a module to names that are in force."""
