"""Stand-ins for vendors with their real limits and answers: for demos, tests and rehearsals."""
