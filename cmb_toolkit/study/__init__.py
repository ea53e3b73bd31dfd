"""What lies in a study, as nouns: layout, people, scans, marks, cells, and what a cell was made and learned from."""
