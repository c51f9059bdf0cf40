"""Ask a server: the client, the journal of its answers, who answered."""
