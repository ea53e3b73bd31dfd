"""What results can be written as."""
