"""How fast we are, beside a plain implementation, a peer, and the machine itself."""
