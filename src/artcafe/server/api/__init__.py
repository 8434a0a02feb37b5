"""REST: one router per room. Asks core, answers JSON; every error is a row of the table."""
