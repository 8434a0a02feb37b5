"""Where records live: one contract, several backends, one file per room."""
