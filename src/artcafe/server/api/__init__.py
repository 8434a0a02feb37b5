"""REST: one router per resource. Calls core, returns JSON; every error is a row of the error table."""
