"""What users type and see: arguments, progress, warnings, errors, exit codes, and the commands themselves."""
