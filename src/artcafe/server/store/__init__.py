"""The store: one contract, several backends, one file per kind of record."""
