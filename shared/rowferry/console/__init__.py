"""What people see: the terminal's answers, the status page, the server on one machine."""
