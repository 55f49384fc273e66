"""Function parameters and process information: milk's files, without milk."""
