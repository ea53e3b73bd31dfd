"""What `cmbtk check` looks at, each apart: files, tables, marks, and scans beside each other."""
