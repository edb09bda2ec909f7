"""What a run leaves behind: files, pictures, reports."""
