"""The generated package of the API's versions."""
