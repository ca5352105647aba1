"""What a user sees of each kind of trouble: a real sandbox misbehaves, over real HTTP."""
