"""Files to files, one module per command family: read, call the packages below, publish. No arithmetic here."""
