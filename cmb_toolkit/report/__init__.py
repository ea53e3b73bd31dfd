"""What people look at: tables, figures, montages, from evaluation's numbers."""
