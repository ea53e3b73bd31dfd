"""What two stages found on one scan as one page for a reader, and a page that lists the scans of a cohort."""
