"""The rules: pure code that turns an Event into a Decision."""
