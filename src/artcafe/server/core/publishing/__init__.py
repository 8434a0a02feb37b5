"""Publishing: every message is checked, made, sent and counted in here."""
