"""The one error that a user can mend."""


class UserError(Exception):
    """Bad input: its message is one line that names the file or key and the remedy, and is all that the user sees."""
