"""One verb a file, none knows another: read what lies in a study, call the packages below, publish. No arithmetic."""
