"""What is true: records, states, tables, and the journal they are kept in. TinyDB lives here only."""
