"""What each method of a repository asks the database and how it reads the answer, for every kind of session."""
