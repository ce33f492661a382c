"""Recordings: their values, and the file formats they are kept in, one file each."""
