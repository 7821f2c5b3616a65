"""What each operation answers, for the document."""
