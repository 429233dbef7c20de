"""The ledger. See README.md in this folder for what it owns and which rules it keeps."""
