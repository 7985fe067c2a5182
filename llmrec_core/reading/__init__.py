"""What a person reads: records become rows, sentences, tables, charts and reports."""
