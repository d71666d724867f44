"""Files as their makers publish them: fetched, unpacked, and read as stacks."""
