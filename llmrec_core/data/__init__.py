"""Data sets: read, cleaned, stored, split, and taken apart for each question asked of them."""
